import type { StoaError } from '../common/errors.js';

/**
 * Ends the process at once, with one sentence: for a disk that did not confirm a write. What was acknowledged before is
 * on disk; nothing may be acknowledged after.
 */
export function endProcess(error: StoaError): never {
  process.stderr.write(`stoa: ${error.message}\n`);
  process.exit(error.exitCode);
}
