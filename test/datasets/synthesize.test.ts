// Synthetic data: exactly as many as asked for, the same for the same seed, with the traits that the generator states.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { sha256 } from '../../common/checksums.js';
import { createRandom } from '../../common/random.js';
import { AliasTable } from '../../datasets/synthesize/alias-table.js';
import { BUNDLED_CATALOGUE, readCatalogue } from '../../datasets/synthesize/course-list.js';
import { synthesize } from '../../datasets/synthesize/synthesize.js';
import { failureOf, scratchFolder } from './scratch.js';

const scratch = await scratchFolder();
const SIZE = { users: 1500, items: 300, interactions: 24_000 };
let made = 0;

async function make(options: Partial<Parameters<typeof synthesize>[0]> = {}, ending = '.csv') {
  const out = scratch.path(`made-${++made}${ending}`);
  const report = await synthesize({ ...SIZE, seed: 7, out, ...options });
  return { out, report };
}

function parse(text: string) {
  const [header, ...lines] = text.trimEnd().split('\n');
  expect(header).toBe('user_id,item_id,value,timestamp');
  return lines.map((line) => {
    const [user, item, value, time] = line.split(',') as [string, string, string, string];
    return { user, item, value: Number(value), time: Number(time) };
  });
}

const { out: standardFile, report } = await make();
const standard = parse(readFileSync(standardFile, 'utf8'));

describe('synthetic interactions', () => {
  it.each([
    SIZE,
    { users: 40, items: 25, interactions: 1000 },
    { users: 30, items: 500, interactions: 500 },
    { users: 500, items: 30, interactions: 500 },
    { users: 1, items: 1, interactions: 1 },
  ])('are exactly $interactions distinct pairs of all $users users and $items items', async (size) => {
    const { out } = await make(size);
    const rows = parse(readFileSync(out, 'utf8'));
    expect(rows).toHaveLength(size.interactions);
    expect(new Set(rows.map((row) => `${row.user} ${row.item}`)).size).toBe(size.interactions);
    expect(new Set(rows.map((row) => row.user)).size).toBe(size.users);
    expect(new Set(rows.map((row) => row.item)).size).toBe(size.items);
  });

  it('are the same bytes for the same seed in every format, and others for another', async () => {
    const hash = (file: string) => sha256(readFileSync(file));
    for (const ending of ['.csv', '.csv.gz', '.parquet']) {
      const [first, second] = [await make({}, ending), await make({}, ending)];
      expect(hash(second.out)).toBe(hash(first.out));
      expect(hash(second.report.itemsOut)).toBe(hash(first.report.itemsOut));
    }
    expect(hash((await make({ seed: 8 })).out)).not.toBe(hash(standardFile));
  });

  it('are the same data in every format', async () => {
    const { out: gz } = await make({}, '.csv.gz');
    expect(gunzipSync(readFileSync(gz)).equals(readFileSync(standardFile))).toBe(true);
    const { out: parquet } = await make({}, '.parquet');
    const [a, b] = [await scratch.import(standardFile), await scratch.import(parquet)];
    expect(b.manifest.files['by-user/0003.arrow']).toEqual(a.manifest.files['by-user/0003.arrow']);
    expect(b.manifest.files['users.arrow']).toEqual(a.manifest.files['users.arrow']);
  });

  it('have values from 0.01 to 1 and times that ascend within a learner', () => {
    const last = new Map<string, number>();
    for (const { user, value, time } of standard) {
      expect(value >= 0.01 && value <= 1 && Number.isInteger(time)).toBe(true);
      expect(time).toBeGreaterThanOrEqual(last.get(user) ?? Date.UTC(2021, 0, 1) / 1000);
      expect(time).toBeLessThan(Date.UTC(2025, 0, 1) / 1000);
      last.set(user, time);
    }
  });

  it('are skewed: the busiest tenth of learners and of courses have several times their share', () => {
    for (const key of ['user', 'item'] as const) {
      const counts = [...groupBy(standard, (row) => row[key]).values()]
        .map((rows) => rows.length)
        .sort((a, b) => b - a);
      const top = counts.slice(0, counts.length / 10).reduce((sum, n) => sum + n, 0);
      expect(top / SIZE.interactions).toBeGreaterThan(0.22);
    }
  });

  it('have subjects: learners take most courses in a few of them', async () => {
    const categories = categoriesOf(report.itemsOut);
    const shares: number[] = [];
    for (const rows of groupBy(standard, (row) => row.user).values()) {
      if (rows.length < 10) continue;
      const bySubject = [...groupBy(rows, (row) => categories.get(row.item)).values()].map((n) => n.length);
      const topThree = bySubject.sort((a, b) => b - a).slice(0, 3);
      shares.push(topThree.reduce((sum, n) => sum + n, 0) / rows.length);
    }
    // By popularity alone the best three of twelve subjects have about half.
    expect(shares.reduce((sum, n) => sum + n, 0) / shares.length).toBeGreaterThan(0.8);
  });

  it('have prerequisites: a course comes after the one it needs far more often than before it', async () => {
    const needs = prerequisitesOf(report.itemsOut);
    let after = 0;
    let before = 0;
    for (const rows of groupBy(standard, (row) => row.user).values()) {
      const position = new Map(rows.map((row, n) => [row.item, n]));
      for (const [item, n] of position) {
        for (const needed of needs.get(item) ?? []) {
          if (!position.has(needed)) continue;
          if (position.get(needed)! < n) after++;
          else before++;
        }
      }
    }
    expect(after + before).toBeGreaterThan(300);
    expect(after / (after + before)).toBeGreaterThan(0.75);
  });

  it('drift: courses have their best period at different times', () => {
    const halves = new Map<string, [number, number]>();
    const middle = standard.map((row) => row.time).sort((a, b) => a - b)[standard.length / 2]!;
    for (const { item, time } of standard) {
      const half = halves.get(item) ?? [0, 0];
      half[time < middle ? 0 : 1]++;
      halves.set(item, half);
    }
    // Pearson's statistic, which is about the number of courses when popularity does not change with time.
    const chiSquare = [...halves.values()].reduce((sum, [a, b]) => sum + (a - b) ** 2 / (a + b), 0);
    expect(chiSquare / halves.size).toBeGreaterThan(3);
  });

  it('are labelled synthetic wherever they are imported', async () => {
    for (const ending of ['.csv', '.csv.gz', '.parquet']) {
      const { out } = await make({ users: 20, items: 20, interactions: 100 }, ending);
      expect(existsSync(`${out}.synthetic.json`)).toBe(ending !== '.parquet');
      expect((await scratch.import(out)).manifest.synthetic).toBe(true);
    }
  });
});

describe('the items file', () => {
  it('has a title for every item, and ids of the bundled catalogue', async () => {
    const dataset = await scratch.import(standardFile, { items: report.itemsOut });
    const { ids, titles, categories } = await dataset.items();
    expect(ids[0]).toBe('c00001');
    expect(ids.at(-1)).toBe('c00300');
    expect(titles!.every((title) => title !== null && title.length > 3)).toBe(true);
    expect(new Set(categories).size).toBe(12);
    expect(new Set(titles).size).toBe(300);
  });

  it('of a small world takes evenly from all subjects', async () => {
    const { report: small } = await make({ users: 50, items: 24, interactions: 200 });
    expect(new Set(categoriesOf(small.itemsOut).values()).size).toBe(12);
  });

  it('follows a catalogue of one’s own', async () => {
    const catalogue = await scratch.file(
      'own.csv',
      'item_id,title,category,level,language,prerequisites\nX1,"One, two",a,introductory,en,\nX2,Three,a,advanced,en,X1\n',
    );
    const { report: own } = await make({ users: 9, items: 3, interactions: 20, catalogue });
    expect(readFileSync(own.itemsOut, 'utf8')).toMatch(
      /^item_id,.*\nX1,"One, two",a,introductory,en,\nX2,Three,a,advanced,en,X1\nc00001,"One, two: Case Studies",a,/,
    );
  });

  it('the bundled catalogue names prerequisites that exist and are no harder', async () => {
    const courses = await readCatalogue(BUNDLED_CATALOGUE);
    expect(courses).toHaveLength(240);
    expect(new Set(courses.map((course) => course.title)).size).toBe(240);
    const stated = readFileSync(BUNDLED_CATALOGUE, 'utf8').match(/c\d{5}/g)!.length - 240;
    expect(courses.reduce((sum, course) => sum + course.prerequisites.length, 0)).toBe(stated);
    for (const course of courses) {
      for (const needed of course.prerequisites)
        expect(courses[needed]!.level).toBeLessThanOrEqual(course.level);
    }
  });
});

describe('refused, with nothing written:', () => {
  it.each([
    [
      'more interactions than pairs',
      { users: 10, items: 10, interactions: 101 },
      'make 100 pairs, and none occurs twice',
    ],
    [
      'fewer interactions than users or items',
      { users: 10, items: 50, interactions: 49 },
      'ask for 50 or more',
    ],
    ['an ending that is unknown', { out: 'x.xlsx' }, 'must end in .csv, .csv.gz or .parquet'],
  ])('%s', async (_, options, message) => {
    const before = readdirSync(scratch.folder);
    const error = await failureOf(make(options));
    expect(error).toMatchObject({ name: 'UsageError', exitCode: 2 });
    expect(error.message).toContain(message);
    expect(readdirSync(scratch.folder)).toEqual(before);
  });

  it('a file that is there already, or a catalogue that is not', async () => {
    expect((await failureOf(make({ out: standardFile }))).message).toContain('already exists');
    const error = await failureOf(make({ catalogue: scratch.path('nowhere.csv') }));
    expect(error).toMatchObject({ code: 'STOA_NOT_FOUND_FILE' });
  });
});

describe('an alias table', () => {
  it('draws in proportion to the weights, and nothing of weight 0', () => {
    const weights = [0, 5, 1, 0.5, 3.5, 0];
    const table = new AliasTable(Float64Array.from(weights));
    const random = createRandom(1);
    const draws = new Array<number>(weights.length).fill(0);
    for (let n = 0; n < 100_000; n++) draws[table.draw(random)]!++;
    weights.forEach((weight, k) => {
      // Four standard deviations of a binomial share of 100 000 draws are at most 0.0064.
      expect(Math.abs(draws[k]! / 100_000 - weight / 10)).toBeLessThan(0.0065);
      if (weight === 0) expect(draws[k]).toBe(0);
    });
  });
});

function categoriesOf(items: string): Map<string, string> {
  return new Map(itemRows(items).map((row) => [row[0]!, row.at(-4)!]));
}

function prerequisitesOf(items: string): Map<string, string[]> {
  return new Map(
    itemRows(items).map((row) => [
      row[0]!,
      row
        .at(-1)!
        .split('|')
        .filter((id) => id !== ''),
    ]),
  );
}

/** Titles may have commas; what is asked for stands before and after them. */
function itemRows(items: string): string[][] {
  const lines = readFileSync(items, 'utf8').trimEnd().split('\n').slice(1);
  return lines.map((line) => line.split(','));
}

function groupBy<T, K>(rows: readonly T[], keyOf: (row: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const row of rows) groups.set(keyOf(row), [...(groups.get(keyOf(row)) ?? []), row]);
  return groups;
}
