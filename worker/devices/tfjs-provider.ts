// The providers of TensorFlow.js that the tfjs device knows.

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
