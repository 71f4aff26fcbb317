import { expect, it } from 'vitest';
import { RowMemory } from '../../worker/row-memory.js';

it('memory that was given back is taken again, for as many numbers or fewer', () => {
  const memory = new RowMemory();
  const first = memory.take(100);
  memory.give(first);
  const again = memory.take(60);
  expect(again).toHaveLength(60);
  expect(again.buffer).toBe(first.buffer);
});

it('memory in use is never handed out twice', () => {
  const memory = new RowMemory();
  const first = memory.take(10);
  memory.give(first);
  expect(memory.take(10).buffer).not.toBe(memory.take(10).buffer);
});

it('memory that is too small is left for others', () => {
  const memory = new RowMemory();
  const small = memory.take(10);
  memory.give(small);
  expect(memory.take(11)).toHaveLength(11);
  expect(memory.take(10).buffer).toBe(small.buffer);
});

it('arrays that are a part of something, or not shared, are not kept', () => {
  const memory = new RowMemory();
  const plain = new Float32Array(10);
  memory.give(plain);
  const whole = memory.take(10);
  memory.give(whole.subarray(5));
  expect([plain.buffer, whole.buffer]).not.toContain(memory.take(5).buffer);
});
