import { readFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { parseAddress } from '../../common/addresses.js';
import { messageOf, NotFoundError } from '../../common/errors.js';
import type { ParticipantIdentity } from '../../worker/participant/identity.js';
import type { ParticipantPolicy } from '../../worker/participant/policy.js';
import { addDeviceFlags, type DeviceFlags } from '../device-flags.js';
import { interruptible, untilAborted } from '../interrupts.js';
import type { Output } from '../output.js';
import { addressFromParent, FROM_PARENT } from '../parent-address.js';
import { bytes, count } from '../quantities.js';
import { addClientTlsFlags, type TlsFlags, tlsOf } from '../tls-flags.js';
import { required, toCommand, wholeNumber } from '../verb.js';

interface Options extends TlsFlags, DeviceFlags {
  coordinator: string;
  data: string;
  identity: string;
  name?: string;
  policy?: string;
  catalogueKey?: string;
  out?: string;
  threads: number;
}

export const command = toCommand<Options>({
  name: 'participant',
  summary: 'Take part in a federated training',
  description:
    'Joins a federation and answers its rounds with sums over its own learners, whose rows and factors stay here. ' +
    'Each round is held against the policy first; what leaves is written down in the identity folder before it does. ' +
    'At the end the model of its own learners is written for "stoa serve".',
  examples: [
    'stoa participant --coordinator 127.0.0.1:7075 --data datasets/ours --identity identity --name university-a',
    'stoa participant --coordinator 127.0.0.1:7075 --data datasets/ours --identity identity --policy policy.yaml',
  ],
  define: (command) => {
    command
      .addOption(required('--coordinator <host:port>', 'the federation'))
      .addOption(required('--data <dataset>', 'dataset of the own learners; it is only read'))
      .addOption(
        required(
          '--identity <dir>',
          'key, audit log, ε-ledger and models; made with --name when it is not there',
        ),
      )
      .option('--name <name>', 'of a new identity')
      .option('--policy <file>', 'YAML file of what is allowed, whatever is asked for')
      .option(
        '--catalogue-key <file>',
        'file of 32 bytes or more that participants share: items go by keyed digests, not by ids',
      )
      .option('--out <dir>', 'model of the own learners (default: IDENTITY/models/RUN)')
      .option(
        '--threads <n>',
        'threads that compute',
        wholeNumber('--threads', 1, 1024),
        os.availableParallelism(),
      );
    addDeviceFlags(command);
    addClientTlsFlags(command);
  },
  run: async ({ options, output }) => {
    const { openIdentity, createIdentity } = await import('../../worker/participant/identity.js');
    const { DEFAULT_POLICY, readPolicy } = await import('../../worker/participant/policy.js');
    const policy = options.policy === undefined ? DEFAULT_POLICY : await readPolicy(options.policy);
    const { name } = options;
    const { renewIfDue } = await import('../../federation/trust/membership.js');
    const { systemClock } = await import('../../common/clock.js');
    const problem = await renewIfDue(options.identity, {
      clock: systemClock,
      ...(options.coordinator === FROM_PARENT ? {} : { address: options.coordinator }),
    });
    if (problem !== undefined) output.warn(`the certificate was not renewed: ${problem.message}`);
    const identity = await openIdentity(options.identity).catch((error: unknown) => {
      if (!(error instanceof NotFoundError) || name === undefined) throw error;
      return createIdentity(options.identity, name);
    });
    const { lockFolder } = await import('../../coordinator/journal/folder-lock.js');
    const lock = await lockFolder(options.identity, `the participant ${identity.name}`);
    try {
      await takePart({ options, output, identity, policy });
    } finally {
      await lock.release();
    }
  },
});

async function readKey(file: string): Promise<Uint8Array> {
  return readFile(file).catch((error: unknown) => {
    throw new NotFoundError(
      'STOA_NOT_FOUND_FILE',
      `--catalogue-key ${file} cannot be read: ${messageOf(error)}`,
      {
        fields: { field: '--catalogue-key', file },
        cause: error,
      },
    );
  });
}

async function takePart({
  options,
  output,
  identity,
  policy,
}: {
  options: Options;
  output: Output;
  identity: ParticipantIdentity;
  policy: ParticipantPolicy;
}): Promise<void> {
  const catalogueKey = options.catalogueKey === undefined ? undefined : await readKey(options.catalogueKey);
  const address =
    options.coordinator === FROM_PARENT
      ? addressFromParent()
      : parseAddress(options.coordinator, '--coordinator');
  const { runParticipant } = await import('../../worker/participant/participant.js');
  const { roleLogger } = await import('../logger.js');
  const log = roleLogger(output, 'participant');
  const result = await interruptible(async (signal) => {
    const coordinator = await Promise.race([address, untilAborted(signal).then(() => undefined)]);
    if (coordinator === undefined) return undefined;
    return runParticipant({
      coordinator,
      data: options.data,
      identity,
      stateDir: options.identity,
      policy,
      catalogueKey,
      threads: options.threads,
      device: options.device ?? 'auto',
      isa: options.isa,
      isGpuRequired: options.requireGpu,
      tls: tlsOf(options),
      log,
      signal,
    }).catch((error: unknown) => {
      if (signal.aborted) return undefined;
      throw error;
    });
  });
  if (result === undefined) {
    output.answer({ name: identity.name, left: true }, () => `${identity.name} left`);
    return;
  }
  const { writeParticipantModel } = await import('../participant-model.js');
  const model = options.out ?? path.join(options.identity, 'models', result.runId);
  await writeParticipantModel(model, result);
  const { issueReceipts } = await import('../../worker/participant/issue-receipts.js');
  const { receipts, pending } = await issueReceipts(options.identity, { identity, result, now: new Date() });
  const { rounds, bytesSent, epsilon, isComplete, runId } = result;
  const answer = {
    name: identity.name,
    run_id: runId,
    complete: isComplete,
    rounds,
    bytes_sent: bytesSent,
    epsilon,
    model_dir: model,
    erasure_receipts: receipts,
    erasures_pending: pending,
    users: result.byUser.rows,
    peak_rss_bytes: process.resourceUsage().maxRSS * 1024,
  };
  output.answer(answer, () =>
    [
      `${identity.name} took part in ${count(rounds)} rounds of run ${runId}; ${bytes(bytesSent)} of sums left` +
        (epsilon === undefined ? '' : ` under ε = ${epsilon.toPrecision(3)}`),
      ...receipts.map((file) => `receipt:    ${file}`),
      ...(pending === 0 ? [] : [`${count(pending)} erasures still wait for a receipt`]),
      `what left:  stoa audit verify ${path.join(options.identity, 'audit')}`,
      `serve:      stoa serve --model ${model} --listen 127.0.0.1:7071`,
    ].join('\n'),
  );
}
