import { UsageError } from '../../common/errors.js';

const PAGE_SIZE_DEFAULT = 100;
const PAGE_SIZE_MAX = 1000;

/**
 * A page of a list: `pageToken` is the key of the last entry of the page before.
 *
 * @throws {UsageError} the size is negative or above 1000, or no entry has the token.
 */
export function pageOf<T>(
  all: readonly T[],
  keyOf: (entry: T) => string,
  { pageSize, pageToken }: { pageSize: number; pageToken: string },
): { page: T[]; nextPageToken: string } {
  if (pageSize < 0 || pageSize > PAGE_SIZE_MAX) {
    throw new UsageError('STOA_USAGE', `page_size must be 0 to ${PAGE_SIZE_MAX}, it is ${pageSize}`, {
      fields: { field: 'page_size' },
    });
  }
  const before = pageToken === '' ? -1 : all.findIndex((entry) => keyOf(entry) === pageToken);
  if (pageToken !== '' && before < 0) {
    throw new UsageError(
      'STOA_USAGE',
      'page_token is not one that this list gave out; begin again without it',
      {
        fields: { field: 'page_token' },
      },
    );
  }
  const page = all.slice(before + 1, before + 1 + (pageSize === 0 ? PAGE_SIZE_DEFAULT : pageSize));
  const isLast = before + 1 + page.length >= all.length;
  return { page, nextPageToken: isLast || page.length === 0 ? '' : keyOf(page.at(-1)!) };
}
