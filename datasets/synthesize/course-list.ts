// The courses of a synthetic world: those of a catalogue, and variants of them when more are wanted.

import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { DataError, NotFoundError } from '../../common/errors.js';
import { packageRoot } from '../../common/package-root.js';
import { createRandom } from '../../common/random.js';
import { RecordScanner, splitFields } from '../import/text-records.js';

export interface Course {
  id: string;
  title: string;
  category: string;
  /** 0 introductory, 1 intermediate, 2 advanced. */
  level: number;
  language: string;
  /** Positions in the list. */
  prerequisites: number[];
}

const COLUMNS = ['item_id', 'title', 'category', 'level', 'language', 'prerequisites'] as const;
const LEVELS = ['introductory', 'intermediate', 'advanced'];
/** What a variant of a course is called; the further ones are numbered. */
const VARIANTS = [
  'Case Studies',
  'Project Lab',
  'Fast Track',
  'for Teachers',
  'Exam Preparation',
  'Reading Group',
  'at Work',
  'Weekend Edition',
  'Problem Sets',
  'Seminar',
];
/** Share of variants that ask for another course first. */
const PREREQUISITE_SHARE = 0.35;
const STREAM = 11;

/** The catalogue that ships with Stoa: invented courses, see datasets/catalogue. */
export const BUNDLED_CATALOGUE = path.join(packageRoot, 'datasets/catalogue/courses.csv');

/** Reads a catalogue. @throws {NotFoundError} `STOA_NOT_FOUND_FILE`; {DataError} `STOA_DATA_COLUMN`, `STOA_DATA_EMPTY`. */
export async function readCatalogue(file: string): Promise<Course[]> {
  const bytes = await readFile(file).catch((error) => {
    throw new NotFoundError('STOA_NOT_FOUND_FILE', `the catalogue ${file} cannot be read; check the name`, {
      fields: { file },
      cause: error,
    });
  });
  const records = [...new RecordScanner({ delimiter: 0x2c }).push(bytes, true)].filter(
    (r) => r.bytes.length > 0,
  );
  const [header, ...rows] = records.map((record) => splitFields(record.bytes, ','));
  const missing = COLUMNS.find((name) => header === undefined || !header.includes(name));
  if (missing !== undefined) {
    throw new DataError(
      'STOA_DATA_COLUMN',
      `the catalogue ${file} has no column "${missing}"; expected a CSV file with the columns ${COLUMNS.join(', ')}`,
      { fields: { file, field: missing } },
    );
  }
  if (rows.length === 0) {
    throw new DataError('STOA_DATA_EMPTY', `the catalogue ${file} has no courses`, { fields: { file } });
  }
  const cell = (row: string[], name: (typeof COLUMNS)[number]) => row[header!.indexOf(name)] ?? '';
  const positions = new Map(rows.map((row, at) => [cell(row, 'item_id'), at]));
  return rows.map((row) => ({
    id: cell(row, 'item_id'),
    title: cell(row, 'title'),
    category: cell(row, 'category'),
    level: Math.max(0, LEVELS.indexOf(cell(row, 'level'))),
    language: cell(row, 'language'),
    prerequisites: cell(row, 'prerequisites')
      .split('|')
      .map((id) => positions.get(id))
      .filter((at) => at !== undefined),
  }));
}

/**
 * Exactly `count` courses: a part of the catalogue that takes evenly from all of it, or all of it and variants.
 * Variants have ids of their own (`c00241`, …) and keep category and language.
 */
export function listCourses(catalogue: readonly Course[], count: number, seed: number): Course[] {
  if (count <= catalogue.length) return thin(catalogue, count);
  const courses = catalogue.map((course) => ({ ...course }));
  const known = new Set(courses.map((course) => course.id));
  const digits = Math.max(5, String(count).length);
  const random = createRandom(seed, STREAM);
  const rounds = new Map<string, number[]>();
  let number = 0;
  for (let at = catalogue.length; at < count; at++) {
    const base = catalogue[at % catalogue.length]!;
    const round = Math.floor(at / catalogue.length) - 1;
    let id: string;
    do id = `c${String(++number).padStart(digits, '0')}`;
    while (known.has(id));
    const level = Math.min(2, random.int(3) === 0 ? random.int(3) : base.level);
    const earlier = rounds.get(base.category) ?? [];
    const easier = earlier.filter((other) => courses[other]!.level < level);
    const asks = random.next() < PREREQUISITE_SHARE && easier.length > 0;
    courses.push({
      ...base,
      id,
      title: `${base.title}: ${variantName(round)}`,
      level,
      prerequisites: asks ? [easier[random.int(easier.length)]!] : [],
    });
    earlier.push(at);
    // Only recent ones are looked at, or a large world would take quadratic time.
    if (earlier.length > 200) earlier.splice(0, 100);
    rounds.set(base.category, earlier);
  }
  return courses;
}

function variantName(round: number): string {
  const name = VARIANTS[round % VARIANTS.length]!;
  return round < VARIANTS.length ? name : `${name} ${Math.floor(round / VARIANTS.length) + 1}`;
}

/** `count` courses, evenly spaced; prerequisites that fall out are dropped. */
function thin(catalogue: readonly Course[], count: number): Course[] {
  const chosen = Array.from({ length: count }, (_, n) => Math.floor((n * catalogue.length) / count));
  const positions = new Map(chosen.map((at, n) => [at, n]));
  return chosen.map((at) => ({
    ...catalogue[at]!,
    prerequisites: catalogue[at]!.prerequisites.map((other) => positions.get(other)).filter(
      (n) => n !== undefined,
    ),
  }));
}

/** The items file, with the columns of a catalogue. */
export function formatCourses(courses: readonly Course[]): string {
  const lines = courses.map((course) =>
    [
      course.id,
      course.title,
      course.category,
      LEVELS[course.level]!,
      course.language,
      course.prerequisites.map((at) => courses[at]!.id).join('|'),
    ]
      .map((text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text))
      .join(','),
  );
  return `${[COLUMNS.join(','), ...lines].join('\n')}\n`;
}
