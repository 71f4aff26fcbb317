// The header of a safetensors file, checked before anything is allocated for it.
//
//   u64 little-endian: bytes of the header | header, JSON | data
//   {"factors": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, "__metadata__": {"text": "text"}}
//
// Source: https://huggingface.co/docs/safetensors, "Format".

import { z } from 'zod';
import { CorruptError, messageOf } from '../../common/errors.js';

/** Bytes before the header. */
export const PREFIX_BYTES = 8;
/** Ours are some hundred bytes; the format allows 100 MB, which only an attacker would use. */
const HEADER_BYTES_MAX = 1_000_000;
/** Greatest tensor that one typed array holds on every platform. */
const TENSOR_ELEMENTS_MAX = 2 ** 31 - 1;

export const DTYPE_BYTES = { F32: 4, I32: 4 } as const;
export type Dtype = keyof typeof DTYPE_BYTES;

export interface TensorEntry {
  name: string;
  dtype: Dtype;
  shape: number[];
  /** Offsets in the data, half-open. */
  start: number;
  end: number;
}

const tensorSchema = z.strictObject({
  dtype: z.enum(['F32', 'I32']),
  shape: z.array(z.int().min(0)).max(8),
  data_offsets: z.tuple([z.int().min(0), z.int().min(0)]),
});

/** Bytes of the header, from the first eight bytes of a file of `fileBytes`. @throws {CorruptError} `STOA_TORN`. */
export function headerBytesOf(prefix: Uint8Array, fileBytes: number, file: string): number {
  if (prefix.length < PREFIX_BYTES) throw torn(file, `it has ${fileBytes} bytes, fewer than any header`);
  const length = new DataView(prefix.buffer, prefix.byteOffset, PREFIX_BYTES).getBigUint64(0, true);
  if (length > BigInt(HEADER_BYTES_MAX)) {
    throw torn(file, `its header claims ${length} bytes, more than the ${HEADER_BYTES_MAX} allowed`);
  }
  if (PREFIX_BYTES + Number(length) > fileBytes) {
    throw torn(file, `its header claims ${length} bytes, the file has ${fileBytes}`);
  }
  return Number(length);
}

/**
 * Tensors of a header in the order of their data.
 *
 * @param dataBytes bytes of the file after the header.
 * @throws {CorruptError} `STOA_TORN`: not JSON, a name twice, another dtype than F32 and I32, a size that disagrees
 *   with its shape, tensors that overlap or leave a gap, data beyond the end or left over.
 */
export function parseHeader(text: string, dataBytes: number, file: string): TensorEntry[] {
  const header = parseJson(text, file);
  const entries: TensorEntry[] = [];
  for (const [name, value] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const parsed = tensorSchema.safeParse(value);
    if (!parsed.success) {
      const issue = parsed.error.issues[0]!;
      throw torn(file, `tensor ${quote(name)}: ${issue.path.join('.')}: ${issue.message}`);
    }
    const { dtype, shape, data_offsets: offsets } = parsed.data;
    const elements = elementsOf(shape);
    if (elements > TENSOR_ELEMENTS_MAX) throw torn(file, `tensor ${quote(name)} is larger than can be read`);
    if (offsets[1] - offsets[0] !== elements * DTYPE_BYTES[dtype]) {
      throw torn(file, `tensor ${quote(name)} has [${shape}] ${dtype} in ${offsets[1] - offsets[0]} bytes`);
    }
    entries.push({ name, dtype, shape, start: offsets[0], end: offsets[1] });
  }
  entries.sort((a, b) => a.start - b.start || a.end - b.end);
  let end = 0;
  for (const entry of entries) {
    if (entry.start !== end) throw torn(file, `tensor ${quote(entry.name)} overlaps another or leaves a gap`);
    end = entry.end;
  }
  if (end !== dataBytes) throw torn(file, `its tensors take ${end} bytes, the file has ${dataBytes}`);
  return entries;
}

/** Product of the shape, exact below 2⁵³; larger ones are only ever compared with a bound. */
export function elementsOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

function parseJson(text: string, file: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw torn(file, `its header is not JSON (${messageOf(error)})`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw torn(file, 'its header is not a JSON object');
  }
  refuseDuplicateKeys(text, file);
  return value as Record<string, unknown>;
}

/** JSON.parse keeps the last of two equal keys silently; two readers of one file could then see two files. */
function refuseDuplicateKeys(json: string, file: string): void {
  const scopes: Set<string>[] = [];
  for (let at = 0; at < json.length; at++) {
    const char = json[at];
    if (char === '{' || char === '[') scopes.push(new Set());
    else if (char === '}' || char === ']') scopes.pop();
    else if (char === '"') {
      const start = at;
      for (at++; json[at] !== '"'; at++) if (json[at] === '\\') at++;
      let next = at + 1;
      while (' \t\n\r'.includes(json[next] ?? 'x')) next++;
      if (json[next] !== ':') continue;
      const key = JSON.parse(json.slice(start, at + 1)) as string;
      const scope = scopes[scopes.length - 1]!;
      if (scope.has(key)) throw torn(file, `its header names ${quote(key)} twice`);
      scope.add(key);
    }
  }
}

function quote(name: string): string {
  return JSON.stringify(name.length > 64 ? `${name.slice(0, 64)}…` : name);
}

function torn(file: string, what: string): CorruptError {
  return new CorruptError('STOA_TORN', `${file} is not a whole safetensors file: ${what}; write it again`, {
    fields: { file },
  });
}
