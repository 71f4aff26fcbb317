import type { DeviceFacts } from '../models/device-facts.js';

/** What verbs compute on that rank with the kernels of `models/` in this process. @param threads that rank at once. */
export function portableFacts(threads: number): DeviceFacts {
  return {
    device: 'portable',
    name: 'portable TypeScript',
    provider: null,
    adapter: null,
    driver: null,
    isa: null,
    precision: 'f64',
    software: false,
    threads,
  };
}
