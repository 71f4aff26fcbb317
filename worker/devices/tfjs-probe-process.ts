// Tries one provider in a process of its own, since a native library that does not fit the machine may crash it.
// Usage: tfjs-probe-process PROVIDER. The last line of stdout is a `TfjsProbe` as JSON.

import { loadTfjs } from './tfjs-backend.js';
import type { TfjsProbe } from './tfjs-probe.js';
import type { TfjsProvider } from './tfjs-provider.js';
import { explainTfjsFailure } from './tfjs-unavailable.js';

const provider = process.argv[2] as TfjsProvider;

async function probe(): Promise<TfjsProbe> {
  try {
    const backend = await loadTfjs(provider, 1);
    const { tf, info } = backend;
    const square = tf.tidy(() => {
      const a = tf.tensor2d([1, 2, 3, 4], [2, 2]);
      return tf.matMul(a, a);
    });
    const found = [...(await square.data())].join(' ');
    square.dispose();
    backend.dispose();
    if (found !== '7 10 15 22') throw new Error(`it computes [1 2; 3 4]² as ${found}`);
    return { ok: true, info };
  } catch (error) {
    return { ok: false, ...explainTfjsFailure(provider, error) };
  }
}

process.stdout.write(`\n${JSON.stringify(await probe())}\n`, () => process.exit(0));
