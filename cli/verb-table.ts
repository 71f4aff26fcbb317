// All verbs, with what the list of `stoa --help` says. A verb's file is imported when the verb is used.

import type { Command } from 'commander';

export interface VerbEntry {
  name: string;
  summary: string;
  group: string;
  /** Has verbs of its own. */
  isGroup?: boolean;
  /** Absent: this version does not have it; `unbuilt` says what there is instead. */
  load?: () => Promise<Command>;
  unbuilt?: string;
}

/** Where to begin. */
export const START = 'Start here:';
const DATA = 'Data:';
const TRAIN = 'Training:';
const USE = 'Using a model:';
const ROLES = 'Roles of a cluster:';

export const VERBS: readonly VerbEntry[] = [
  {
    name: 'demo',
    group: START,
    summary: 'The whole story on one machine, in under a minute',
    load: async () => (await import('./verbs/demo.js')).command,
  },
  {
    name: 'doctor',
    group: START,
    summary: 'Check this machine: devices, speed, versions',
    load: async () => (await import('./verbs/doctor.js')).command,
  },
  {
    name: 'data',
    isGroup: true,
    group: DATA,
    summary: 'Import, make, describe and split datasets',
    load: async () => (await import('./verbs/data.js')).command,
  },
  {
    name: 'plan',
    group: TRAIN,
    summary: 'Say what a training would do: blocks, bytes, memory',
    load: async () => (await import('./verbs/plan.js')).command,
  },
  {
    name: 'train',
    group: TRAIN,
    summary: 'Train a model, here or on a coordinator',
    load: async () => (await import('./verbs/train.js')).command,
  },
  {
    name: 'resume',
    group: TRAIN,
    summary: 'Go on with a run that was stopped',
    load: async () => (await import('./verbs/resume.js')).command,
  },
  {
    name: 'eval',
    group: TRAIN,
    summary: 'Measure a model on held-out data, next to baselines',
    load: async () => (await import('./verbs/eval.js')).command,
  },
  {
    name: 'runs',
    isGroup: true,
    group: TRAIN,
    summary: 'List, show and compare runs',
    load: async () => (await import('./verbs/runs.js')).command,
  },
  {
    name: 'recommend',
    group: USE,
    summary: 'Recommend items to a user',
    load: async () => (await import('./verbs/recommend.js')).command,
  },
  {
    name: 'similar',
    group: USE,
    summary: 'List the items most like an item',
    load: async () => (await import('./verbs/similar.js')).command,
  },
  {
    name: 'export',
    group: USE,
    summary: 'Write a model for other programs: npy, safetensors, parquet',
    load: async () => (await import('./verbs/export.js')).command,
  },
  {
    name: 'model',
    isGroup: true,
    group: USE,
    summary: 'List models, promote one, roll back',
    load: async () => (await import('./verbs/model.js')).command,
  },
  {
    name: 'coordinator',
    group: ROLES,
    summary: 'Coordinate training runs and serve the promoted model',
    load: async () => (await import('./verbs/coordinator.js')).command,
  },
  {
    name: 'worker',
    group: ROLES,
    summary: 'Solve blocks for a coordinator',
    load: async () => (await import('./verbs/worker.js')).command,
  },
  {
    name: 'audit',
    isGroup: true,
    group: ROLES,
    summary: 'Check what left a participant',
    load: async () => (await import('./verbs/audit.js')).command,
  },
  {
    name: 'serve',
    group: ROLES,
    summary: 'Serve one model over gRPC and REST',
    load: async () => (await import('./verbs/serve.js')).command,
  },
  {
    name: 'parameters',
    group: ROLES,
    summary: 'Keep parameter tables apart from the coordinator',
    load: async () => (await import('./verbs/parameters.js')).command,
  },
  {
    name: 'federation',
    isGroup: true,
    group: ROLES,
    summary: 'Found a federation, invite and revoke members, join one',
    load: async () => (await import('./verbs/federation.js')).command,
  },
  {
    name: 'participant',
    group: ROLES,
    summary: 'Take part in a federated training',
    load: async () => (await import('./verbs/participant.js')).command,
  },
  {
    name: 'forget',
    group: ROLES,
    summary: 'Remove a learner from a participant, and owe them a receipt',
    load: async () => (await import('./verbs/forget.js')).command,
  },
];
