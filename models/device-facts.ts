import type { DeviceInfo } from './device.js';

/** What something was computed on, as results, lineage and `--json` have it. null: the device has no such thing. */
export interface DeviceFacts {
  /** Kind of the device. */
  readonly device: string;
  /** In words. */
  readonly name: string;
  /** The library beneath: "dawn", "wasm". */
  readonly provider: string | null;
  /** The card, or what stands for it. */
  readonly adapter: string | null;
  readonly driver: string | null;
  /** Instruction set of the kernels. */
  readonly isa: string | null;
  /** Of the arithmetic inside; factors are f32 everywhere. */
  readonly precision: string | null;
  /** An emulated GPU. */
  readonly software: boolean;
  /** That compute at once. */
  readonly threads: number;
}

export function deviceFacts({ kind, name, isSoftware, threads, detail }: DeviceInfo): DeviceFacts {
  return factsOf({ device: kind, name, software: isSoftware, threads, facts: textFacts(detail) });
}

/** The details of a device as text, as they travel. */
export function textFacts(detail: DeviceInfo['detail']): Record<string, string> {
  return Object.fromEntries(Object.entries(detail).map(([key, value]) => [key, String(value)]));
}

/** The same from what a worker announced. @param o `facts`: of `textFacts`. */
export function factsOf(o: {
  device: string;
  name: string;
  software: boolean;
  threads: number;
  facts: Readonly<Record<string, string>>;
}): DeviceFacts {
  const { device, name, software, threads, facts } = o;
  const first = (...keys: string[]): string | null => {
    const key = keys.find((candidate) => facts[candidate] !== undefined && facts[candidate] !== '');
    return key === undefined ? null : facts[key]!;
  };
  return {
    device,
    name,
    provider: first('provider'),
    adapter: first('adapter', 'description', 'device'),
    driver: first('driver', 'backend'),
    isa: first('isa'),
    precision: first('precision'),
    software,
    threads,
  };
}

/** One line: "native C++ (AVX-512), 2 threads, f32". */
export function deviceText({ name, software, threads, precision }: DeviceFacts): string {
  const parts = [name, threads === 1 ? '1 thread' : `${threads} threads`];
  if (precision !== null) parts.push(precision);
  if (software) parts.push('emulated, no real GPU');
  return parts.join(', ');
}

/** Each different device once, in the order of the first. */
export function distinctDevices(all: readonly DeviceFacts[]): DeviceFacts[] {
  return [...new Map(all.map((facts) => [JSON.stringify(facts), facts])).values()];
}
