import { type FileHandle, open } from 'node:fs/promises';

/** Data begin at a multiple of this, so that they can be memory-mapped. */
const ALIGNMENT = 64;
const MAGIC = Buffer.from('\x93NUMPY\x01\x00', 'latin1');

/**
 * Writes a table that `numpy.load` reads: f32 little-endian, row-major, [rows, cols], format version 1.0.
 *
 * Source: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 */
export async function writeNpy(file: string, table: Float32Array, rows: number, cols: number): Promise<void> {
  const description = `{'descr': '<f4', 'fortran_order': False, 'shape': (${rows}, ${cols}), }`;
  const unpadded = MAGIC.length + 2 + description.length + 1;
  const text = `${description}${' '.repeat((ALIGNMENT - (unpadded % ALIGNMENT)) % ALIGNMENT)}\n`;
  const header = Buffer.alloc(MAGIC.length + 2 + text.length);
  MAGIC.copy(header);
  header.writeUInt16LE(text.length, MAGIC.length);
  header.write(text, MAGIC.length + 2, 'latin1');
  const handle = await open(file, 'wx');
  try {
    await writeAll(handle, header);
    await writeAll(handle, new Uint8Array(table.buffer, table.byteOffset, table.byteLength));
  } finally {
    await handle.close();
  }
}

async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    at += (await handle.write(bytes, at, bytes.length - at)).bytesWritten;
  }
}
