// The address of a coordinator that starts at the same time as its workers: they load meanwhile, and are told.

import type { ChildProcess } from 'node:child_process';
import type { HostPort } from '../common/addresses.js';
import { UsageError } from '../common/errors.js';

/** In the place of an address: the process that forked this one will tell it. */
export const FROM_PARENT = 'parent';

interface Told {
  coordinator: HostPort;
}

export function tellAddress(child: ChildProcess, coordinator: HostPort): void {
  const told: Told = { coordinator };
  // A child that is gone is found out by its exit.
  if (child.connected) child.send(told, () => {});
}

/** @throws {UsageError} this process was not forked with a channel. */
export function addressFromParent(): Promise<HostPort> {
  if (process.connected !== true) {
    throw new UsageError(
      'STOA_USAGE',
      `--coordinator ${FROM_PARENT} is for workers that "stoa train" starts; give host:port`,
      { fields: { field: '--coordinator' } },
    );
  }
  return new Promise((resolve) => {
    process.once('message', (told: Told) => resolve(told.coordinator));
  });
}
