// Verbs that look at a coordinator's runs and models.

import type { Command } from 'commander';
import type { TrainingClient } from '../client/index.js';
import { parseAddresses } from '../common/addresses.js';
import { addClientTlsFlags, type TlsFlags, tlsOf } from './tls-flags.js';

export interface CoordinatorFlags extends TlsFlags {
  coordinator?: string;
}

export function addCoordinatorFlags(command: Command): void {
  command.option(
    '--coordinator <host:port>',
    'ask a coordinator; several, with commas, stand in for one another',
  );
  addClientTlsFlags(command);
}

/** Lends a client of the coordinator, and closes it. */
export async function withTrainingClient<T>(
  coordinator: string,
  flags: TlsFlags,
  work: (client: TrainingClient) => Promise<T>,
): Promise<T> {
  const { TrainingClient } = await import('../client/index.js');
  parseAddresses(coordinator, '--coordinator');
  const client = new TrainingClient({ address: coordinator, ...tlsOf(flags) });
  try {
    return await work(client);
  } finally {
    client.close();
  }
}
