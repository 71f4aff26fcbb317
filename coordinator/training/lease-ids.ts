/** Where the lease ids of a term begin: 2^32 a term, which no term uses up; those of 2^21 terms are exact numbers. */
export function leaseIdStart(term: number): number {
  return term * 2 ** 32 + 1;
}
