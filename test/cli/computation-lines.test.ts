// What a run says at its start about what computes.

import { expect, it } from 'vitest';
import { computationLines } from '../../cli/computation-lines.js';
import { portableFacts } from '../../cli/portable-facts.js';

const noCompiler = { name: 'native', reason: 'there is no C++ compiler', remedy: 'install g++' };
const noCard = { name: 'webgpu', reason: 'no adapter', remedy: 'install a driver' };
const portable = {
  name: 'portable',
  reason: 'the only one that serves here',
  passedOver: [noCompiler, noCard],
  facts: portableFacts(2),
};

it('without the native device a run says why, what it costs and what to do', () => {
  expect(computationLines(portable, 1, false)).toEqual([
    'computes on portable: portable TypeScript, 2 threads, f64 (the only one that serves here)',
    'the native device is missing (there is no C++ compiler), and the portable one takes about 18 to 20 times as long; install g++',
  ]);
});

it('the other devices that are missing are told with --verbose only', () => {
  expect(computationLines(portable, 1, true)).toContain('not on webgpu: no adapter; install a driver');
  expect(computationLines(portable, 1, false).join()).not.toContain('webgpu');
});

it('a GPU is named with its provider and driver, and an emulated one as such', () => {
  const facts = {
    ...portableFacts(1),
    device: 'webgpu',
    name: 'SwiftShader via Dawn',
    provider: 'dawn',
    driver: 'vulkan 1.3',
    precision: 'f32',
    software: true,
  };
  const choice = { name: 'webgpu', reason: 'named by --device webgpu', passedOver: [], facts };
  expect(computationLines(choice, 2, false)).toEqual([
    'computes on webgpu by dawn: SwiftShader via Dawn, 1 thread, f32, emulated, no real GPU, driver vulkan 1.3, each of 2 workers (named by --device webgpu)',
  ]);
});
