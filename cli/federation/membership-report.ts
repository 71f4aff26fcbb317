// What join and renew say: who one is now, and whether the clocks agree.

import type { MembershipResult } from '../../federation/trust/membership.js';
import type { Output } from '../output.js';
import { minute } from '../quantities.js';

/** Deadlines of rounds are minutes: clocks that are further apart confuse people who compare logs. */
const CLOCK_DIFFERENCE_MS_MAX = 60_000;

export function reportMembership(
  { identity, clockAheadMs }: MembershipResult,
  folder: string,
  output: Output,
): void {
  const { name, role, federation, address } = identity;
  const expires = new Date(identity.certificate.validTo).toISOString();
  if (Math.abs(clockAheadMs) > CLOCK_DIFFERENCE_MS_MAX) {
    const direction = clockAheadMs > 0 ? 'ahead of' : 'behind';
    output.warn(
      `this machine's clock is ${Math.round(Math.abs(clockAheadMs) / 1000)} s ${direction} the coordinator's; set the one that is wrong`,
    );
  }
  output.answer(
    {
      name,
      role,
      federation,
      coordinator: address,
      identity: folder,
      expire_time: expires,
      clock_ahead_seconds: Math.round(clockAheadMs / 1000),
    },
    () => `${name} is a member of ${federation} until ${minute(expires)} UTC; its identity is in ${folder}`,
  );
}
