import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { Disposition, Lease } from '../schedule/events.js';
import type { ScheduleObserver } from './schedule-host.js';

/** Prometheus metrics of training. */
export class TrainingMetrics implements Omit<ScheduleObserver, 'sessionEnded'> {
  readonly #leased: Counter<'kind'>;
  readonly #settled: Counter<'disposition'>;
  readonly #expired: Counter;
  readonly #phaseSeconds: Histogram<'side'>;
  readonly #rowBytes: Counter<'direction' | 'way'>;
  readonly #staleness: Histogram;

  #workerCount = () => 0;

  constructor(registry: Registry) {
    const workerCount = () => this.#workerCount();
    const registers = [registry];
    this.#leased = new Counter({
      name: 'stoa_blocks_leased_total',
      help: 'Blocks lent to workers; "backup" are second leases of late blocks.',
      labelNames: ['kind'],
      registers,
    });
    this.#settled = new Counter({
      name: 'stoa_blocks_settled_total',
      help: 'Results of workers; "duplicate" and "stale" changed nothing.',
      labelNames: ['disposition'],
      registers,
    });
    this.#expired = new Counter({
      name: 'stoa_leases_expired_total',
      help: 'Leases that passed their deadline.',
      registers,
    });
    this.#phaseSeconds = new Histogram({
      name: 'stoa_phase_seconds',
      help: 'Duration of phases.',
      labelNames: ['side'],
      buckets: [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300],
      registers,
    });
    this.#staleness = new Histogram({
      name: 'stoa_read_staleness_clocks',
      help: 'How many clocks behind the reads of runs that push and pull were.',
      buckets: [0, 1, 2, 4, 8, 16, 32, 64],
      registers,
    });
    this.#rowBytes = new Counter({
      name: 'stoa_row_bytes_total',
      help: 'Bytes of factors that workers delivered ("in") and read ("out"), in messages or through an exchange file.',
      labelNames: ['direction', 'way'],
      registers,
    });
    new Gauge({
      name: 'stoa_workers',
      help: 'Workers that are there.',
      registers,
      collect() {
        this.set(workerCount());
      },
    });
  }

  /** Says from now on how many workers there are. */
  counts(workers: () => number): void {
    this.#workerCount = workers;
  }

  leased(leases: readonly Lease[]): void {
    for (const { isBackup } of leases) this.#leased.inc({ kind: isBackup ? 'backup' : 'first' });
  }

  settled(disposition: Disposition): void {
    this.#settled.inc({ disposition });
  }

  expired(): void {
    this.#expired.inc();
  }

  rowsMoved(direction: 'in' | 'out', way: 'message' | 'exchange', bytes: number): void {
    this.#rowBytes.inc({ direction, way }, bytes);
  }

  read(staleness: number): void {
    this.#staleness.observe(staleness);
  }

  phaseEnded(side: string, seconds: number): void {
    this.#phaseSeconds.observe({ side }, seconds);
  }
}
