/** Clocks of an epoch that is cut into so many steps: the last one may have fewer of them. */
export function clocksPerEpoch(stepsPerEpoch: number, stepsPerClock: number): number {
  return Math.ceil(stepsPerEpoch / stepsPerClock);
}

/** Steps of a clock, counted over the run, half-open: no clock reaches into the next epoch. */
export function stepsOfClock(
  clock: number,
  o: { stepsPerEpoch: number; stepsPerClock: number },
): { stepStart: number; stepEnd: number } {
  const clocks = clocksPerEpoch(o.stepsPerEpoch, o.stepsPerClock);
  const epoch = Math.floor(clock / clocks);
  const within = (clock - epoch * clocks) * o.stepsPerClock;
  const start = epoch * o.stepsPerEpoch;
  return { stepStart: start + within, stepEnd: start + Math.min(within + o.stepsPerClock, o.stepsPerEpoch) };
}
