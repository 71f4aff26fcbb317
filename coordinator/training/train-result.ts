import type { DeviceFacts } from '../../models/device-facts.js';

/** What `stoa train --json` prints and `result.json` holds. Field names are a contract. */
export interface TrainResult {
  run_id: string;
  /** What was trained: "ials", "bpr", "mf". */
  model: string;
  users: number;
  items: number;
  interactions: number;
  /** K. */
  factors: number;
  /** Epochs done: fewer than asked for where the run stopped early. */
  epochs: number;
  /** "cholesky", "cg", "ials++"; "sgd" for bpr and mf. */
  solver: string;
  /** Kinds of the devices that computed, e.g. "portable"; several are joined by "+". */
  device: string;
  /** Each different device that computed. */
  device_detail: DeviceFacts[];
  /** Most workers that were there at once. */
  workers: number;
  /** Threads of a worker; the most where they differ. */
  threads: number;
  seed: number;
  /** Time of both phases of each epoch, with the exchange of factors. */
  epoch_seconds: number[];
  /** From the start of the run to its end: planning, waiting for workers, training, evaluation, saving; without pauses. */
  seconds_total: number;
  /** Sum over the processes of `peak_rss_by_process`. */
  peak_rss_bytes: number;
  /** Peak resident set size of the coordinator and of each worker by its name. */
  peak_rss_by_process: Record<string, number>;
  /** Loss after each epoch; with train.loss. */
  loss?: number[];
  /** With a test set: metrics, baselines, intervals, users_evaluated. */
  metrics?: Record<string, unknown>;
  /** How blocks exchanged what they learned (bpr, mf): "bsp", "ssp:2", … */
  sync?: string;
  /** Entry s: reads of the run that were s clocks behind (bpr, mf). */
  staleness?: number[];
  /** Loss of the interactions kept from training, after each epoch; with train.early_stopping. */
  validation?: number[];
  /** Epoch whose tables the model has: the first with the least of these losses; with train.early_stopping. */
  epoch_kept?: number;
  /** True when the data were made by `stoa data synthesize`. */
  synthetic: boolean;
  /** Folder of the model. */
  model_dir: string;
  dataset_fingerprint: string;
}
