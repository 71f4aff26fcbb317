// What a run in progress looks like, drawn and as log lines.

import { describe, expect, it } from 'vitest';
import { LineDisplay } from '../../cli/live-display.js';
import { runFrame } from '../../cli/progress.js';
import { displayWidth } from '../../cli/text-table.js';
import { workFrames } from '../../cli/work-frames.js';
import type { RunStatus__Output } from '../../proto/generated/stoa/training/v1/RunStatus.js';

const worker = {
  name: 'worker-1',
  blocksDone: 12,
  blocksLeased: 2,
  isAlive: true,
  peakRssBytes: 1e8,
  threads: 1,
  device: 'portable',
  deviceDetail: 'portable TypeScript',
  flopsPerSecond: 0,
};

const status: RunStatus__Output = {
  runId: 'r1',
  state: 'RUN_STATE_RUNNING',
  epochs: 16,
  epochsDone: 2,
  phase: 'users',
  blocksTotal: 40,
  blocksDone: 25,
  rowsPerSecond: 184_201,
  secondsLeft: 12.3,
  workers: [worker, { ...worker, name: 'worker-2', blocksDone: 13 }],
  loss: [],
  error: '',
  createTime: null,
  resultJson: '',
  epochSeconds: [],
  leasesLate: 0,
  leasesRepeated: 0,
  rowBytes: 0,
};

describe('the frame of a run', () => {
  it('tells epoch, phase, share, pace and time left, and has a bar for each worker', () => {
    const { lines } = runFrame(status, 80);
    expect(lines).toHaveLength(3);
    expect(lines[0]).toMatch(/^epoch 3\/16 {2}users █+░+ {2}62 % {2}184,201 rows\/s {2}12 s left$/);
    expect(lines[1]).toMatch(/^ {2}worker-1 █+▒+░* 12 blocks, 2 at work$/);
    expect(lines[2]).toMatch(/^ {2}worker-2 █+▒+░* 13 blocks, 2 at work$/);
  });

  it('says the same in one line for logs', () => {
    expect(runFrame(status, 80).line).toBe('epoch 3/16 users  62 %, 184,201 rows/s, 12 s left');
  });

  it('shows a worker that has gone as gone', () => {
    const gone = { ...status, workers: [{ ...worker, isAlive: false }] };
    expect(runFrame(gone, 80).lines[1]).toMatch(/gone$/);
  });

  it('fits the terminal, with many workers and long names too', () => {
    const workers = Array.from({ length: 40 }, (_, i) => ({ ...worker, name: `a-very-long-host-name-${i}` }));
    const { lines } = runFrame({ ...status, workers }, 60);
    expect(lines.length).toBeLessThan(24);
    expect(lines.at(-1)).toContain('24 more workers');
    for (const line of lines) expect(displayWidth(line)).toBeLessThanOrEqual(60);
  });

  it('shows what has travelled, what did not come in time, and how fast each worker is', () => {
    const workers = [{ ...worker, flopsPerSecond: 1.94e9 }, worker];
    const traffic = { rowBytes: 3_400_000, leasesLate: 3, leasesRepeated: 1 };
    const { lines } = runFrame({ ...status, ...traffic, workers }, 90);
    expect(lines).toHaveLength(4);
    expect(lines[1]).toBe('  3.4 MB of rows moved, 3 leases late, 1 blocks lent twice');
    expect(lines[2]).toMatch(/2 at work, 1\.9 GFLOP\/s$/);
    expect(lines[3]).toMatch(/2 at work$/);
  });

  it('never counts an epoch beyond the last', () => {
    expect(runFrame({ ...status, epochsDone: 16 }, 80).line).toContain('epoch 16/16');
  });

  it('is news when blocks begin to be solved, not while they are', () => {
    const before = { ...status, blocksTotal: 0, phase: 'waiting for workers', workers: [] };
    expect(runFrame(status, 80, before).isMilestone).toBe(true);
    expect(runFrame({ ...status, blocksDone: 26 }, 80, status).isMilestone).toBe(false);
  });

  it('says what happens when no block is at work', () => {
    const waiting = { ...status, blocksTotal: 0, phase: 'waiting for workers', workers: [] };
    expect(runFrame(waiting, 80)).toMatchObject({ lines: ['waiting for workers'], isMilestone: true });
  });
});

describe('log lines of progress', () => {
  it('come at most once a second, the milestones at once, none twice', () => {
    const written: string[] = [];
    let nowMs = 0;
    const display = new LineDisplay(
      (line) => written.push(line),
      () => nowMs,
    );
    for (let i = 0; i < 40; i++) {
      nowMs = i * 100;
      display.show({ lines: [], line: `${Math.floor(i / 5)}` });
    }
    expect(written).toEqual(['0', '2', '4', '6']);
    display.show({ lines: [], line: 'evaluating', isMilestone: true });
    display.show({ lines: [], line: 'evaluating', isMilestone: true });
    expect(written.slice(4)).toEqual(['evaluating']);
  });
});

describe('the frames of other work', () => {
  it('mark a new phase, and show a share where the total is known', () => {
    const frames = workFrames();
    expect(frames({ phase: 'reading', done: 0 })).toMatchObject({ line: 'reading', isMilestone: true });
    expect(frames({ phase: 'reading', done: 1500 })).toMatchObject({
      line: 'reading: 1,500',
      isMilestone: false,
    });
    expect(frames({ phase: 'writing', done: 1, total: 4 })).toMatchObject({
      line: 'writing 25 %',
      isMilestone: true,
    });
  });
});
