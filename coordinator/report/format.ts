// Numbers and times as the report prints them, the same in every locale.

/** 1182745 → "1,182,745". */
export function formatCount(value: number): string {
  return Math.round(value)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, ',');
}

/** A number for a cell: whole numbers with separators, others with four significant digits. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (Number.isInteger(value)) return value < 0 ? `-${formatCount(-value)}` : formatCount(value);
  const magnitude = Math.abs(value);
  if (magnitude >= 10_000) return `${value < 0 ? '-' : ''}${formatCount(magnitude)}`;
  return magnitude < 0.0001 ? value.toExponential(2) : String(Number(value.toPrecision(4)));
}

/** Labels of an axis, short ("1.2M" rather than "1,200,000") and as long as it takes to tell them apart. */
export function formatTicks(values: readonly number[]): string[] {
  for (let digits = 3; ; digits++) {
    const labels = values.map((value) => shortNumber(value, digits));
    if (new Set(labels).size === values.length || digits === 15) return labels;
  }
}

function shortNumber(value: number, digits: number): string {
  const magnitude = Math.abs(value);
  for (const [unit, size] of [
    ['G', 1e9],
    ['M', 1e6],
    ['k', 1e3],
  ] as const) {
    if (magnitude >= size) return `${Number((value / size).toPrecision(digits))}${unit}`;
  }
  return String(Number(value.toPrecision(digits)));
}

/** 83.21 → "1 min 23 s". */
export function formatSeconds(seconds: number): string {
  if (seconds < 0.0995) return `${Number((seconds * 1000).toPrecision(2))} ms`;
  if (seconds < 59.95) return `${Number(seconds.toPrecision(3))} s`;
  const whole = Math.round(seconds);
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${whole % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export function formatBytes(bytes: number): string {
  if (bytes < 1e6) return `${formatCount(bytes / 1e3)} kB`;
  return bytes < 1e9 ? `${formatCount(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
}
