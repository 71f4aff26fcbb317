// From values to places on a chart.

export interface Scale {
  /** Place of a value, in the units of the drawing. */
  at(value: number): number;
  /** Round values within the domain, ascending. */
  ticks: number[];
}

export interface ScaleOptions {
  /** Least and greatest value; equal ones are widened. */
  domain: [number, number];
  /** Where they lie. */
  range: [number, number];
  /** About how many ticks. @default 5 */
  ticks?: number;
}

/** A linear scale whose ends are widened to round values. */
export function linearScale({ domain, range, ticks = 5 }: ScaleOptions): Scale {
  const [low, high] = domain[0] === domain[1] ? [domain[0] - 0.5, domain[1] + 0.5] : domain;
  const step = roundStep((high - low) / ticks);
  const first = Math.floor(low / step + 1e-9);
  const last = Math.ceil(high / step - 1e-9);
  const values = Array.from({ length: last - first + 1 }, (_, i) => roundOff((first + i) * step, step));
  return placed(values, range, first * step, last * step);
}

/** Like `linearScale`, but ends exactly at the domain's ends: for time. */
export function exactScale({ domain, range, ticks = 5 }: ScaleOptions): Scale {
  const [low, high] = domain[0] === domain[1] ? [domain[0], domain[0] + 1] : domain;
  const step = roundStep((high - low) / ticks);
  const values: number[] = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++) {
    values.push(roundOff(i * step, step));
  }
  return placed(values, range, low, high);
}

/** A logarithmic scale over whole powers of ten. The domain lies above zero. */
export function logScale({ domain, range }: ScaleOptions): Scale {
  const first = Math.floor(Math.log10(domain[0]) + 1e-9);
  const last = Math.max(first + 1, Math.ceil(Math.log10(domain[1]) - 1e-9));
  const values = Array.from({ length: last - first + 1 }, (_, i) => 10 ** (first + i));
  const linear = placed(values, range, first, last);
  return { at: (value) => linear.at(Math.log10(value)), ticks: values };
}

function placed(ticks: number[], [start, end]: [number, number], low: number, high: number): Scale {
  const unit = (end - start) / (high - low);
  return { at: (value) => start + (value - low) * unit, ticks };
}

/** The next of 1, 2, 5 times a power of ten. */
function roundStep(step: number): number {
  const power = 10 ** Math.floor(Math.log10(step));
  const lead = step / power;
  if (lead <= 1.001) return power;
  if (lead <= 2.001) return 2 * power;
  return lead <= 5.001 ? 5 * power : 10 * power;
}

/** Takes away the dust of binary fractions: 0.30000000000000004 → 0.3. */
function roundOff(value: number, step: number): number {
  return Number(value.toFixed(Math.max(0, Math.ceil(-Math.log10(step)))));
}
