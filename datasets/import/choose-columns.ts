// Which columns hold users, items, values and times: those named by flags, else well-known names.

import { distance } from 'fastest-levenshtein';
import { DataError } from '../../common/errors.js';
import { suggestion } from '../../common/nearest.js';

export interface ColumnFlags {
  userCol?: string;
  itemCol?: string;
  valueCol?: string;
  timeCol?: string;
}

export interface ChosenColumns {
  user: string;
  item: string;
  value?: string;
  time?: string;
}

/** Best first; compared without case, spaces and punctuation, so `userId` and `User ID` are `user_id`. */
const WELL_KNOWN: Record<keyof ChosenColumns, readonly string[]> = {
  user: [
    'user_id',
    'user',
    'learner_id',
    'learner',
    'student_id',
    'id_student',
    'student',
    'uid',
    'username',
    'member_id',
    'customer_id',
    'account_id',
  ],
  item: [
    'item_id',
    'item',
    'course_id',
    'course',
    'id_site',
    'resource_id',
    'content_id',
    'module_id',
    'product_id',
    'movie_id',
    'video_id',
    'object_id',
  ],
  value: [
    'value',
    'rating',
    'weight',
    'strength',
    'sum_click',
    'clicks',
    'progress',
    'engagement',
    'count',
    'score',
  ],
  time: [
    'timestamp',
    'time',
    'datetime',
    'date',
    'event_time',
    'created_at',
    'enrolled_at',
    'ts',
    'position',
  ],
};
const FLAGS: Record<keyof ChosenColumns, keyof ColumnFlags> = {
  user: 'userCol',
  item: 'itemCol',
  value: 'valueCol',
  time: 'timeCol',
};
const FLAG_NAMES: Record<keyof ChosenColumns, string> = {
  user: '--user-col',
  item: '--item-col',
  value: '--value-col',
  time: '--time-col',
};

/**
 * Chooses columns among those of a file.
 *
 * @param file name for messages.
 * @throws {DataError} `STOA_DATA_COLUMN`: a needed or named column is not there; says which are.
 */
export function chooseColumns(found: readonly string[], flags: ColumnFlags, file: string): ChosenColumns {
  const user = choose('user', found, flags, file);
  const item = choose('item', found, flags, file);
  if (user === undefined) throw missing('user', found, file);
  if (item === undefined) throw missing('item', found, file);
  if (user === item) {
    throw new DataError(
      'STOA_DATA_COLUMN',
      `column "${user}" of ${file} cannot hold both users and items; give --user-col and --item-col different columns`,
      { fields: { file, field: '--item-col' } },
    );
  }
  return { user, item, value: choose('value', found, flags, file), time: choose('time', found, flags, file) };
}

function choose(
  role: keyof ChosenColumns,
  found: readonly string[],
  flags: ColumnFlags,
  file: string,
): string | undefined {
  const named = flags[FLAGS[role]];
  if (named !== undefined) {
    if (found.includes(named)) return named;
    throw new DataError(
      'STOA_DATA_COLUMN',
      `${file} has no column "${named}" (${FLAG_NAMES[role]})${suggestion(named, found)}; its columns are ${list(found)}`,
      { fields: { file, field: FLAG_NAMES[role], found: [...found] } },
    );
  }
  for (const known of WELL_KNOWN[role]) {
    const column = found.find((name) => plain(name) === plain(known));
    if (column !== undefined) return column;
  }
  return undefined;
}

function missing(role: 'user' | 'item', found: readonly string[], file: string): DataError {
  const near = nearestColumn(WELL_KNOWN[role], found);
  const hint = near === undefined ? 'COLUMN' : `"${near}"`;
  return new DataError(
    'STOA_DATA_COLUMN',
    `${file} has no ${role} column that is known by its name (its columns are ${list(found)}); name it, for example ${FLAG_NAMES[role]} ${hint}`,
    { fields: { file, field: FLAG_NAMES[role], found: [...found] } },
  );
}

/** The column most like one of the known names, when at most half of its letters differ. */
function nearestColumn(known: readonly string[], found: readonly string[]): string | undefined {
  let best: string | undefined;
  let least = 0.5;
  for (const column of found) {
    for (const name of known) {
      const share = distance(plain(name), plain(column)) / Math.max(plain(name).length, column.length);
      if (share <= least && (best === undefined || share < least)) {
        best = column;
        least = share;
      }
    }
  }
  return best;
}

function plain(name: string): string {
  return name.toLowerCase().replace(/[^\p{L}\p{N}]/gu, '');
}

/** At most this many columns are listed in a message. */
const LISTED_MAX = 30;

function list(names: readonly string[]): string {
  const shown = names.slice(0, LISTED_MAX).map((name) => `"${name}"`);
  return shown.join(', ') + (names.length > LISTED_MAX ? ` and ${names.length - LISTED_MAX} more` : '');
}
