import { found } from '../federation/init.js';
import { invite } from '../federation/invite.js';
import { join } from '../federation/join.js';
import { members } from '../federation/members.js';
import { receipt } from '../federation/receipt.js';
import { renew } from '../federation/renew.js';
import { revoke } from '../federation/revoke.js';
import { serve } from '../federation/serve.js';
import { toGroup } from '../verb.js';

export const command = toGroup('federation', 'Found a federation, invite and revoke members, join one', [
  found,
  invite,
  join,
  renew,
  revoke,
  members,
  serve,
  receipt,
]);
