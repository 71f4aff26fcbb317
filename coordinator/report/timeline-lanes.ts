import type { Side } from '../../models/csr.js';
import type { PhaseRecord } from './phase-record.js';

/** One or more blocks that a worker computed with no visible gap between them. */
export interface TimelineBar {
  /** Epochs of the first and of the last block. */
  epoch: number;
  lastEpoch: number;
  /** Side of the first block. */
  side: Side;
  startMs: number;
  endMs: number;
  blocks: number;
}

/** What one worker did. Blocks that ran at the same time lie in different lanes. */
export interface WorkerTimeline {
  worker: string;
  lanes: TimelineBar[][];
  blocks: number;
  /** Sum of the blocks' times; more than the elapsed time where blocks ran at once. */
  busyMs: number;
}

interface TimedBlock {
  epoch: number;
  side: Side;
  startMs: number;
  endMs: number;
}

/**
 * Sorts the blocks of a run by worker and into lanes.
 *
 * @param gapMs what a pixel covers: short blocks closer than this become one bar.
 * @param lanesMax blocks beyond so many at once go into the last lane, where they may overlap.
 */
export function timelineLanes(
  phases: readonly PhaseRecord[],
  gapMs: number,
  lanesMax: number,
): WorkerTimeline[] {
  const byWorker = new Map<string, TimedBlock[]>();
  for (const { epoch, side, blocks } of phases) {
    for (const { worker, startMs, endMs } of blocks) {
      const known = byWorker.get(worker) ?? [];
      known.push({ epoch, side, startMs, endMs });
      byWorker.set(worker, known);
    }
  }
  return [...byWorker.keys()].sort().map((worker) => {
    const blocks = byWorker.get(worker)!.sort((a, b) => a.startMs - b.startMs || a.endMs - b.endMs);
    const busyMs = blocks.reduce((sum, block) => sum + block.endMs - block.startMs, 0);
    return { worker, lanes: intoLanes(blocks, gapMs, lanesMax), blocks: blocks.length, busyMs };
  });
}

function intoLanes(blocks: TimedBlock[], gapMs: number, lanesMax: number): TimelineBar[][] {
  const lanes: TimelineBar[][] = [];
  for (const block of blocks) {
    let lane = lanes.find((bars) => bars.at(-1)!.endMs <= block.startMs);
    if (lane === undefined && lanes.length < lanesMax) {
      lane = [];
      lanes.push(lane);
    }
    addBar(lane ?? lanes.at(-1)!, block, gapMs);
  }
  return lanes;
}

function addBar(lane: TimelineBar[], block: TimedBlock, gapMs: number): void {
  const last = lane.at(-1);
  if (last !== undefined && block.startMs - last.endMs < gapMs && cannotBeTold(last, block, gapMs)) {
    last.endMs = Math.max(last.endMs, block.endMs);
    last.lastEpoch = block.epoch;
    last.blocks += 1;
  } else {
    lane.push({ ...block, lastEpoch: block.epoch, blocks: 1 });
  }
}

/** Blocks of one phase need some pixels each to keep their edges; those of different phases one. */
function cannotBeTold(last: TimelineBar, block: TimedBlock, gapMs: number): boolean {
  const isSamePhase = last.lastEpoch === block.epoch && last.side === block.side;
  const widest = isSamePhase ? 4 * gapMs : gapMs;
  return (last.endMs - last.startMs) / last.blocks < widest && block.endMs - block.startMs < widest;
}
