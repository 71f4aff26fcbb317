/** Times and bounds of the schedule. All times are milliseconds of one monotonic clock. */
export interface ScheduleTiming {
  /** How often workers are told to send heartbeats. */
  readonly heartbeatMs: number;
  /** A session that was silent this long is over. Three heartbeats: one lost message ends nobody. */
  readonly sessionTimeoutMs: number;
  /** How often the rim calls `tick`; a longer gap means that the coordinator itself stood still. */
  readonly tickMs: number;
  /** Lease before any block of the run was timed: long enough for a first shard over a slow network. */
  readonly leaseMsFirst: number;
  /** Least lease afterwards: covers the pull of a whole table at the start of a phase. */
  readonly leaseMsMin: number;
  /** Leases last this many times the expected time; twice as long after each expiry of the block. */
  readonly leaseFactor: number;
  /** An idle worker gets a second lease of a block after this many times the expected time, … */
  readonly backupFactor: number;
  /** … but not before this. */
  readonly backupMsMin: number;
  /** Longest time that a lease request may wait for something to lend. */
  readonly waitMsMax: number;
  /** A block that workers report as failed this often fails the run. */
  readonly failuresMax: number;
  /** A worker whose blocks fail this often in a row gets no more of the run while others are there. */
  readonly quarantineFailures: number;
  /** A block that was being solved when its worker vanished, this often, fails the run: it may be what kills them. */
  readonly lossesMax: number;
}

export const DEFAULT_TIMING: ScheduleTiming = {
  heartbeatMs: 1000,
  sessionTimeoutMs: 3000,
  tickMs: 100,
  leaseMsFirst: 120_000,
  leaseMsMin: 30_000,
  leaseFactor: 10,
  backupFactor: 2,
  backupMsMin: 500,
  waitMsMax: 20_000,
  failuresMax: 4,
  quarantineFailures: 3,
  lossesMax: 8,
};
