// The tfjs device: the first provider of TensorFlow.js that works here, or the one that was named.

import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { DeviceError } from '../../common/errors.js';
import { builtEntry } from '../../common/package-root.js';
import type { DeviceFactory, DeviceInfo, DeviceOpenOptions } from '../../models/device.js';
import { TfjsDevice } from './tfjs-device.js';
import { TfjsLink } from './tfjs-link.js';
import { probeTfjs, type TfjsProbe } from './tfjs-probe.js';
import { TFJS_PROVIDERS, type TfjsProvider } from './tfjs-provider.js';
import { TfjsUnavailableError } from './tfjs-unavailable.js';

export { TFJS_PROVIDERS, type TfjsProvider } from './tfjs-provider.js';

/** A provider that was passed over on the way down the ladder, and why. */
export interface TfjsPassed {
  readonly provider: TfjsProvider;
  readonly reason: string;
  readonly remedy: string;
}

export type TfjsChoice =
  | { ok: true; provider: TfjsProvider; info: DeviceInfo; passed: TfjsPassed[] }
  | { ok: false; passed: TfjsPassed[] };

/**
 * Tries providers in order until one works.
 *
 * @param providers @default all, best first
 * @param probe     how one is tried. @default `probeTfjs`
 */
export async function chooseTfjs(
  providers: readonly TfjsProvider[] = TFJS_PROVIDERS,
  probe: (provider: TfjsProvider) => Promise<TfjsProbe> = probeTfjs,
): Promise<TfjsChoice> {
  const passed: TfjsPassed[] = [];
  for (const provider of providers) {
    const found = await probe(provider);
    if (!found.ok) passed.push({ provider, reason: found.reason, remedy: found.remedy });
    else if (found.info.isSoftware && providers.length > 1) passed.push(emulated(provider, found.info));
    else return { ok: true, provider, info: withPassed(found.info, passed), passed };
  }
  return { ok: false, passed };
}

/** A GPU in software does what WebAssembly does, many times slower: it is taken only when it is named. */
function emulated(provider: TfjsProvider, info: DeviceInfo): TfjsPassed {
  return {
    provider,
    reason: `its adapter, ${info.detail['adapter']}, is software`,
    remedy: `name tfjs:${provider} to use it all the same`,
  };
}

/** A factory of tfjs devices. @param named the one provider to use. @default the first that works */
export function tfjsDeviceOf(named?: TfjsProvider): TfjsFactory {
  const choose = (provider: string | undefined = named) =>
    chooseTfjs(provider === undefined ? undefined : [provider as TfjsProvider]);
  return {
    kind: 'tfjs',
    providers: TFJS_PROVIDERS,
    // Its other providers are slower than what stands beside them here: they are for who names them.
    autoProviders: ['node-gpu'],
    async probe({ provider } = {}) {
      if (!existsSync(fileURLToPath(builtEntry('worker/devices/tfjs-thread.js')))) {
        return { ok: false, reason: 'its thread is not built', remedy: 'run "npm run build"' };
      }
      const choice = await choose(provider);
      return choice.ok ? { ok: true, info: choice.info } : { ok: false, ...explain(choice.passed) };
    },
    async open({ threads, provider }) {
      const choice = await choose(provider);
      if (!choice.ok) {
        const { reason, remedy } = explain(choice.passed);
        throw new DeviceError('STOA_DEVICE', `device "tfjs" does not work here: ${reason}; ${remedy}`);
      }
      return open(choice.provider, threads, choice.passed);
    },
  };
}

/** The factory of `models/device.ts`, whose devices tell more of themselves. */
export interface TfjsFactory extends DeviceFactory {
  open(options: DeviceOpenOptions): Promise<TfjsDevice>;
}

export const tfjsDevice: TfjsFactory = tfjsDeviceOf();

async function open(provider: TfjsProvider, threads: number, passed: TfjsPassed[]): Promise<TfjsDevice> {
  try {
    const link = await TfjsLink.open({ provider, threads });
    return new TfjsDevice(link, withPassed(link.info, passed));
  } catch (error) {
    if (!(error instanceof TfjsUnavailableError)) throw error;
    const { reason, remedy } = error.why;
    throw new DeviceError(
      'STOA_DEVICE',
      `device "tfjs:${provider}" does not work here: ${reason}; ${remedy}`,
    );
  }
}

/** `detail.passed` says which better providers do not work here, and why. */
function withPassed(info: DeviceInfo, passed: readonly TfjsPassed[]): DeviceInfo {
  if (passed.length === 0) return info;
  const words = passed.map(({ provider, reason }) => `${provider}: ${reason}`).join('; ');
  return { ...info, detail: { ...info.detail, passed: words } };
}

function explain(passed: readonly TfjsPassed[]): { reason: string; remedy: string } {
  if (passed.length === 1) return passed[0]!;
  return {
    reason: passed.map(({ provider, reason }) => `${provider}: ${reason}`).join('; '),
    remedy: `for the simplest provider, ${passed.at(-1)!.remedy}`,
  };
}
