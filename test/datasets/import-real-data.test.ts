// The real data sets, against the counts that their README states and the columns that it describes.

import { existsSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { packageRoot } from '../../common/package-root.js';
import { scratchFolder } from './scratch.js';

const folder = path.join(packageRoot, '../shared/datasets');
const scratch = await scratchFolder();

describe.skipIf(!existsSync(folder))(
  'the real data sets (skipped where ../shared/datasets does not exist)',
  () => {
    it.each([
      ['mooc/interactions.csv.gz', 97_722, 3321, 1_182_745],
      ['mooc/udemy_interactions.csv.gz', 24_036, 8166, 159_664],
      ['mooc/xuetangx_interactions.csv.gz', 5720, 247, 27_952],
      ['oulad/interactions.csv.gz', 4080, 1029, 149_259],
    ])('%s has the users, items and rows of its README', async (name, users, items, interactions) => {
      const { manifest } = await scratch.import(path.join(folder, name));
      expect(manifest).toMatchObject({ users, items, interactions, synthetic: false });
      expect(manifest.source).toMatchObject({ rowsRead: interactions, rowsRejected: 0, duplicatesMerged: 0 });
    });

    it('MOOC enrolments: degrees and positions are as described', async () => {
      const dataset = await scratch.import(path.join(folder, 'mooc/interactions.csv.gz'));
      const perUser = (await dataset.rowCounts('users')).toSorted();
      expect([perUser[0], perUser[perUser.length >> 1], perUser.at(-1)]).toEqual([5, 7, 1966]);
      expect(perUser.filter((count) => count > 200)).toHaveLength(94);
      expect(perUser.filter((count) => count > 500)).toHaveLength(13);
      const perItem = (await dataset.rowCounts('items')).toSorted();
      expect([perItem[0], perItem.at(-1)]).toEqual([5, 20_119]);
      const users = await dataset.loadCsr('users');
      const times = (await dataset.loadTimes('users'))!;
      for (let u = 0; u < users.rows; u += 101) {
        const positions = times.slice(users.ptr[u], users.ptr[u + 1]).sort();
        expect([...positions]).toEqual(Array.from(positions, (_, n) => n + 1));
      }
    });

    it('the tab-separated export with CRLF and repeats is read by its own column names', async () => {
      const dataset = await scratch.import(path.join(folder, 'raw/oulad_studentVle_export.txt'));
      expect(dataset.manifest.source.columns).toEqual({
        user: 'id_student',
        item: 'id_site',
        value: 'sum_click',
        time: 'date',
      });
      expect(dataset.manifest.source.rowsRead).toBe(62_759);
      expect(dataset.manifest.timeRange![0]).toBeLessThan(0);
    });

    it('registrations without a day, and one item for several courses, are read with flags', async () => {
      const { manifest } = await scratch.import(path.join(folder, 'oulad/registrations.csv.gz'));
      expect(manifest).toMatchObject({ users: 28_785, items: 22, interactions: 32_593, hasTimes: false });
      const timed = await scratch.import(path.join(folder, 'oulad/registrations.csv.gz'), {
        timeCol: 'registration_day',
      });
      expect(timed.manifest.source).toMatchObject({ rowsRead: 32_593, rowsRejected: 45 });
    });

    it('the raw course catalogue travels along: repeats, NaN and quotes in it are survived', async () => {
      const dataset = await scratch.import(path.join(folder, 'mooc/interactions.csv.gz'), {
        items: path.join(folder, 'raw/course_catalogue_raw.csv'),
      });
      const { ids, titles, columns } = await dataset.items();
      expect(titles).toHaveLength(3321);
      expect(titles!.filter((title) => title !== null)).toHaveLength(2915);
      expect(columns['number of resources']![ids.indexOf('C_1793819')]).toBe('10');
      expect(columns['total_cmt']![ids.indexOf('C_1793819')]).toBe(null);
      expect(titles![ids.indexOf('C_1793819')]).toBe(
        '"flipped classroom" helps create "blended golden class"',
      );
    });

    it('titles and categories of the Udemy items are found', async () => {
      const dataset = await scratch.import(path.join(folder, 'mooc/udemy_interactions.csv.gz'), {
        items: path.join(folder, 'mooc/udemy_items.csv'),
      });
      const { ids, titles, categories } = await dataset.items();
      const row = ids.indexOf('8082');
      expect([titles![row], categories![row]]).toEqual([
        'learn ruby programming in ten easy steps',
        'development|programming-languages',
      ]);
    });
  },
);
