// users.arrow and items.arrow: the dictionary of a side. Column `id` gives the id of each row, sorted bytewise;
// items.arrow has one more column for each column of the items file, named `item.<column>` so that none can hide `id`.

import {
  Field,
  makeData,
  RecordBatch,
  RecordBatchFileWriter,
  Schema,
  Struct,
  tableFromIPC,
  Utf8,
} from 'apache-arrow';

/** A column of text; null where the items file had nothing. */
export type TextColumn = (string | null)[];

export interface Dictionary {
  ids: string[];
  columns: Record<string, TextColumn>;
}

const PREFIX = 'item.';

/** The bytes of a dictionary's file. Same input, same bytes. */
export function encodeDictionary(
  ids: readonly string[],
  columns: Readonly<Record<string, TextColumn>>,
): Uint8Array {
  const fields = [new Field('id', new Utf8(), false)];
  const children = [textData(ids)];
  for (const [name, column] of Object.entries(columns)) {
    fields.push(new Field(PREFIX + name, new Utf8(), true));
    children.push(textData(column));
  }
  const schema = new Schema(fields);
  const writer = new RecordBatchFileWriter();
  writer.write(
    new RecordBatch(
      schema,
      makeData({ type: new Struct(fields), length: ids.length, nullCount: 0, children }),
    ),
  );
  writer.close();
  return writer.toUint8Array(true);
}

export function decodeDictionary(bytes: Uint8Array): Dictionary {
  const table = tableFromIPC(bytes);
  const columns: Record<string, TextColumn> = {};
  let ids: string[] = [];
  for (const field of table.schema.fields) {
    const column = [...table.getChild(field.name)!] as TextColumn;
    if (field.name === 'id') ids = column as string[];
    else columns[field.name.slice(PREFIX.length)] = column;
  }
  return { ids, columns };
}

function textData(texts: readonly (string | null)[]) {
  const length = texts.length;
  const valueOffsets = new Int32Array(length + 1);
  for (let row = 0; row < length; row++) {
    valueOffsets[row + 1] = valueOffsets[row]! + Buffer.byteLength(texts[row] ?? '');
  }
  const data = Buffer.alloc(valueOffsets[length]!);
  const nullBitmap = new Uint8Array((length + 7) >> 3);
  let nullCount = 0;
  for (let row = 0; row < length; row++) {
    const text = texts[row];
    if (text === null || text === undefined) nullCount++;
    else {
      nullBitmap[row >> 3]! |= 1 << (row & 7);
      data.write(text, valueOffsets[row]!);
    }
  }
  return makeData({
    type: new Utf8(),
    length,
    nullCount,
    valueOffsets,
    data,
    nullBitmap: nullCount === 0 ? null : nullBitmap,
  });
}
