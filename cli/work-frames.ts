// Frames for work that tells its phase and how far it is.

import type { Frame } from './live-display.js';
import { count } from './quantities.js';

export interface WorkProgress {
  phase: string;
  done: number;
  /** Absent: nobody knows how much there is. */
  total?: number;
}

const BAR_CELLS = 24;

/** Makes one frame after another; a phase that begins is a milestone. */
export function workFrames(): (progress: WorkProgress) => Frame {
  let phaseBefore = '';
  return ({ phase, done, total }) => {
    const isMilestone = phase !== phaseBefore;
    phaseBefore = phase;
    if (total === undefined || total === 0) {
      const line = done > 0 ? `${phase}: ${count(done)}` : phase;
      return { lines: [line], line, isMilestone };
    }
    const share = Math.min(1, done / total);
    const full = Math.round(share * BAR_CELLS);
    const bar = '█'.repeat(full) + '░'.repeat(BAR_CELLS - full);
    const percent = `${String(Math.floor(share * 100)).padStart(3)} %`;
    return { lines: [`${bar} ${percent}  ${phase}`], line: `${phase} ${percent.trim()}`, isMilestone };
  };
}
