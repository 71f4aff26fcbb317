import { UsageError } from '../../common/errors.js';
import { suggestion } from '../../common/nearest.js';
import type { DeviceFactory } from '../../models/device.js';

/** What a name of `--device` means. */
export interface NamedDevice {
  readonly factory: DeviceFactory;
  readonly provider: string | undefined;
}

/** Names that `--device` takes. */
export function deviceNames(factories: readonly DeviceFactory[]): string[] {
  const named = ({ kind, providers = [] }: DeviceFactory) => [
    kind,
    ...providers.map((provider) => `${kind}:${provider}`),
  ];
  return ['auto', ...factories.flatMap(named)];
}

/**
 * Reads a name: `auto`, a kind of device, or `KIND:PROVIDER`.
 *
 * @throws {UsageError} there is no such device or provider; names the nearest.
 */
export function parseDeviceName(name: string, factories: readonly DeviceFactory[]): NamedDevice | 'auto' {
  if (name === 'auto') return name;
  const names = deviceNames(factories);
  const [kind, provider] = name.split(':');
  const factory = factories.find((known) => known.kind === kind);
  if (factory !== undefined && names.includes(name)) return { factory, provider };
  throw new UsageError(
    'STOA_USAGE',
    `unknown device "${name}"; known are ${names.join(', ')}${suggestion(name, names)}`,
    { fields: { field: '--device' } },
  );
}
