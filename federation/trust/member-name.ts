// Names of members: what certificates, files and logs call an institution.

import { UsageError } from '../../common/errors.js';

/** A DNS label: it is safe in file names, certificates and logs, and has one spelling. */
const MEMBER_NAME = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** @throws {UsageError} `STOA_USAGE`: not a name. */
export function requireMemberName(name: string): string {
  if (MEMBER_NAME.test(name)) return name;
  throw new UsageError(
    'STOA_USAGE',
    `${JSON.stringify(name.slice(0, 80))} is not a member's name; take 1 to 63 of a-z, 0-9 and "-", not beginning or ending with "-"`,
    { fields: { field: 'name' } },
  );
}
