// `stoa data synthesize`: makes up the course enrolments of a world of learners. Seeded: the same options give the
// same bytes.
//
// How the data come about, and so what is in them to be learnt:
// - Courses belong to subjects (the catalogue's categories) and to one of the subject's topics, a quarter of them to a
//   second one. Within a topic popularity follows Zipf's law, blurred; it fades with the years, and a third of the
//   courses start later. Courses are introductory, intermediate or advanced and may ask for others first.
// - Learners care for one to three subjects, in each for one to three topics, with unequal weights that drift while
//   they learn. How active they are is log-normal. They start as beginners, mostly, and move on to harder courses after
//   a few of a topic. A course that needs another is usually taken after it.
// - A learner's next course is drawn from a topic of interest, by popularity at that time and by how its level suits;
//   one in seventeen is drawn by popularity alone. So tastes are mixtures of a few topics and stages, which a
//   factorisation can find, rather than pairs of courses that go together.
// - `value` is progress from 0.01 to 1: diligent learners get further, and so does anyone in what they care for.
//   `timestamp` is in Unix seconds from 2021 to 2024, ascending within a learner; rows are grouped by learner.
// - Every learner takes at least one course, every course has at least one learner, no pair occurs twice.

import path from 'node:path';
import { refuseExisting, writeFileAtomic } from '../../common/atomic-files.js';
import { UsageError } from '../../common/errors.js';
import { createRandom } from '../../common/random.js';
import { BUNDLED_CATALOGUE, formatCourses, listCourses, readCatalogue } from './course-list.js';
import { buildWorld } from './course-world.js';
import { forcedCourses } from './forced-courses.js';
import { LearnerFactory } from './learner.js';
import { drawActivity } from './learner-activity.js';
import { outputFormat, writeInteractions } from './write-interactions.js';

export interface SynthesizeOptions {
  users: number;
  items: number;
  /** Distinct (user, item) pairs. */
  interactions: number;
  seed: number;
  /** `.csv`, `.csv.gz` or `.parquet`: user_id, item_id, value, timestamp. */
  out: string;
  /** Items file. @default `out` with `.items.csv` for its ending */
  itemsOut?: string;
  /** Catalogue with the columns of datasets/catalogue/courses.csv. @default that one */
  catalogue?: string;
  onProgress?: (progress: { phase: string; done: number; total?: number }) => void;
}

export interface SynthesizeReport {
  out: string;
  itemsOut: string;
  users: number;
  items: number;
  interactions: number;
  seed: number;
  seconds: number;
  synthetic: true;
}

/** Bytes of text handed on at a time. */
const PIECE_BYTES = 1 << 20;
const STREAM = 14;

/**
 * Writes synthetic interactions and their items file. Cost: about a microsecond an interaction; memory does not grow
 * with the number of interactions.
 *
 * @throws {UsageError} `STOA_USAGE`: numbers that cannot be met; {StateError} `STOA_EXISTS`; {SystemError}.
 */
export async function synthesize(options: SynthesizeOptions): Promise<SynthesizeReport> {
  const startMs = performance.now();
  checkNumbers(options);
  outputFormat(options.out);
  const itemsOut = options.itemsOut ?? options.out.replace(/\.(csv|csv\.gz|parquet)$/i, '.items.csv');
  await refuseExisting(options.out);
  await refuseExisting(itemsOut);
  const { users, items, interactions, seed, onProgress } = options;
  const courses = listCourses(await readCatalogue(options.catalogue ?? BUNDLED_CATALOGUE), items, seed);
  const mark = { format: 'stoa-synthetic', version: 1, users, items, interactions, seed };
  await writeInteractions(options.out, csvPieces(options, courses), mark);
  await writeFileAtomic(path.resolve(itemsOut), formatCourses(courses));
  onProgress?.({ phase: 'writing', done: interactions, total: interactions });
  return {
    out: options.out,
    itemsOut,
    users,
    items,
    interactions,
    seed,
    seconds: (performance.now() - startMs) / 1000,
    synthetic: true,
  };
}

function checkNumbers({ users, items, interactions }: SynthesizeOptions): void {
  if (interactions > users * items) {
    throw new UsageError(
      'STOA_USAGE',
      `${interactions} interactions do not fit: ${users} users and ${items} items make ${users * items} pairs, and none occurs twice; ask for fewer interactions`,
      { fields: { field: '--interactions' } },
    );
  }
  const least = Math.max(users, items);
  if (interactions < least) {
    throw new UsageError(
      'STOA_USAGE',
      `${interactions} interactions are too few: each of ${users} users and ${items} items has at least one; ask for ${least} or more`,
      { fields: { field: '--interactions' } },
    );
  }
}

function* csvPieces(
  { users, items, interactions, seed, onProgress }: SynthesizeOptions,
  courses: ReturnType<typeof listCourses>,
): Generator<Buffer> {
  const counts = drawActivity({ users, items, interactions, seed });
  const forced = forcedCourses(counts, items, seed);
  const factory = new LearnerFactory(buildWorld(courses, seed), createRandom(seed, STREAM));
  const digits = Math.max(7, String(users).length);
  let text = 'user_id,item_id,value,timestamp\n';
  let done = 0;
  for (let user = 0; user < users; user++) {
    const count = counts[user]!;
    const history = factory.make(user, count, forced.subarray(done, done + count));
    const userId = `u${String(user + 1).padStart(digits, '0')}`;
    for (let step = 0; step < count; step++) {
      text += `${userId},${courses[history.courses[step]!]!.id},${history.values[step]},${history.times[step]}\n`;
    }
    done += count;
    if (text.length < PIECE_BYTES && user + 1 < users) continue;
    yield Buffer.from(text);
    text = '';
    onProgress?.({ phase: 'making', done, total: interactions });
  }
}
