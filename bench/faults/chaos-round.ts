// One run of real processes that is disturbed while it trains: a coordinator, workers behind proxies, parameter processes
// where there are any, and the client that submitted it and fetches its model.

import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { TrainingClient } from '../../client/index.js';
import { createRandom } from '../../common/random.js';
import { readSafetensors } from '../../coordinator/registry/safetensors.js';
import { type Fault, planFaults, type Target } from './chaos-plan.js';
import { patiently } from './kill-coordinator.js';
import { freePort, ProcessCluster, type StoaChild } from './process-cluster.js';
import { TcpProxy } from './tcp-proxy.js';

export interface ChaosRun {
  /** A folder to work in; made when it is not there. */
  readonly folder: string;
  /** Dataset folder. */
  readonly dataset: string;
  readonly settings: Readonly<Record<string, string | number>>;
}

export interface ChaosRound extends ChaosRun {
  /** `grpc`: all rows cross the proxies; `auto`: rows go through memory, and calls through the proxies. */
  readonly transfer: 'auto' | 'grpc';
  readonly seed: number;
  /** Parameter processes that have the rows; 0: the coordinator has them. */
  readonly parameters: number;
  /** At most so many: those that are due after the end of the run are left out. */
  readonly faults: number;
}

export interface ChaosReport {
  /** Those that were done while the run went on. */
  readonly faults: readonly Fault[];
  /** From the submission to the end of the client, milliseconds. */
  readonly tookMs: number;
  /** That the workers' links carried, both directions. */
  readonly proxiedBytes: number;
  /** SHA-256 of the fetched tables of factors. */
  readonly model: string;
}

const WORKERS = 3;
/** Once nobody is disturbed any more, a run must end within this time, also on a machine that others use. */
const ENDING_MS_MAX = 180_000;
/** A process that is asked to leave has this long. */
const LEAVING_MS_MAX = 30_000;

/** The bytes that the same run ends with when nobody disturbs it: on one worker, without proxies. */
export async function undisturbedModel({ folder, dataset, settings }: ChaosRun): Promise<string> {
  await mkdir(folder, { recursive: true });
  const cluster = new ProcessCluster(folder);
  const port = await freePort();
  try {
    cluster.coordinator(port);
    cluster.worker('w1', [port]);
    await untilAnswering(port);
    await cluster.run(trainLine({ folder, dataset, settings }, port));
    return await modelHash(folder);
  } finally {
    await cluster.close();
  }
}

/**
 * Runs, disturbs, and answers what came of it. What all processes said is in `folder/logs` afterwards.
 *
 * @throws an Error: the run failed, did not end, or a process ended that nobody had ended.
 */
export async function chaosRound(round: ChaosRound): Promise<ChaosReport> {
  await mkdir(round.folder, { recursive: true });
  const stage = await Stage.open(round);
  try {
    return await stage.play();
  } finally {
    await stage.close();
  }
}

/** The processes of a round, and what was done to them. */
class Stage {
  readonly #round: ChaosRound;
  readonly #cluster: ProcessCluster;
  readonly #port: number;
  readonly #links: ReadonlyMap<Target, TcpProxy>;
  /** Where parameter processes are found, also after they were started again. */
  readonly #parameterPorts: ReadonlyMap<Target, number>;
  readonly #processes = new Map<Target, StoaChild>();
  /** Those that were told to end. */
  readonly #dismissed = new Set<StoaChild>();
  readonly #all: { name: string; process: StoaChild }[] = [];
  /** Aborts with the first thing that went wrong, or when the run is over. */
  readonly #end = new AbortController();

  private constructor(
    round: ChaosRound,
    port: number,
    links: Map<Target, TcpProxy>,
    parameterPorts: Map<Target, number>,
  ) {
    this.#round = round;
    this.#cluster = new ProcessCluster(round.folder);
    this.#port = port;
    this.#links = links;
    this.#parameterPorts = parameterPorts;
  }

  static async open(round: ChaosRound): Promise<Stage> {
    const port = await freePort();
    const links = new Map<Target, TcpProxy>();
    for (let n = 1; n <= WORKERS; n++) {
      const random = createRandom(round.seed, n);
      links.set(`w${n}-link`, await TcpProxy.start({ targetPort: port, port: await freePort(), random }));
    }
    const parameterPorts = new Map<Target, number>();
    for (let n = 1; n <= round.parameters; n++) parameterPorts.set(`p${n}`, await freePort());
    return new Stage(round, port, links, parameterPorts);
  }

  async play(): Promise<ChaosReport> {
    this.#start('coordinator');
    await untilAnswering(this.#port);
    for (let n = 1; n <= WORKERS; n++) this.#start(`w${n}`);
    for (const target of this.#parameterPorts.keys()) this.#start(target);
    const client = this.#cluster.stoa(trainLine(this.#round, this.#port));
    this.#all.push({ name: 'client', process: client });
    const isOver = client.ended.then(() => this.#end.abort());
    while (!client.said().includes(' is with ') && client.child.exitCode === null) await sleep(20);
    const startMs = performance.now();
    const faults = await this.#disturb(
      planFaults(createRandom(this.#round.seed), { workers: WORKERS, ...this.#round }),
    );
    const late = setTimeout(
      () =>
        this.#end.abort(new Error(`the run had not ended ${ENDING_MS_MAX / 1000} s after the last fault`)),
      ENDING_MS_MAX,
    );
    await Promise.race([isOver, untilAborted(this.#end.signal)]);
    clearTimeout(late);
    const tookMs = Math.round(performance.now() - startMs);
    const { reason } = this.#end.signal;
    if (reason instanceof Error && reason.name !== 'AbortError') throw reason;
    if (client.child.exitCode !== 0)
      throw new Error(`the client failed: ${client.said().trim().split('\n').at(-1)}`);
    const bytes = [...this.#links.values()].map(({ passedBytes }) => passedBytes.up + passedBytes.down);
    const proxiedBytes = bytes.reduce((sum, one) => sum + one, 0);
    return { faults, tookMs, proxiedBytes, model: await modelHash(this.#round.folder) };
  }

  /** Ends all processes and keeps what they said. */
  async close(): Promise<void> {
    for (const process of this.#processes.values()) this.#dismissed.add(process);
    await this.#cluster.close();
    await Promise.all([...this.#links.values()].map((link) => link.close()));
    const logs = path.join(this.#round.folder, 'logs');
    await mkdir(logs, { recursive: true });
    for (const [n, { name, process }] of this.#all.entries())
      await writeFile(path.join(logs, `${String(n).padStart(2, '0')}-${name}.txt`), process.said());
  }

  /** @returns what was done, once all have got over it or the run is over. */
  async #disturb(plan: readonly Fault[]): Promise<Fault[]> {
    const startMs = performance.now();
    const done: Fault[] = [];
    /** One fault at a time for each target. */
    const busy = new Map<Target, Promise<void>>();
    for (const fault of plan) {
      await this.#pause(fault.atMs - (performance.now() - startMs));
      const before = busy.get(fault.target) ?? Promise.resolve();
      const work = before.then(async () => {
        if (this.#end.signal.aborted) return;
        done.push(fault);
        await this.#inflict(fault);
      });
      work.catch((error) => this.#end.abort(error));
      busy.set(fault.target, work);
    }
    await Promise.race([Promise.allSettled(busy.values()), untilAborted(this.#end.signal)]);
    return done;
  }

  async #inflict({ target, kind, forMs, direction }: Fault): Promise<void> {
    const link = this.#links.get(target)!;
    const process = this.#processes.get(target)!;
    switch (kind) {
      case 'kill':
        this.#dismissed.add(process);
        await process.kill();
        await this.#pause(forMs);
        return this.#start(target);
      case 'terminate':
        await this.#terminate(target, process);
        await this.#pause(forMs);
        return this.#start(target);
      case 'freeze':
      case 'freeze-long':
        process.child.kill('SIGSTOP');
        await this.#pause(forMs);
        process.child.kill('SIGCONT');
        return;
      case 'delay':
        link.delay(DELAY_MS_MAX);
        await this.#pause(forMs);
        return link.delay(0);
      case 'stall':
      case 'stall-long':
        link.stall(direction);
        await this.#pause(forMs);
        return link.resume(direction);
      case 'cut':
        link.cut();
        return;
      case 'half-close':
        link.halfClose(direction);
    }
  }

  async #terminate(target: Target, process: StoaChild): Promise<void> {
    this.#dismissed.add(process);
    process.child.kill('SIGTERM');
    await Promise.race([process.ended, this.#pause(LEAVING_MS_MAX)]);
    if (this.#end.signal.aborted) return;
    const { exitCode } = process.child;
    if (exitCode === null && process.child.signalCode === null)
      throw new Error(`${target} had not left ${LEAVING_MS_MAX / 1000} s after SIGTERM`);
    // One that has just been started does not listen to signals yet, and ends by the signal or as interrupted.
    if (exitCode !== null && exitCode !== 0 && exitCode !== INTERRUPTED)
      throw new Error(`${target} left with exit code ${exitCode}`);
  }

  #start(target: Target): void {
    if (this.#end.signal.aborted) return;
    const process = this.#spawn(target);
    this.#processes.set(target, process);
    this.#all.push({ name: target, process });
    void process.ended.then(() => {
      if (this.#dismissed.has(process)) return;
      this.#end.abort(new Error(`${target} ended by itself: ${process.said().trim().split('\n').at(-1)}`));
    });
  }

  #spawn(target: Target): StoaChild {
    const port = this.#port;
    if (target === 'coordinator') {
      return this.#cluster.coordinator(port, '--parameters', `${this.#parameterPorts.size}`);
    }
    const own = this.#parameterPorts.get(target);
    return own === undefined ? this.#startWorker(target) : this.#cluster.parameters(target, own, port);
  }

  #startWorker(name: string): StoaChild {
    const link = this.#links.get(`${name}-link` as Target)!;
    return this.#cluster.worker(name, [link.port], { STOA_TRANSFER: this.#round.transfer });
  }

  async #pause(ms: number): Promise<void> {
    await sleep(Math.max(0, ms), undefined, { signal: this.#end.signal }).catch(() => {});
  }
}

/** Exit code of `stoa` when it is told to end and has nothing to end in good order yet. */
const INTERRUPTED = 130;
/** For each piece on a link that is slow. */
const DELAY_MS_MAX = 40;

function trainLine({ folder, dataset, settings }: ChaosRun, port: number): string[] {
  const sets = Object.entries(settings).flatMap(([key, value]) => ['--set', `${key}=${value}`]);
  const out = path.join(folder, 'run');
  return ['train', '--data', dataset, '--coordinator', `127.0.0.1:${port}`, '--out', out, ...sets];
}

/** Of the tables and their names; the header of the file has the version too, which is the run's own. */
async function modelHash(folder: string): Promise<string> {
  const tables = await readSafetensors(path.join(folder, 'run', 'model', 'factors.safetensors'));
  const hash = createHash('sha256');
  for (const [name, { data }] of [...tables].sort(([a], [b]) => (a < b ? -1 : 1)))
    hash.update(name).update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  return hash.digest('hex');
}

async function untilAnswering(port: number): Promise<void> {
  const client = new TrainingClient({ address: { host: '127.0.0.1', port } });
  await patiently(() => client.listRuns()).finally(() => client.close());
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
