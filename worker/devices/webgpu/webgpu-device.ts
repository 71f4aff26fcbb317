import { DeviceError } from '../../../common/errors.js';
import { type AdapterFacts, describeAdapter } from '../../../kernels/binding/webgpu/gpu-adapter.js';
import type { GpuDevice } from '../../../kernels/binding/webgpu/gpu-device.js';
import type {
  BlockResult,
  BlockTask,
  ComputeDevice,
  DeviceCapabilities,
  DeviceInfo,
  FactorTable,
  ScoreTask,
  TopNResult,
  TopNTask,
} from '../../../models/device.js';
import { checkBlockTask, checkRange, checkScoreTask, checkTopNTask } from './checks.js';
import { DeviceTable, HOST_TABLE_BYTES_MAX } from './device-table.js';
import { GpuSession, LANES } from './gpu-session.js';
import { PhaseConstants } from './phase-constants.js';
import { scorePairs } from './score-pairs.js';
import { solveBlock } from './solve-block.js';
import { TOP_N_MAX, topN } from './top-n.js';
import { untilAborted } from './until-aborted.js';

/** A thread of solve-rows.wgsl owns four rows of the system; 64 of them are a workgroup everywhere. */
const FACTORS_MAX = 256;

/** Phases whose constants are kept: the present one, and the one before while its last blocks end. */
const PHASES_KEPT = 2;

export interface WebgpuLimits {
  /** Tables of more bytes stay in the host's memory and are streamed. @default what one binding of the GPU may hold */
  readonly residentBytesMax?: number;
}

export class WebgpuDevice implements ComputeDevice {
  readonly info: DeviceInfo;
  readonly capabilities: DeviceCapabilities;
  readonly lost: Promise<{ reason: 'disposed' | 'lost'; message: string }>;
  readonly #session: GpuSession;
  readonly #residentBytesMax: number;
  readonly #tables = new WeakMap<FactorTable, DeviceTable>();
  readonly #phases: PhaseConstants[] = [];
  #disposal: Promise<void> | undefined;

  constructor(gpu: GpuDevice, limits: WebgpuLimits = {}) {
    this.#session = new GpuSession(gpu);
    this.#residentBytesMax = Math.min(
      limits.residentBytesMax ?? Number.POSITIVE_INFINITY,
      gpu.limits.bufferBytesMax,
    );
    this.info = webgpuInfo(gpu.adapter.facts);
    this.capabilities = {
      solvers: new Set(['cholesky', 'cg', 'ials++']),
      gathers: new Set(['f32']),
      factorsMax: FACTORS_MAX,
      topNMax: TOP_N_MAX,
      blocksInFlight: LANES,
      tableBytesMax: HOST_TABLE_BYTES_MAX,
      determinism: 'bitwise',
    };
    this.lost = gpu.lost.then((message) =>
      this.#disposal === undefined
        ? { reason: 'lost', message }
        : { reason: 'disposed', message: 'the webgpu device was disposed of' },
    );
  }

  async createTable(rows: number, factors: number): Promise<FactorTable> {
    this.#checkOpen();
    if (factors > FACTORS_MAX) {
      throw new DeviceError(
        'STOA_DEVICE',
        `the webgpu device takes up to ${FACTORS_MAX} factors, not ${factors}; use fewer, or another device`,
        { fields: { factors } },
      );
    }
    const made = await DeviceTable.create(
      this.#session,
      { rows, factors },
      { residentBytesMax: this.#residentBytesMax },
    );
    const table = { rows, factors, dispose: () => made.dispose() } as unknown as FactorTable;
    this.#tables.set(table, made);
    return table;
  }

  async write(table: FactorTable, rowStart: number, data: Float32Array): Promise<void> {
    checkRange(table, rowStart, rowStart + data.length / table.factors);
    await this.#guard(this.#tableOf(table).write(rowStart, data));
  }

  async read(table: FactorTable, rowStart: number, rowEnd: number): Promise<Float32Array> {
    checkRange(table, rowStart, rowEnd);
    return this.#guard(this.#tableOf(table).read(rowStart, rowEnd));
  }

  async solveBlock(task: BlockTask): Promise<BlockResult> {
    const table = this.#tableOf(task.fixed);
    checkBlockTask(task, table);
    task.signal?.throwIfAborted();
    const constants = this.#constantsOf(task);
    constants.retain();
    const work = solveBlock(this.#session, table, constants, task).finally(() => constants.release());
    return this.#guard(work, task.signal);
  }

  async topN(task: TopNTask): Promise<TopNResult> {
    const table = this.#tableOf(task.items);
    const count = checkTopNTask(task, TOP_N_MAX);
    task.signal?.throwIfAborted();
    return this.#guard(topN(this.#session, table, task, count), task.signal);
  }

  async score(task: ScoreTask): Promise<Float32Array> {
    const table = this.#tableOf(task.items);
    checkScoreTask(task);
    task.signal?.throwIfAborted();
    return this.#guard(scorePairs(this.#session, table, task), task.signal);
  }

  dispose(): Promise<void> {
    this.#disposal ??= this.#session.destroy();
    return this.#disposal;
  }

  /** What was under way when the device was disposed of fails with that, whatever step it failed in. */
  async #guard<T>(work: Promise<T>, signal?: AbortSignal): Promise<T> {
    try {
      return await untilAborted(work, signal);
    } catch (error) {
      if (error instanceof DeviceError) this.#checkOpen();
      throw error;
    }
  }

  #constantsOf({ gram, fixed, objective }: BlockTask): PhaseConstants {
    const kept = this.#phases.find((phase) => phase.fits(gram, fixed.factors, objective));
    if (kept !== undefined) return kept;
    const made = new PhaseConstants(this.#session.gpu, gram, fixed.factors, objective);
    this.#phases.unshift(made);
    while (this.#phases.length > PHASES_KEPT) this.#phases.pop()!.retire();
    return made;
  }

  #tableOf(table: FactorTable): DeviceTable {
    this.#checkOpen();
    const made = this.#tables.get(table);
    if (made === undefined || made.isDisposed) {
      throw new DeviceError('STOA_DEVICE', 'the table was disposed of, or belongs to another device');
    }
    return made;
  }

  #checkOpen(): void {
    if (this.#disposal === undefined) return;
    throw new DeviceError('STOA_DEVICE', 'the webgpu device was disposed of; open it again');
  }
}

/** What people and reproducibility keys are told of an adapter. */
export function webgpuInfo(facts: AdapterFacts): DeviceInfo {
  const { vendor, architecture, device, description, isSoftware } = facts;
  const label = isSoftware ? 'emulated GPU ' : '';
  return {
    kind: 'webgpu',
    name: `${label}${describeAdapter(facts)} via Dawn`,
    isSoftware,
    threads: 1,
    detail: {
      provider: 'dawn',
      backend: BACKENDS[process.platform] ?? 'vulkan',
      vendor,
      architecture,
      device,
      driver: description,
      precision: 'f32',
    },
  };
}

/** What Dawn prefers on each system. */
const BACKENDS: Readonly<Partial<Record<NodeJS.Platform, string>>> = { darwin: 'metal', win32: 'd3d12' };
