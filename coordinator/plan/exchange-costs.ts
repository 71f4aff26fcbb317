// What it costs to move rows and to lend blocks, besides solving them.

/** CPU seconds of the processes at both ends of one way for rows. */
export interface ExchangeCosts {
  /** Of the coordinator, a byte that a worker reads from it; also how fast it can hand out rows: one thread does it. */
  coordinatorDown: number;
  /** Of the coordinator, a byte that a worker delivers. */
  coordinatorUp: number;
  /** Of a worker, a byte that it reads. */
  workerDown: number;
  /** Of a worker, a byte that it delivers: its checksum, its way, and the copy that the worker keeps. */
  workerUp: number;
}

/*
 * Measured with two and four workers against one on an AMD EPYC with AVX-512 (family 25 model 17), 2 M and 10 M
 * interactions, 27,600 × 5400 and 138,000 × 27,000, K = 64, everything bound to one core: the CPU time of each process
 * an epoch, by what it moved. Processors of other speeds differ about as their single threads do.
 */

/** Rows through memory shared by coordinator and workers. */
export const MEMORY_COSTS: ExchangeCosts = {
  coordinatorDown: 0.6e-9,
  coordinatorUp: 0.3e-9,
  workerDown: 1e-9,
  workerUp: 1e-9,
};

/** Rows in messages of gRPC over a connection. */
export const MESSAGE_COSTS: ExchangeCosts = {
  coordinatorDown: 7.7e-9,
  coordinatorUp: 1e-9,
  workerDown: 4.6e-9,
  workerUp: 4e-9,
};

/** CPU seconds of lending a block and taking its result, rows aside: leases, messages, journal. Measured as above. */
export const BLOCK_SECONDS = { coordinator: 1e-3, worker: 1e-3 } as const;

/**
 * CPU seconds of the coordinator between two phases: the end is told, the Gram summed, the checkpoint of the phase
 * written beside the next one. Measured as above.
 */
export const PHASE_SECONDS = 5e-3;

/**
 * CPU seconds a phase for each worker that takes part, at both ends: requests that wait, the Gram, the list of rows to
 * fetch, heartbeats. Measured as above: 12 ms together, shared out as the bytes are.
 */
export const WORKER_PHASE_SECONDS = { coordinator: 4e-3, worker: 8e-3 } as const;

/** Seconds from the last result of a phase to the first block of the next: a request that waits is answered. */
export const BARRIER_SECONDS = 3e-3;
