// vitest for scripts/tfjs-node-check.mjs: only the device suite on tfjs-node, which no other run includes.
import { defineConfig } from 'vitest/config';
import { root } from './setup.mjs';

export default defineConfig({
  root,
  test: {
    include: ['test/conformance/tfjs-node.check.ts'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    reporters: ['verbose'],
  },
});
