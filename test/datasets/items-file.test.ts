// The items file that travels with a dataset.

import { describe, expect, it } from 'vitest';
import { importInteractions } from '../../datasets/import/import-interactions.js';
import { failureOf, scratchFolder } from './scratch.js';

const scratch = await scratchFolder();
const file = await scratch.file('in.csv', 'user_id,item_id\nann,go\nann,knots\nbob,"a,b"\nbob,unknown\n');

describe('an items file', () => {
  it('gives its columns for the items that occur; the first row of an item counts', async () => {
    const items = await scratch.file(
      'items.csv',
      'item_id,Title,id,Categories\nknots,Knots,1,sea|rope\ngo,"Go, the game",2,NaN\ngo,Go again,3,x\nother,Other,4,x\n"a,b",,5,\n',
    );
    const out = scratch.freshOut();
    const report = await importInteractions({ files: [file], out, items });
    expect(report).toMatchObject({ itemsMatched: 3, itemsUnmatched: 1 });
    const dataset = await scratch.import(file, { items });
    expect(await dataset.items()).toEqual({
      ids: ['a,b', 'go', 'knots', 'unknown'],
      titles: [null, 'Go, the game', 'Knots', null],
      categories: [null, null, 'sea|rope', null],
      columns: {
        Title: [null, 'Go, the game', 'Knots', null],
        id: ['5', '2', '1', null],
        Categories: [null, null, 'sea|rope', null],
      },
    });
  });

  it('may be JSON Lines with lists, and name its id with a flag', async () => {
    const items = await scratch.file(
      'items.jsonl',
      '{"key":"go","name":"Go","fields":["a","b"],"hours":3}\n{"key":"knots"}\n',
    );
    const dataset = await scratch.import(file, { items, itemsIdCol: 'key' });
    const { titles, categories, columns } = await dataset.items();
    expect(titles).toEqual([null, 'Go', null, null]);
    expect(categories).toEqual([null, 'a|b', null, null]);
    expect(columns['hours']).toEqual([null, '3', null, null]);
  });

  it('without a column for the id is refused, naming what it has', async () => {
    const items = await scratch.file('bad-items.csv', 'code_of,title\ngo,Go\n');
    const error = await failureOf(importInteractions({ files: [file], out: scratch.freshOut(), items }));
    expect(error).toMatchObject({ name: 'DataError', code: 'STOA_DATA_COLUMN' });
    expect(error.message).toBe(
      'the items file bad-items.csv has no id column that is known by its name (its columns are "code_of", "title"); name it with --items-id-col COLUMN',
    );
    const mistyped = await failureOf(
      importInteractions({ files: [file], out: scratch.freshOut(), items, itemsIdCol: 'codeof' }),
    );
    expect(mistyped.message).toContain('did you mean "code_of"?');
  });

  it('that is not there is refused', async () => {
    const items = scratch.path('nowhere.csv');
    const error = await failureOf(importInteractions({ files: [file], out: scratch.freshOut(), items }));
    expect(error.code).toBe('STOA_NOT_FOUND_FILE');
  });

  it('a dataset made without one has ids only', async () => {
    expect(await (await scratch.import(file)).items()).toEqual({
      ids: ['a,b', 'go', 'knots', 'unknown'],
      titles: undefined,
      categories: undefined,
      columns: {},
    });
  });
});
