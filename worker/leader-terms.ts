import { FencedError } from '../common/errors.js';

/**
 * The terms of the coordinators that a worker has worked for. They only grow: one of an earlier term was frozen or cut
 * off, does not know that it is over, and gets no work out of this worker.
 */
export class LeaderTerms {
  /** 0 before the first. */
  #latest = 0;

  /** @throws {FencedError} `STOA_NOT_LEADER`: the term is over. */
  observe(term: number, coordinator: string): void {
    if (term < this.#latest) {
      throw new FencedError(
        'STOA_NOT_LEADER',
        `${coordinator} believes to lead in term ${term}, which is over: term ${this.#latest} has begun`,
        { fields: { leader: '' } },
      );
    }
    this.#latest = term;
  }
}
