import type { StoaError } from '../../common/errors.js';
import type { Fence } from '../leader/fence.js';
import type { Journal } from './journal.js';

/** What makes the changes of a coordinator last. */
export interface Durability {
  /** Absent for a process that trains one run in a folder of its own: the run's folder is its memory then. */
  journal?: Journal;
  /** The right to write; absent as the journal is: each run's folder has its own. */
  fence?: Fence;
  /** True when another process may hold the same right one day: a lock that it left does not bind its successor. */
  hasStandIns: boolean;
  /** Kept free on the disks that are written. */
  diskReserveBytes: number;
  /** Called when the disk did not confirm a write. Ends the process where there is one to end. */
  onFatal: (error: StoaError) => void;
}
