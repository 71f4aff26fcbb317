// Devices that are the portable one with something about it changed: another name, another speed, faults on demand.

import { DeviceError } from '../../common/errors.js';
import type {
  BlockResult,
  BlockTask,
  ComputeDevice,
  DeviceCapabilities,
  DeviceFactory,
  DeviceInfo,
} from '../../models/device.js';
import { portableDevice } from '../../worker/devices/portable.js';

export interface Alteration {
  info?: Partial<DeviceInfo>;
  capabilities?: Partial<DeviceCapabilities>;
  /** Added to every block. */
  delayMs?: number;
  /** Called with each result, which it may spoil. */
  afterBlock?: (result: BlockResult) => void;
  /** Called before each block, counted from 1; what it throws is what the block fails with. */
  beforeBlock?: (count: number, device: AlteredDevice) => void;
}

/** The portable device, altered. `lose()` makes it a device that was lost. */
export interface AlteredDevice extends ComputeDevice {
  lose(message: string): void;
  readonly isDisposed: boolean;
}

export async function alteredDevice(threads: number, o: Alteration): Promise<AlteredDevice> {
  const inner = await portableDevice.open({ threads });
  let loseNow: (why: { reason: 'lost'; message: string }) => void = () => {};
  const lostByFault = new Promise<{ reason: 'lost'; message: string }>((resolve) => {
    loseNow = resolve;
  });
  let lostBecause: string | undefined;
  let isDisposed = false;
  let blocks = 0;
  const requireAlive = (): void => {
    if (lostBecause !== undefined) throw new DeviceError('STOA_DEVICE', lostBecause);
  };
  const device: AlteredDevice = {
    info: { ...inner.info, ...o.info },
    capabilities: { ...inner.capabilities, ...o.capabilities },
    lost: Promise.race([inner.lost, lostByFault]),
    get isDisposed() {
      return isDisposed;
    },
    lose(message) {
      lostBecause = message;
      loseNow({ reason: 'lost', message });
    },
    createTable: (rows, factors) => inner.createTable(rows, factors),
    write: (table, rowStart, data) => inner.write(table, rowStart, data),
    read: (table, rowStart, rowEnd) => inner.read(table, rowStart, rowEnd),
    topN: (task) => inner.topN(task),
    score: (task) => inner.score(task),
    async solveBlock(task: BlockTask) {
      requireAlive();
      o.beforeBlock?.(++blocks, device);
      requireAlive();
      if (o.delayMs !== undefined) await new Promise((resolve) => setTimeout(resolve, o.delayMs));
      const result = await inner.solveBlock(task);
      o.afterBlock?.(result);
      return result;
    },
    async dispose() {
      isDisposed = true;
      await inner.dispose();
    },
  };
  return device;
}

/** A factory of such devices; `opened` has those that were opened. */
export function alteredFactory(
  o: Alteration & {
    info: Partial<DeviceInfo> & Pick<DeviceInfo, 'kind'>;
    providers?: readonly string[];
    autoProviders?: readonly string[];
  },
): DeviceFactory & { opened: AlteredDevice[]; openedWith: object[] } {
  const opened: AlteredDevice[] = [];
  const openedWith: object[] = [];
  return {
    kind: o.info.kind,
    providers: o.providers,
    autoProviders: o.autoProviders,
    opened,
    openedWith,
    async probe() {
      const probe = await portableDevice.probe();
      return probe.ok ? { ok: true, info: { ...probe.info, ...o.info } } : probe;
    },
    async open(options) {
      const device = await alteredDevice(options.threads, o);
      opened.push(device);
      openedWith.push(options);
      return device;
    },
  };
}
