// The messages of masked sums between what the protos say and what federation/secure-aggregation has.

import { RoundError } from '../../common/errors.js';
import type { RoundStep } from '../../federation/rounds/round-plan.js';
import type { MemberMessage, RoundId, ServerMessage } from '../../federation/secure-aggregation/messages.js';
import type { AnswerStepRequest__Output } from '../../proto/generated/stoa/federation/v1/AnswerStepRequest.js';
import type { StepTask } from '../../proto/generated/stoa/federation/v1/StepTask.js';

type TaskMessage = Pick<StepTask, 'keyList' | 'shareDelivery' | 'survivors' | 'unmask'>;

/** What a member is told, as a part of its task. */
export function taskMessage(message: ServerMessage | undefined): TaskMessage {
  switch (message?.type) {
    case undefined:
      return {};
    case 'key-list': {
      const keys = message.keys.map(({ member, sealKey, maskKey, signature }) => ({
        member,
        sealKey,
        maskKey,
        signature,
      }));
      return { keyList: { keys } };
    }
    case 'share-delivery': {
      const sealed = message.sealed.map(({ from, bytes }) => ({ member: from, sealed: bytes }));
      return { shareDelivery: { sharers: message.sharers, sealed } };
    }
    case 'survivors':
      return { survivors: { survivors: message.survivors } };
    case 'unmask': {
      const { survivors, dropouts, signatures } = message;
      return { unmask: { survivors, dropouts, signatures } };
    }
  }
}

/** A member's answer, as the server of the sum takes it; `member` is who sent it, whatever the message says. */
export function memberMessage(
  answer: AnswerStepRequest__Output,
  id: RoundId,
  member: number,
): { step: RoundStep; message: MemberMessage } {
  const { keys, shares, signature, unmaskShares } = answer;
  const claimed = (keys ?? shares ?? signature ?? unmaskShares)?.member;
  if (claimed !== member) {
    throw new RoundError(
      'STOA_ROUND_MESSAGE',
      `member ${member} of the cohort answered for ${claimed ?? 'nobody'}`,
    );
  }
  if (keys) {
    const { sealKey, maskKey } = keys;
    return {
      step: 'keys',
      message: { ...id, type: 'keys', member, sealKey, maskKey, signature: keys.signature },
    };
  }
  if (shares) {
    const sealed = shares.sealed.map((one) => ({ to: one.member, bytes: one.sealed }));
    return { step: 'shares', message: { ...id, type: 'shares', member, seedHash: shares.seedHash, sealed } };
  }
  if (signature) {
    return { step: 'confirm', message: { ...id, type: 'signature', member, signature: signature.signature } };
  }
  const sharesOf = (list: readonly { member: number; share: Buffer }[]) =>
    list.map((one) => ({ of: one.member, share: one.share }));
  return {
    step: 'reveal',
    message: {
      ...id,
      type: 'unmask-shares',
      member,
      seedShares: sharesOf(unmaskShares!.seedShares),
      maskKeyShares: sharesOf(unmaskShares!.maskKeyShares),
    },
  };
}
