import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    setupFiles: ['test/support/property-seed.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Process tests start several node processes each; two at a time keep a 2-core machine responsive.
    maxWorkers: 2,
    reporters: ['./scripts/skipped-tests.mjs', 'default'],
    coverage: {
      provider: 'v8',
      include: [
        'models/**/*.ts',
        'datasets/**/*.ts',
        'federation/**/*.ts',
        'coordinator/**/*.ts',
        'worker/**/*.ts',
      ],
      // The script prints it by folder: scripts/test.mjs.
      reporter: ['json-summary'],
    },
  },
});
