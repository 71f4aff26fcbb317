// The scratch of a solving thread: what it keeps between rows, and the bound on it.

import { describe, expect, it } from 'vitest';
import { SHARED_FACTOR_DOUBLES_MAX, SolveWorkspace } from '../../models/ials/solve-workspace.js';
import { defaultObjective } from '../support/ials-problems.js';

describe('the factors that rows share', () => {
  const order = 512;
  const gram = new Float64Array(order * order);
  for (let k = 0; k < order; k++) gram[k * (order + 1)] = 1 + k;

  it('are kept up to a bound, the oldest going first, and come back the same', () => {
    const workspace = new SolveWorkspace();
    workspace.prepare(order, gram, defaultObjective);
    const first = workspace.sharedFactor(1);
    expect(workspace.sharedFactor(1)).toBe(first);
    const kept = SHARED_FACTOR_DOUBLES_MAX / (order * order);
    for (let penalty = 2; penalty <= kept; penalty++) workspace.sharedFactor(penalty);
    expect(workspace.sharedFactor(1)).toBe(first);
    const second = workspace.sharedFactor(2);
    workspace.sharedFactor(kept + 1);
    expect(workspace.sharedFactor(2)).toBe(second);
    const again = workspace.sharedFactor(1);
    expect(again).not.toBe(first);
    expect(Buffer.compare(Buffer.from(again.u.buffer), Buffer.from(first.u.buffer))).toBe(0);
  });

  it('are dropped when the Gram changes in place', () => {
    const workspace = new SolveWorkspace();
    const small = Float64Array.of(2, 0, 0, 2);
    workspace.prepare(2, small, defaultObjective);
    const before = workspace.sharedFactor(1);
    small[0] = 3;
    workspace.prepare(2, small, defaultObjective);
    expect(workspace.sharedFactor(1).u[0]).toBeCloseTo(Math.sqrt(0.1 * 3 + 1), 12);
    expect(before.u[0]).toBeCloseTo(Math.sqrt(0.1 * 2 + 1), 12);
  });

  it('say when the system they stand for is singular', () => {
    const workspace = new SolveWorkspace();
    workspace.prepare(2, Float64Array.of(1, 1, 1, 1), defaultObjective);
    expect(workspace.sharedFactor(0).isPositive).toBe(false);
    expect(workspace.sharedFactor(0.5).isPositive).toBe(true);
  });
});
