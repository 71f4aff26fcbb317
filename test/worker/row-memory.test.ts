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

/** More numbers than the smallest buffer has. */
const MANY = 1 << 20;

it('memory that is too small is left for others', () => {
  const memory = new RowMemory();
  const small = memory.take(10);
  memory.give(small);
  expect(memory.take(MANY)).toHaveLength(MANY);
  expect(memory.take(10).buffer).toBe(small.buffer);
});

it('the smallest buffer with room is taken, whatever came back first', () => {
  const memory = new RowMemory();
  const large = memory.take(MANY);
  const small = memory.take(10);
  memory.give(large);
  memory.give(small);
  expect(memory.take(20).buffer).toBe(small.buffer);
  expect(memory.take(MANY).buffer).toBe(large.buffer);
});

it('many small buffers that come back do not push out large ones', () => {
  const memory = new RowMemory();
  const small = Array.from({ length: 40 }, () => memory.take(10));
  const large = memory.take(MANY);
  memory.give(large);
  for (const one of small) memory.give(one);
  expect(memory.take(MANY).buffer).toBe(large.buffer);
});

it('blocks of about one size share buffers', () => {
  const memory = new RowMemory();
  const first = memory.take(1_000_000);
  memory.give(first);
  expect(memory.take(1_000_123).buffer).toBe(first.buffer);
});

it('arrays that are a part of something, or not shared, are not kept', () => {
  const memory = new RowMemory();
  const plain = new Float32Array(10);
  memory.give(plain);
  const whole = memory.take(10);
  memory.give(whole.subarray(5));
  expect([plain.buffer, whole.buffer]).not.toContain(memory.take(5).buffer);
});
