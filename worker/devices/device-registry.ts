import { DeviceError, UsageError } from '../../common/errors.js';
import { suggestion } from '../../common/nearest.js';
import type { ComputeDevice, DeviceFactory } from '../../models/device.js';
import { portableDevice } from './portable.js';
import { parseTfjsDevice, TFJS_DEVICE_NAMES, tfjsDeviceOf } from './tfjs.js';

/**
 * The order in which `auto` tries devices, fastest first. Of tfjs only a GPU through CUDA: its other providers are
 * slower than what stands beside them here.
 */
const AUTO: readonly DeviceFactory[] = [tfjsDeviceOf('node-gpu'), portableDevice];

/** Names that `--device` takes. */
export const DEVICE_NAMES: readonly string[] = ['auto', 'portable', ...TFJS_DEVICE_NAMES];

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
  for (const factory of factoriesOf(name)) {
    const probe = await factory.probe();
    if (probe.ok) return factory.open(options);
    failures.push(`device "${factory.kind}" does not work here: ${probe.reason}; ${probe.remedy}`);
  }
  throw new DeviceError('STOA_DEVICE', failures.join('; '));
}

/** The devices that a name stands for, in the order in which they are tried. */
function factoriesOf(name: string): readonly DeviceFactory[] {
  if (name === 'auto') return AUTO;
  const tfjs = parseTfjsDevice(name);
  return [tfjs === undefined ? portableDevice : tfjsDeviceOf(tfjs.provider)];
}
