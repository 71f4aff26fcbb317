import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { LoadedModel } from '../registry/model-folder.js';

/** Seconds, from an answer without ranking (popular) to one that waited in a long queue. */
const LATENCY_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];

/** What is counted about serving, for Prometheus. */
export class ServingMetrics {
  readonly registry: Registry;
  readonly #latency: Histogram<'method' | 'reason'>;
  readonly #errors: Counter<'method' | 'code'>;
  readonly #model: Gauge<'version' | 'run_id'>;
  readonly #modelTime: Gauge;

  /**
   * @param registry where the metrics are added; undefined makes a new one.
   * @param waiting rankings that wait for a thread, asked at each scrape.
   */
  constructor(registry: Registry | undefined, waiting: () => number) {
    this.registry = registry ?? new Registry();
    this.#latency = new Histogram({
      name: 'stoa_recommend_duration_seconds',
      help: 'Time to answer, by method and the reason of the answer (similar and batch calls have none).',
      labelNames: ['method', 'reason'],
      buckets: LATENCY_BUCKETS,
      registers: [this.registry],
    });
    this.#errors = new Counter({
      name: 'stoa_recommend_errors_total',
      help: 'Requests that were refused or failed, by method and code.',
      labelNames: ['method', 'code'],
      registers: [this.registry],
    });
    this.#model = new Gauge({
      name: 'stoa_model_info',
      help: 'The model that is served: always 1, what it is stands in the labels.',
      labelNames: ['version', 'run_id'],
      registers: [this.registry],
    });
    this.#modelTime = new Gauge({
      name: 'stoa_model_create_time_seconds',
      help: 'When the served model was made, seconds since 1970-01-01T00:00:00Z.',
      registers: [this.registry],
    });
    new Gauge({
      name: 'stoa_recommend_waiting',
      help: 'Rankings that wait for a thread.',
      registers: [this.registry],
      collect() {
        this.set(waiting());
      },
    });
  }

  answered(method: string, reason: string, seconds: number): void {
    this.#latency.observe({ method, reason }, seconds);
  }

  failed(method: string, code: string): void {
    this.#errors.inc({ method, code });
  }

  serves(model: LoadedModel): void {
    this.#model.reset();
    this.#model.set({ version: model.version, run_id: model.manifest.lineage.runId }, 1);
    this.#modelTime.set(Date.parse(model.manifest.createTime) / 1000);
  }
}
