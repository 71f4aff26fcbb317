// A coordinator and participants over real gRPC on loopback, in one process: each participant with a dataset, an identity
// and a folder of its own.

import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { type FederationOptions, startFederation } from '../../../coordinator/federation/start-federation.js';
import type { FederatedPlan } from '../../../federation/protocol/federated-plan.js';
import { type Csr, csrSlice } from '../../../models/csr.js';
import { createIdentity, openIdentity } from '../../../worker/participant/identity.js';
import {
  type ParticipantOptions,
  type ParticipantResult,
  runParticipant,
} from '../../../worker/participant/participant.js';
import { DEFAULT_POLICY } from '../../../worker/participant/policy.js';
import { randomInteractions, writeInteractions } from '../../support/random-dataset.js';
import { quietLog } from '../../support/training-cluster.js';

export const ITEMS = 40;
const USERS_EACH = 24;

export const PLAN: FederatedPlan = {
  version: 1,
  factors: 10,
  sweeps: 3,
  objective: {
    objective: 'ials',
    weights: 'binary',
    alpha0: 0.1,
    alpha: 1,
    regularization: 0.05,
    nu: 1,
  },
  solver: { name: 'cholesky', cgSteps: 2, block: 4 },
  isMasked: false,
  cohortMin: 5,
  cohortMax: 8,
};

export const SEED = 3;
export const STD_DEV = 0.1;

/** All interactions, and their parts in the order of participants. */
export function dataOf(count: number): { all: Csr; parts: Csr[] } {
  const all = randomInteractions({ users: count * USERS_EACH, items: ITEMS, perUser: 6 });
  const parts = Array.from({ length: count }, (_, n) => csrSlice(all, n * USERS_EACH, (n + 1) * USERS_EACH));
  return { all, parts };
}

export class RunningFederation {
  readonly dir: string;
  readonly federation: Awaited<ReturnType<typeof startFederation>>;

  private constructor(dir: string, federation: Awaited<ReturnType<typeof startFederation>>) {
    this.dir = dir;
    this.federation = federation;
  }

  static async start(
    plan: FederatedPlan,
    participants: number,
    options: Partial<FederationOptions> = {},
  ): Promise<RunningFederation> {
    const dir = await mkdtemp(path.join(os.tmpdir(), 'stoa-federation-'));
    const federation = await startFederation({
      runId: 'run-1',
      plan,
      participants,
      seed: SEED,
      stdDev: STD_DEV,
      listen: { host: '127.0.0.1', port: 0 },
      tls: {},
      spoolDir: path.join(dir, 'spool'),
      log: quietLog,
      ...options,
    });
    return new RunningFederation(dir, federation);
  }

  /** Takes part until the run is over; a second call for the same name comes back as the same institution. */
  async participate(
    name: string,
    data: Csr,
    options: Partial<ParticipantOptions> = {},
  ): Promise<ParticipantResult> {
    const folder = path.join(this.dir, name);
    const identity = await openIdentity(folder).catch(async () => {
      await writeInteractions(path.join(folder, 'data'), data);
      return createIdentity(folder, name);
    });
    return runParticipant({
      coordinator: this.federation.address,
      data: path.join(folder, 'data'),
      identity,
      stateDir: folder,
      policy: { ...DEFAULT_POLICY, require_masking: false },
      threads: 1,
      device: 'portable',
      tls: {},
      log: quietLog,
      signal: new AbortController().signal,
      ...options,
    });
  }

  async close(): Promise<void> {
    await this.federation.close();
    await rm(this.dir, { recursive: true, force: true });
  }
}

/** Names in the order of their places in cohorts. */
export const nameOf = (n: number): string => `institution-${n + 1}`;
