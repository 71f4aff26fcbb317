import type { DeviceInfo } from './device.js';

/** Facts that a device tells about itself and that no bit depends on. */
const WITHOUT_EFFECT: ReadonlySet<string> = new Set(['passed', 'memory', 'memoryBytes']);

/**
 * What the bits of a device's results depend on: devices with equal keys give equal bits.
 *
 * `native` gives the same bits with every instruction set that fuses products and sums, so that its `arithmetic` is
 * all that counts; the portable device computes in f64, where only the engine's own functions could differ; of others
 * every detail counts, driver and build included.
 */
export function reproducibilityKey({ kind, detail }: DeviceInfo): string {
  if (kind === 'native') return `native ${String(detail['arithmetic'])}`;
  if (kind === 'portable') {
    const engine = String(detail['v8']).split('.').slice(0, 2).join('.');
    return `portable v8 ${engine}`;
  }
  const facts = Object.entries(detail).filter(([name]) => !WITHOUT_EFFECT.has(name));
  return [kind, ...facts.map(([name, value]) => `${name}=${String(value)}`).sort()].join(' ');
}
