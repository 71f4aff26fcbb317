import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { builtEntry } from '../../common/package-root.js';
import type { DeviceInfo } from '../../models/device.js';
import { packagePath } from './tfjs-backend.js';
import { TFJS_PACKAGES, type TfjsProvider } from './tfjs-provider.js';
import { notInstalled, type TfjsUnavailable } from './tfjs-unavailable.js';

export type TfjsProbe = { ok: true; info: DeviceInfo } | ({ ok: false } & TfjsUnavailable);

/** Loading libtensorflow and CUDA from a cold disk takes tens of seconds. */
const PROBE_MS_MAX = 120_000;

const known = new Map<TfjsProvider, Promise<TfjsProbe>>();

/**
 * Finds out whether a provider works here: its packages are looked for, then it is loaded and tried in a process of
 * its own. What was found out is kept for the life of this process.
 */
export function probeTfjs(provider: TfjsProvider): Promise<TfjsProbe> {
  let probe = known.get(provider);
  if (probe === undefined) {
    probe = tryProvider(provider);
    known.set(provider, probe);
  }
  return probe;
}

async function tryProvider(provider: TfjsProvider): Promise<TfjsProbe> {
  const missing = TFJS_PACKAGES[provider].find((name) => packagePath(name) === undefined);
  if (missing !== undefined) return { ok: false, ...notInstalled(provider, missing) };
  const entry = fileURLToPath(builtEntry('worker/devices/tfjs-probe-process.js'));
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [entry, provider],
      { timeout: PROBE_MS_MAX, maxBuffer: 2 ** 24 },
      (error, stdout, stderr) => resolve(readProbe(provider, error, stdout, stderr)),
    );
  });
}

/** The answer of a probing process, or what its end says. */
export function readProbe(
  provider: TfjsProvider,
  error: { code?: unknown; signal?: string | null; killed?: boolean; message: string } | null,
  stdout: string,
  stderr: string,
): TfjsProbe {
  const last = stdout.trimEnd().split('\n').at(-1) ?? '';
  if (error === null) {
    try {
      return JSON.parse(last) as TfjsProbe;
    } catch {
      // Falls through to what can be said of a process that answered something else.
    }
  }
  const name = TFJS_PACKAGES[provider][0]!;
  const words = stderr.trim().split('\n').at(-1) ?? '';
  const how =
    error?.killed === true
      ? `did not answer within ${PROBE_MS_MAX / 1000} s`
      : error?.signal != null
        ? `crashed with ${error.signal}`
        : `ended with ${String(error?.code ?? 'no answer')}`;
  return {
    ok: false,
    code: 'ERROR',
    reason: `a process that loaded ${name} ${how}${words === '' ? '' : `: ${words}`}`,
    remedy: `reinstall ${name}, or name another provider; see docs/gpu.md`,
  };
}
