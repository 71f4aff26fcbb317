import type { DeviceCapabilities, GatherPrecision, SolverName } from '../../models/device.js';

/** What a run asks of a device. */
export interface DeviceNeeds {
  /** `sgd`: steps of stochastic gradient descent, which every device has, or its worker has beside it. */
  readonly solver: SolverName | 'sgd';
  readonly gather: GatherPrecision;
  /** K. */
  readonly factors: number;
}

/** What a device lacks for a run, to stand after its name; undefined when it lacks nothing. */
export function lackOf(capabilities: DeviceCapabilities, needs: DeviceNeeds): string | undefined {
  const { solvers, gathers, factorsMax } = capabilities;
  if (needs.solver === 'sgd') return undefined;
  if (!solvers.has(needs.solver)) {
    return `has no solver "${needs.solver}" (it has ${[...solvers].join(', ')}); choose another ials.solver or --device`;
  }
  if (!gathers.has(needs.gather)) {
    return `cannot gather in ${needs.gather}; leave out ials.gather or choose another --device`;
  }
  if (factorsMax < needs.factors) {
    return `takes at most ${factorsMax} factors, not ${needs.factors}; lower ials.factors or choose another --device`;
  }
  return undefined;
}
