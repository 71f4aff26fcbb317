import { DeviceError, UsageError } from '../../common/errors.js';
import { suggestion } from '../../common/nearest.js';
import type { ComputeDevice, DeviceFactory, DeviceKind } from '../../models/device.js';
import { nativeDevice } from './native.js';
import { portableDevice } from './portable.js';

/** Devices of this build, fastest first: the order in which `auto` tries them. */
const FACTORIES: readonly DeviceFactory[] = [nativeDevice, portableDevice];

/** What it costs to have come to a device because those before it do not work. */
const SLOWER: Partial<Record<DeviceKind, string>> = {
  portable: 'the portable device computes instead, about 20 times slower',
};

/** Names that `--device` takes. */
export const DEVICE_NAMES: readonly string[] = ['auto', ...FACTORIES.map((factory) => factory.kind)];

/** More threads than this on one device is a mistyped number. */
const THREADS_MAX = 1024;

/**
 * Opens a device by name; `auto` is the first that works here.
 *
 * @param options `threads`: 1 to 1024.
 * @throws {UsageError} unknown name (names the nearest) or a number of threads that is none.
 * @throws {DeviceError} `STOA_DEVICE`: the device does not work here; says why and what to do.
 */
export async function openDevice(name: string, options: { threads: number }): Promise<ComputeDevice> {
  const { threads } = options;
  if (!Number.isInteger(threads) || threads < 1 || threads > THREADS_MAX) {
    throw new UsageError(
      'STOA_USAGE',
      `--threads ${threads} is not a whole number from 1 to ${THREADS_MAX}`,
      {
        fields: { field: '--threads' },
      },
    );
  }
  if (!DEVICE_NAMES.includes(name)) {
    const hint = suggestion(name, DEVICE_NAMES);
    throw new UsageError(
      'STOA_USAGE',
      `unknown device "${name}"; known are ${DEVICE_NAMES.join(', ')}${hint}`,
      {
        fields: { field: '--device' },
      },
    );
  }
  const failures: string[] = [];
  for (const factory of FACTORIES) {
    if (name !== 'auto' && factory.kind !== name) continue;
    const probe = await factory.probe();
    if (probe.ok) {
      // Nobody should wonder why a run is slow.
      if (failures.length > 0) console.error(`stoa: ${failures.join('; ')}; ${SLOWER[factory.kind] ?? ''}`);
      return factory.open(options);
    }
    failures.push(`device "${factory.kind}" does not work here: ${probe.reason}; ${probe.remedy}`);
  }
  throw new DeviceError('STOA_DEVICE', failures.join('; '));
}
