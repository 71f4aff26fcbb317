// A federated run whose participants are elsewhere: this process coordinates, and has no learner's row or factors.

import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import { formatAddress, type HostPort } from '../common/addresses.js';
import { writeFileAtomic } from '../common/atomic-files.js';
import { StateError } from '../common/errors.js';
import type { TlsOptions } from '../common/grpc-security.js';
import { sharedFloat32, sharedInt32 } from '../common/shared-memory.js';
import { planOfConfig } from '../coordinator/federation/plan-of-config.js';
import { type ParticipantTraffic, startFederation } from '../coordinator/federation/start-federation.js';
import type { RunConfig } from '../coordinator/plan/run-config.js';
import { writeModel } from '../coordinator/registry/model-folder.js';
import { interruptible } from './interrupts.js';
import type { Output } from './output.js';
import { withTemporaryFolder } from './temporary-folder.js';

export interface HostedFederation {
  listen: HostPort;
  tls: TlsOptions;
  config: RunConfig;
  /** The run begins when so many have joined. */
  participants: number;
  /** Folder to write: the items' model. */
  out: string;
  log: Logger;
}

export interface HostedResult {
  run_id: string;
  participants: ParticipantTraffic[];
  items: number;
  factors: number;
  rounds: number;
  rounds_failed: number;
  sweeps_cut: number;
  epoch_seconds: number[];
  model_dir: string;
}

/** Coordinates until the last sweep. The model has all items and no user. @throws {StateError} `STOA_INTERRUPTED`. */
export async function hostFederation(o: HostedFederation, output: Output): Promise<HostedResult> {
  const plan = planOfConfig(o.config, o.participants);
  const runId = randomUUID();
  return withTemporaryFolder(async (spoolDir) => {
    const federation = await startFederation({
      ...o,
      runId,
      plan,
      seed: o.config['train.seed'],
      stdDev: o.config['ials.init_stddev'],
      spoolDir,
      onSweep: (done, seconds) => o.log.info({ sweep: done, of: plan.sweeps, seconds }, 'a sweep is done'),
    });
    try {
      const address = formatAddress(federation.address);
      output.remark(
        `federation ${runId} on ${address}, waiting for ${o.participants} participants; they join with:`,
      );
      output.remark(`  stoa participant --coordinator ${address} --data DATASET --identity DIR --name NAME`);
      const outcome = await interruptible(
        (signal) => {
          signal.addEventListener('abort', () => federation.stop('the coordinator was stopped'), {
            once: true,
          });
          return federation.outcome;
        },
        () => output.remark('stopping; Ctrl-C once more ends at once'),
      );
      await federation.served();
      if (!outcome.isComplete)
        throw new StateError('STOA_INTERRUPTED', 'stopped before the last sweep; nothing was kept');
      const { catalogue, items } = outcome;
      await writeModel(o.out, {
        version: runId,
        runId,
        createTime: new Date(),
        config: o.config,
        datasetFingerprint: catalogue.hash,
        synthetic: false,
        userIds: [],
        items: { ids: [...catalogue.names], columns: {} },
        userFactors: new Float32Array(0),
        itemFactors: items,
        history: {
          rows: 0,
          cols: catalogue.names.length,
          ptr: sharedInt32(1),
          idx: sharedInt32(0),
          values: sharedFloat32(0),
        },
      });
      const result: HostedResult = {
        run_id: runId,
        participants: federation.traffic(),
        items: catalogue.names.length,
        factors: plan.factors,
        rounds: outcome.rounds,
        rounds_failed: outcome.aborted,
        sweeps_cut: outcome.cuts,
        epoch_seconds: outcome.sweepSeconds,
        model_dir: o.out,
      };
      await writeFileAtomic(`${o.out}/federation.json`, `${JSON.stringify(result, null, 2)}\n`);
      return result;
    } finally {
      await federation.close();
    }
  });
}
