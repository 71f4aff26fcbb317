// Entry of a thread of the portable device.

import { SolveWorkspace } from '../../models/ials/solve-workspace.js';
import { type PortableAnswer, type PortableTask, runPortableTask } from './portable-task.js';

const workspace = new SolveWorkspace();

export default function run(task: PortableTask): PortableAnswer {
  return runPortableTask(task, workspace);
}
