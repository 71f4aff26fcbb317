import { type DeviceFacts, deviceText } from '../models/device-facts.js';
import type { PassedOver } from '../worker/devices/choose-device.js';

/** What computes, and why it does. */
export interface Computation {
  /** Of `--device`. */
  name: string;
  reason: string;
  passedOver: readonly PassedOver[];
  facts: DeviceFacts;
}

/** What a run says at its start: what computes and why; what it costs where the native device is missing. */
export function computationLines(
  { name, reason, passedOver, facts }: Computation,
  workers: number,
  isVerbose: boolean,
): string[] {
  const provider = facts.provider === null ? '' : ` by ${facts.provider}`;
  const driver = facts.driver === null ? '' : `, driver ${facts.driver}`;
  const each = workers === 1 ? '' : `, each of ${workers} workers`;
  const lines = [`computes on ${name}${provider}: ${deviceText(facts)}${driver}${each} (${reason})`];
  const native = passedOver.find((other) => other.name === 'native');
  if (facts.device === 'portable' && native !== undefined) {
    lines.push(
      `the native device is missing (${native.reason}), and the portable one takes about 18 to 20 times as long; ${native.remedy}`,
    );
  }
  if (isVerbose) {
    for (const other of passedOver) {
      if (other === native && lines.length > 1) continue;
      const remedy = other.remedy === '' ? '' : `; ${other.remedy}`;
      lines.push(`not on ${other.name}: ${other.reason}${remedy}`);
    }
  }
  return lines;
}
