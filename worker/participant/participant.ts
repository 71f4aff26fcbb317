// A participant of a federation: reads the terms, holds them against its policy, joins, and answers rounds until the run
// is over. Its learners' rows and factors stay with it.

import { createHash } from 'node:crypto';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { HostPort } from '../../common/addresses.js';
import {
  CorruptError,
  FencedError,
  messageOf,
  PrivacyError,
  RoundError,
  StoaError,
  SystemError,
} from '../../common/errors.js';
import type { TlsOptions } from '../../common/grpc-security.js';
import { openDataset } from '../../datasets/dataset.js';
import { AuditLog } from '../../federation/audit/audit-log.js';
import { type Catalogue, catalogueOf } from '../../federation/catalogue/catalogue.js';
import { PendingErasures } from '../../federation/erasure/pending-erasures.js';
import { type FederatedPlan, parseFederatedPlan } from '../../federation/protocol/federated-plan.js';
import { tableHash } from '../../federation/protocol/input-hash.js';
import { joinStatement } from '../../federation/protocol/join-statement.js';
import { roundSums } from '../../federation/protocol/round-sums.js';
import { ringOf } from '../../federation/protocol/sum-ring.js';
import type { Ring } from '../../federation/secure-aggregation/ring.js';
import { requireValid } from '../../federation/trust/federation-channel.js';
import type { Csr } from '../../models/csr.js';
import type { ComputeDevice, InstructionSet } from '../../models/device.js';
import { type DeviceFacts, deviceFacts } from '../../models/device-facts.js';
import type { RunEnd__Output } from '../../proto/generated/stoa/federation/v1/RunEnd.js';
import type { StepTask__Output } from '../../proto/generated/stoa/federation/v1/StepTask.js';
import { chooseDevice } from '../devices/device-registry.js';
import { FederationLink } from './federation-link.js';
import type { ParticipantIdentity } from './identity.js';
import { LocalData } from './local-data.js';
import { LocalSums } from './local-sums.js';
import { ParticipantMemory } from './participant-memory.js';
import { type ParticipantPolicy, requirePlan, requireRound } from './policy.js';
import { PrivacyPurse } from './privacy-purse.js';
import { RoundWork } from './round-work.js';

/** While it computes it says so. A coordinator that hears nothing for 15 s waits no longer. */
const BEAT_MS = 3000;
/** How long a coordinator may be out of reach. */
const RECONNECT_MS = 120_000;
const BACKOFF_MS = 300;

export interface ParticipantOptions {
  coordinator: HostPort;
  /** Dataset folder. */
  data: string;
  identity: ParticipantIdentity;
  /** Folder of what is remembered: audit log, ledger, rounds. Of this participant alone. */
  stateDir: string;
  policy: ParticipantPolicy;
  /** 32 bytes that participants share and the coordinator does not have. @default items go by their ids */
  catalogueKey?: Uint8Array;
  threads: number;
  device: string;
  isa?: InstructionSet;
  isGpuRequired?: boolean;
  tls: TlsOptions;
  log: Logger;
  signal: AbortSignal;
}

/** What a participant has at the end of a run: for its own model. */
export interface ParticipantResult {
  runId: string;
  plan: FederatedPlan;
  /** f32 [users, K]: its own learners. */
  users: Float32Array;
  /** f32 [items, K]. */
  items: Float32Array;
  catalogue: Catalogue;
  data: LocalData;
  byUser: Csr;
  isComplete: boolean;
  rounds: number;
  /** The first that took its sum since it last started; undefined: none did. */
  firstRound?: number;
  bytesSent: number;
  epsilon?: number;
  device: DeviceFacts;
}

/** @throws {PrivacyError} the policy, or what a round asked for, forbids to go on; {SystemError} `STOA_UNREACHABLE`. */
export async function runParticipant(options: ParticipantOptions): Promise<ParticipantResult> {
  const { member } = options.identity;
  if (member !== undefined) requireValid(member, new Date());
  const { data: dir, catalogueKey, policy, threads, isa, isGpuRequired } = options;
  const dataset = await openDataset(dir);
  const erasures = await PendingErasures.open(options.stateDir);
  if (erasures.all.length > 0) erasures.requireAbsent(await dataset.userIds(), dir);
  const data = await LocalData.load(dataset, { catalogueKey, items: policy.items });
  const { device } = await chooseDevice(options.device, { threads, isa, isGpuRequired });
  const audit = await AuditLog.open(path.join(options.stateDir, 'audit'), () => new Date());
  const link = new FederationLink(options.coordinator, options.tls, options.identity.member);
  try {
    const memory = await ParticipantMemory.open(options.stateDir);
    return await new Participation({ ...options, data, audit, link, memory }, device).run();
  } finally {
    link.close();
    await audit.close();
    await device.dispose();
  }
}

type Parts = Omit<ParticipantOptions, 'data'> & {
  data: LocalData;
  audit: AuditLog;
  link: FederationLink;
  memory: ParticipantMemory;
};

interface Held {
  hash: string;
  table: Float32Array;
}

class Participation {
  readonly #o: Parts;
  readonly #device: ComputeDevice;
  #runId = '';
  #session: Uint8Array = new Uint8Array(0);
  #plan!: FederatedPlan;
  #ring: Ring | undefined;
  #catalogue: Catalogue | undefined;
  #byUser!: Csr;
  #local!: LocalSums;
  #purse: PrivacyPurse | undefined;
  #items: Held | undefined;
  #operand: Held | undefined;
  #work: RoundWork | undefined;
  #rounds = 0;
  #firstRound: number | undefined;
  #bytes = 0;
  /** The last sweep whose sums this participant is in. */
  #lastSweep = -1;

  constructor(parts: Parts, device: ComputeDevice) {
    this.#o = parts;
    this.#device = device;
  }

  async run(): Promise<ParticipantResult> {
    const { signal, link, audit } = this.#o;
    await this.#patiently(() => this.#join());
    try {
      for (;;) {
        signal.throwIfAborted();
        audit.poll();
        const response = await this.#patiently(() => link.nextTask(signal));
        if (response.step) await this.#answer(response.step);
        if (response.end) return await this.#finish(response.end);
      }
    } finally {
      this.#work?.leave();
      await this.#purse?.close();
    }
  }

  async #join(): Promise<void> {
    const { link, identity, policy, data, audit, log, signal } = this.#o;
    const { terms, nonce } = await link.terms(signal);
    if (this.#runId !== '' && terms!.runId !== this.#runId) {
      throw new FencedError('STOA_SESSION_OVER', `the coordinator begins another run, ${terms!.runId}`);
    }
    const plan = parseFederatedPlan(terms!.planJson);
    requirePlan(plan, policy);
    this.#plan = plan;
    this.#runId = terms!.runId;
    this.#session = new Uint8Array(terms!.session);
    this.#ring = plan.isMasked ? ringOf(plan) : undefined;
    const { name, publicKey } = identity;
    const statement = joinStatement({ nonce, session: this.#session, name, identityKey: publicKey });
    const names = Buffer.from(data.offered.join('\n'));
    await audit.append({
      run: this.#runId,
      message: 'name, public key, and the names of the items',
      about: `${data.offered.length} items`,
      bytes: names.length,
      sha256: createHash('sha256').update(names).digest('hex'),
    });
    const header = { name, identityKey: publicKey, nonce, signature: identity.sign(statement) };
    await link.join(header, data.offered, signal);
    log.info({ run: this.#runId, name, masking: plan.isMasked, epsilon: plan.privacy?.epsilon }, 'joined');
  }

  async #answer(task: StepTask__Output): Promise<void> {
    const { link, log, signal, audit } = this.#o;
    const beat = setInterval(() => {
      audit.poll();
      link.beat(signal).catch(() => {});
    }, BEAT_MS);
    try {
      await this.#prepare(task);
      const disposition = await this.#work!.answer(task);
      log.debug({ round: task.round, step: task.step, disposition }, 'answered');
      if (disposition === 'DISPOSITION_ACCEPTED' && task.step === 'ROUND_STEP_UPLOAD') {
        this.#lastSweep = task.sweep;
        this.#firstRound ??= task.round;
      }
    } catch (error) {
      await this.#afterFailure(task, error);
    } finally {
      clearInterval(beat);
    }
  }

  /** A round that is lost is lost; what must not happen ends the participant. */
  async #afterFailure(task: StepTask__Output, error: unknown): Promise<void> {
    const { link, log, signal } = this.#o;
    signal.throwIfAborted();
    // The round moved on meanwhile, or the line broke: there will be others.
    const isPassing = error instanceof RoundError || isUnreachable(error) || isOver(error);
    log.warn({ round: task.round, step: task.step, err: messageOf(error) }, 'a round is not answered');
    if (!(error instanceof StoaError)) throw error;
    await link.decline(task.round, messageOf(error), signal).catch(() => {});
    this.#work?.leave();
    if (isPassing) return;
    throw error;
  }

  /** Makes ready for the task's round: catalogue, policy, tables. */
  async #prepare(task: StepTask__Output): Promise<void> {
    if (this.#work?.round === task.round) return;
    this.#work?.leave();
    this.#work = undefined;
    await this.#agreeOnItems(task.catalogueHash);
    const { policy, identity, memory, audit, link, signal } = this.#o;
    const plan = this.#plan;
    const { sweep, exchange } = task;
    const sums = roundSums(plan, this.#catalogue!.names.length, { sweep, exchange });
    requireRound(
      {
        rounds: this.#rounds + 1,
        bytes: this.#bytes + 8 * sums.length,
        members: task.members,
        cohortMin: plan.cohortMin,
      },
      policy,
    );
    const items = sweep < 0 ? undefined : await this.#pull('items', task.itemsHash);
    const operand = task.operandHash.length === 0 ? undefined : await this.#pull('operand', task.operandHash);
    const releases = this.#local.releases(sweep);
    const purse = this.#purse;
    this.#work = await RoundWork.enter(task, {
      link,
      identity,
      memory,
      audit,
      runId: this.#runId,
      session: this.#session,
      ring: this.#ring,
      // The plan's too: noise is shared out by it.
      cohortMin: Math.max(policy.cohort_min, plan.cohortMin),
      sums,
      local: this.#local,
      items,
      operand,
      ...(purse === undefined ? {} : { spend: () => purse.spend(`round ${task.round}`, releases) }),
      signal,
    });
    this.#rounds++;
    this.#bytes += 8 * sums.length;
  }

  async #agreeOnItems(hash: Buffer): Promise<void> {
    if (this.#catalogue !== undefined) {
      if (this.#catalogue.hash === hash.toString('hex')) return;
      throw new PrivacyError('STOA_ROUND_REFUSED', 'the catalogue changed within the run');
    }
    const { link, data, audit, signal, stateDir, policy } = this.#o;
    audit.poll();
    const catalogue = catalogueOf(await link.catalogue(signal));
    if (catalogue.hash !== hash.toString('hex')) {
      throw new CorruptError('STOA_CHECKSUM', 'the catalogue is not the one that the task names');
    }
    const { byUser, byItem } = await data.align(catalogue);
    this.#byUser = byUser;
    this.#local = new LocalSums({ plan: this.#plan, byUser, byItem, device: this.#device });
    if (this.#plan.privacy !== undefined) {
      this.#purse = await PrivacyPurse.open(path.join(stateDir, 'ledger'), {
        run: this.#runId,
        privacy: this.#plan.privacy,
        policy,
      });
    }
    this.#catalogue = catalogue;
  }

  async #pull(which: 'items' | 'operand', hash: Buffer): Promise<Float32Array> {
    const name = hash.toString('hex');
    const held = which === 'items' ? this.#items : this.#operand;
    if (held?.hash === name) return held.table;
    const { link, audit, signal } = this.#o;
    const table = new Float32Array(this.#catalogue!.names.length * this.#plan.factors);
    audit.poll();
    await link.table(which, hash, table, signal);
    if (!Buffer.from(tableHash(table)).equals(hash)) {
      throw new CorruptError('STOA_CHECKSUM', `the ${which} are not those that the task names`);
    }
    if (which === 'items') this.#items = { hash: name, table };
    else this.#operand = { hash: name, table };
    return table;
  }

  async #finish(end: RunEnd__Output): Promise<ParticipantResult> {
    const { data, signal } = this.#o;
    if (this.#catalogue === undefined) {
      throw new StoaError(
        'STOA_RUN_FAILED',
        `the run ended before this participant was in a round: ${end.reason}`,
      );
    }
    const items = await this.#patiently(() => this.#pull('items', end.itemsHash));
    // As central training leaves it, users are those that the items were solved from; who was not in the last sweep, or
    // knows only noised items, is solved anew.
    const isCurrent = this.#lastSweep === this.#plan.sweeps - 1 && this.#plan.privacy === undefined;
    if (!isCurrent) await this.#local.solve(items, end.itemsHash.toString('hex'), signal);
    return {
      runId: this.#runId,
      plan: this.#plan,
      users: this.#local.users,
      items,
      catalogue: this.#catalogue,
      data,
      byUser: this.#byUser,
      isComplete: end.isComplete,
      rounds: this.#rounds,
      ...(this.#firstRound === undefined ? {} : { firstRound: this.#firstRound }),
      bytesSent: this.#bytes,
      ...(this.#purse === undefined ? {} : { epsilon: this.#purse.epsilon }),
      device: deviceFacts(this.#device.info),
    };
  }

  /** Tries again while the coordinator is out of reach; joins again when it does not know the token. */
  async #patiently<T>(work: () => Promise<T>): Promise<T> {
    const { signal, log } = this.#o;
    const startMs = performance.now();
    for (let isSaid = false; ; ) {
      try {
        return await work();
      } catch (error) {
        signal.throwIfAborted();
        if (isOver(error) && this.#runId !== '') await this.#join();
        else if (!isUnreachable(error) || performance.now() - startMs > RECONNECT_MS) throw error;
        if (!isSaid) log.warn({ err: messageOf(error) }, 'the coordinator is out of reach; trying again');
        isSaid = true;
        await sleep(BACKOFF_MS, undefined, { signal }).catch(() => {});
      }
    }
  }
}

function isUnreachable(error: unknown): boolean {
  if (!(error instanceof SystemError)) return false;
  return error.code === 'STOA_UNREACHABLE' || error.code === 'STOA_DEADLINE';
}

function isOver(error: unknown): boolean {
  return error instanceof FencedError && error.code === 'STOA_SESSION_OVER';
}
