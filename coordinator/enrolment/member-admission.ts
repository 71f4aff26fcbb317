// Who may join a run of a federation: its members, under their own names, with the keys in their certificates.

import { createHash } from 'node:crypto';
import type { Clock } from '../../common/clock.js';
import type { Admission } from '../federation/admission.js';
import type { MembershipRegister } from './membership-register.js';

/** Admits participants whose key is that of a certificate that is valid now. */
export function memberAdmission(register: MembershipRegister, clock: Clock): Admission {
  return {
    admit: ({ name, identityKey }) => {
      const keyHash = createHash('sha256').update(identityKey).digest('hex');
      register.requireKey({ name, keyHash }, clock.date());
    },
  };
}
