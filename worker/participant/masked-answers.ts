// The messages of masked sums between what federation/secure-aggregation has and what the protos say, at a participant.

import { RoundError } from '../../common/errors.js';
import type { MemberMessage, RoundId, ServerMessage } from '../../federation/secure-aggregation/messages.js';
import type { AnswerStepRequest } from '../../proto/generated/stoa/federation/v1/AnswerStepRequest.js';
import type { StepTask__Output } from '../../proto/generated/stoa/federation/v1/StepTask.js';

/** What the coordinator tells in a step. @throws {RoundError} `STOA_ROUND_MESSAGE`: nothing, where something is due. */
export function serverMessage(task: StepTask__Output, id: RoundId): ServerMessage {
  const { keyList, shareDelivery, survivors, unmask } = task;
  if (keyList) {
    return { ...id, type: 'key-list', keys: keyList.keys.map((key) => ({ ...id, type: 'keys', ...key })) };
  }
  if (shareDelivery) {
    const sealed = shareDelivery.sealed.map((one) => ({ from: one.member, bytes: one.sealed }));
    return { ...id, type: 'share-delivery', sharers: shareDelivery.sharers, sealed };
  }
  if (survivors) return { ...id, type: 'survivors', survivors: survivors.survivors };
  if (unmask) return { ...id, type: 'unmask', ...unmask };
  throw new RoundError('STOA_ROUND_MESSAGE', `the task of step ${task.step} says nothing`);
}

type Answer = Pick<AnswerStepRequest, 'keys' | 'shares' | 'signature' | 'unmaskShares'>;

/** A member's answer as it travels; masked words go in a stream of their own. */
export function stepAnswer(message: Exclude<MemberMessage, { type: 'masked' }>): Answer {
  switch (message.type) {
    case 'keys': {
      const { member, sealKey, maskKey, signature } = message;
      return { keys: { member, sealKey, maskKey, signature } };
    }
    case 'shares': {
      const { member, seedHash } = message;
      const sealed = message.sealed.map(({ to, bytes }) => ({ member: to, sealed: bytes }));
      return { shares: { member, seedHash, sealed } };
    }
    case 'signature':
      return { signature: { member: message.member, signature: message.signature } };
    case 'unmask-shares': {
      const shares = (list: readonly { of: number; share: Uint8Array }[]) =>
        list.map(({ of, share }) => ({ member: of, share }));
      const { member, seedShares, maskKeyShares } = message;
      return {
        unmaskShares: { member, seedShares: shares(seedShares), maskKeyShares: shares(maskKeyShares) },
      };
    }
  }
}
