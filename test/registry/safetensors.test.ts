// Shows that the reader takes what the format allows and refuses, before it allocates, what only looks like it.
// Files are made by hand, byte by byte, apart from the writer under test.

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CorruptError } from '../../common/errors.js';
import { readSafetensors, writeSafetensors } from '../../coordinator/registry/safetensors.js';

let root: string;
let file: string;

beforeAll(async () => {
  root = await mkdtemp(path.join(os.tmpdir(), 'stoa-'));
  file = path.join(root, 't.safetensors');
});

afterAll(() => rm(root, { recursive: true }));

function bytesFrom(header: string, data: Uint8Array = new Uint8Array(0)): Buffer {
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(Buffer.byteLength(header)));
  return Buffer.concat([prefix, Buffer.from(header), data]);
}

async function refusal(bytes: Uint8Array): Promise<string> {
  await writeFile(file, bytes);
  const error: unknown = await readSafetensors(file).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(CorruptError);
  expect((error as CorruptError).fields['file']).toBe(file);
  return (error as CorruptError).message;
}

const floats = new Uint8Array(Float32Array.of(1.5, -2, 3e-40, 4, 5, 6).buffer);

describe('the safetensors reader', () => {
  it('reads a file made by hand, in any order of names', async () => {
    const header =
      '{"b":{"dtype":"F32","shape":[2],"data_offsets":[16,24]},"__metadata__":{"k":"v"},' +
      '"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}}   ';
    await writeFile(file, bytesFrom(header, floats));
    const tensors = await readSafetensors(file);
    expect(tensors.get('a')).toEqual({ shape: [2, 2], data: Float32Array.of(1.5, -2, 3e-40, 4) });
    expect(tensors.get('b')).toEqual({ shape: [2], data: Float32Array.of(5, 6) });
    expect([...tensors.keys()]).not.toContain('__metadata__');
  });

  it('gives back what was written, whatever the shape', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 9 }),
        fc.integer({ min: 1, max: 7 }),
        fc.array(fc.integer(), { maxLength: 20 }),
        async (rows, cols, integers) => {
          const f = Float32Array.from({ length: rows * cols }, (_, at) => Math.fround(Math.sin(at) * 1e3));
          const i = Int32Array.from(integers);
          await writeSafetensors(file, {
            f: { shape: [rows, cols], data: f },
            i: { shape: [i.length], data: i },
          });
          const tensors = await readSafetensors(file);
          expect(tensors.get('f')).toEqual({ shape: [rows, cols], data: f });
          expect(tensors.get('i')).toEqual({ shape: [i.length], data: i });
        },
      ),
      { numRuns: 30 },
    );
  });

  it('aligns the data to eight bytes', async () => {
    await writeSafetensors(file, { x: { shape: [1], data: Float32Array.of(1) } }, { note: 'é' });
    const bytes = await readFile(file);
    expect(Number(bytes.readBigUInt64LE(0)) % 8).toBe(0);
    expect(bytes.length).toBe(8 + Number(bytes.readBigUInt64LE(0)) + 4);
  });

  it.each([
    ['a file shorter than a header', Buffer.from([1, 0, 0])],
    ['a header longer than the file', Buffer.from([200, 0, 0, 0, 0, 0, 0, 0, 1])],
    ['a header beyond the bound', Buffer.from([0, 0, 0, 0, 0, 0, 0, 255])],
    ['a header that is not JSON', bytesFrom('{"a":')],
    ['a header that is a list', bytesFrom('[]')],
    ['a tensor without offsets', bytesFrom('{"a":{"dtype":"F32","shape":[1]}}', floats)],
    ['another dtype', bytesFrom('{"a":{"dtype":"F64","shape":[3],"data_offsets":[0,24]}}', floats)],
    ['a negative size', bytesFrom('{"a":{"dtype":"F32","shape":[-6],"data_offsets":[0,24]}}', floats)],
    [
      'a fraction',
      bytesFrom('{"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,6]}}', floats.subarray(0, 6)),
    ],
    [
      'data that end before they start',
      bytesFrom('{"a":{"dtype":"F32","shape":[6],"data_offsets":[24,0]}}', floats),
    ],
    [
      'a shape that disagrees with the data',
      bytesFrom('{"a":{"dtype":"F32","shape":[7],"data_offsets":[0,24]}}', floats),
    ],
    [
      'a shape whose product overflows',
      bytesFrom(
        '{"a":{"dtype":"F32","shape":[4294967296,4294967296,4294967296],"data_offsets":[0,24]}}',
        floats,
      ),
    ],
    ['data beyond the end', bytesFrom('{"a":{"dtype":"F32","shape":[8],"data_offsets":[0,32]}}', floats)],
    ['data left over', bytesFrom('{"a":{"dtype":"F32","shape":[5],"data_offsets":[0,20]}}', floats)],
    ['a gap', bytesFrom('{"a":{"dtype":"F32","shape":[5],"data_offsets":[4,24]}}', floats)],
    [
      'an overlap',
      bytesFrom(
        '{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]},"b":{"dtype":"F32","shape":[4],"data_offsets":[8,24]}}',
        floats,
      ),
    ],
    [
      'a name twice, once in escapes',
      bytesFrom(
        '{"a":{"dtype":"F32","shape":[6],"data_offsets":[0,24]},"\\u0061":{"dtype":"F32","shape":[6],"data_offsets":[0,24]}}',
        floats,
      ),
    ],
    [
      'a member twice',
      bytesFrom('{"a":{"dtype":"F32","shape":[9],"shape":[6],"data_offsets":[0,24]}}', floats),
    ],
  ])('refuses %s', async (_, bytes) => {
    expect(await refusal(bytes)).toContain(`${file} is not a whole safetensors file`);
  });

  it('takes a tensor called __proto__ for a name and nothing else', async () => {
    await writeFile(
      file,
      bytesFrom('{"__proto__":{"dtype":"F32","shape":[6],"data_offsets":[0,24]}}', floats),
    );
    expect([...(await readSafetensors(file)).keys()]).toEqual(['__proto__']);
    expect(({} as { dtype?: string }).dtype).toBeUndefined();
  });

  it('never fails otherwise than by a clear error, whatever the bytes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 64 }), fc.nat(120), async (noise, headerBytes) => {
        const prefix = Buffer.alloc(8);
        prefix.writeBigUInt64LE(BigInt(headerBytes));
        await writeFile(file, Buffer.concat([prefix, noise]));
        await readSafetensors(file).catch((error: unknown) => expect(error).toBeInstanceOf(CorruptError));
      }),
      { numRuns: 100 },
    );
  });
});
