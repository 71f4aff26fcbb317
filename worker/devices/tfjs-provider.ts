// The providers of TensorFlow.js that the tfjs device knows, and how `--device` names them.

import { UsageError } from '../../common/errors.js';
import { suggestion } from '../../common/nearest.js';

/** Best first: the order in which `--device tfjs` tries them. */
export const TFJS_PROVIDERS = ['node-gpu', 'node', 'webgpu', 'wasm', 'cpu'] as const;

export type TfjsProvider = (typeof TFJS_PROVIDERS)[number];

/** Packages that each provider is made of; the first is the one that registers the backend. */
export const TFJS_PACKAGES: Readonly<Record<TfjsProvider, readonly string[]>> = {
  'node-gpu': ['@tensorflow/tfjs-node-gpu'],
  node: ['@tensorflow/tfjs-node'],
  webgpu: ['@tensorflow/tfjs-backend-webgpu', '@tensorflow/tfjs-core', 'webgpu'],
  wasm: ['@tensorflow/tfjs-backend-wasm', '@tensorflow/tfjs-core'],
  cpu: ['@tensorflow/tfjs-backend-cpu', '@tensorflow/tfjs-core'],
};

/** Names that `--device` takes for this device. */
export const TFJS_DEVICE_NAMES: readonly string[] = [
  'tfjs',
  ...TFJS_PROVIDERS.map((provider) => `tfjs:${provider}`),
];

/**
 * Reads `tfjs` or `tfjs:PROVIDER`.
 *
 * @returns undefined when the name is not one of this device; no `provider` for plain `tfjs`.
 * @throws {UsageError} a provider that does not exist; names the nearest.
 */
export function parseTfjsDevice(name: string): { provider?: TfjsProvider } | undefined {
  if (name === 'tfjs') return {};
  if (!name.startsWith('tfjs:')) return undefined;
  const provider = TFJS_PROVIDERS.find((known) => `tfjs:${known}` === name);
  if (provider !== undefined) return { provider };
  throw new UsageError(
    'STOA_USAGE',
    `unknown provider of the tfjs device in "${name}"; known are ${TFJS_DEVICE_NAMES.join(', ')}${suggestion(name, TFJS_DEVICE_NAMES)}`,
    { fields: { field: '--device' } },
  );
}
