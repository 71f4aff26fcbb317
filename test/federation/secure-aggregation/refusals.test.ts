// What a participant refuses: each thing that a coordinator could ask in order to learn more than a sum. It says why, and
// is over. And what a server refuses of a participant.

import { sign } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type {
  KeyList,
  MemberMessage,
  ServerMessage,
  ShareDelivery,
  SurvivorSet,
  UnmaskRequest,
} from '../../../federation/secure-aggregation/messages.js';
import { RoundMemory } from '../../../federation/secure-aggregation/round-memory.js';
import { keyStatement, survivorStatement } from '../../../federation/secure-aggregation/signed-statements.js';
import type { SumParticipant } from '../../../federation/secure-aggregation/sum-participant.js';
import { FACTORS_HASH, identitiesOf, seededBytes, VirtualCohort } from './virtual-cohort.js';

/** Seven members, of whom five are needed; member 6 drops out with its words. */
class Scene {
  readonly cohort = new VirtualCohort({ count: 7, length: 3 });
  readonly keyList: Map<number, ServerMessage>;
  #shares: Map<number, ServerMessage> | undefined;
  #survivors: Map<number, ServerMessage> | undefined;
  #unmask: Map<number, ServerMessage> | undefined;

  constructor() {
    this.keyList = this.cohort.advertise();
  }

  keys(member: number): KeyList {
    return this.keyList.get(member) as KeyList;
  }

  delivery(member: number): ShareDelivery {
    this.#shares ??= this.cohort.step('shares', this.keyList);
    return this.#shares.get(member) as ShareDelivery;
  }

  survivors(member: number): SurvivorSet {
    this.delivery(member);
    this.#survivors ??= this.cohort.step('masked', this.#shares!, { masked: [6] });
    return this.#survivors.get(member) as SurvivorSet;
  }

  unmask(member: number): UnmaskRequest {
    this.survivors(member);
    this.#unmask ??= this.cohort.step('signature', this.#survivors!);
    return this.#unmask.get(member) as UnmaskRequest;
  }
}

/** The participant refuses the message, says why, and from then on answers nothing, not even what is right. */
function expectRefusal(
  participant: SumParticipant,
  wrong: ServerMessage,
  { why, right }: { why: string | RegExp; right: ServerMessage },
): void {
  expect(() => participant.receive(wrong)).toThrow(why);
  expect(participant.step).toBe('stopped');
  expect(() => participant.receive(right)).toThrow(why);
  expect(() => participant.mask(new Float64Array(1))).toThrow(why);
}

describe('a participant refuses an unmask request', () => {
  const cases: [string, (right: UnmaskRequest) => Partial<UnmaskRequest>, RegExp][] = [
    [
      'whose survivors and dropouts overlap',
      ({ survivors }) => ({ dropouts: [survivors[2]!, 6] }),
      /institution-2 is said to have survived and to have dropped out/,
    ],
    [
      'with both share types for one peer, in any order',
      ({ dropouts }) => ({ survivors: [0, 1, 2, 3, 4, 5, 6], dropouts }),
      /institution-6 is said to have survived and to have dropped out/,
    ],
    [
      'with one survivor fewer than it signed',
      () => ({ survivors: [0, 1, 2, 3, 4], dropouts: [5, 6] }),
      /not the one that this participant signed/,
    ],
    [
      'with one survivor more than it signed',
      () => ({ survivors: [0, 1, 2, 3, 4, 5, 6], dropouts: [] }),
      /not the one that this participant signed/,
    ],
    ['that leaves a dropout out', () => ({ dropouts: [] }), /not just those who shared/],
    ['with a dropout that never shared', () => ({ dropouts: [6, 7] }), /not just those who shared/],
    [
      'with fewer than t signatures',
      ({ signatures }) => ({ signatures: signatures.slice(0, 4) }),
      /4 valid signatures .* and 5 are needed/,
    ],
    [
      'with one signature in place of many',
      ({ signatures }) => ({ signatures: Array.from({ length: 9 }, () => signatures[0]!) }),
      /1 valid signatures/,
    ],
    [
      'with signatures under other names',
      ({ signatures }) => ({
        signatures: signatures.map(({ signature }, n) => ({ member: (n + 1) % 6, signature })),
      }),
      /0 valid signatures/,
    ],
    [
      'with signatures of who is no survivor',
      ({ signatures }) => ({
        signatures: [...signatures.slice(0, 4), { member: 6, signature: signatures[5]!.signature }],
      }),
      /4 valid signatures/,
    ],
  ];

  it.each(cases)('%s', (_, change, why) => {
    const scene = new Scene();
    const right = scene.unmask(1);
    expectRefusal(scene.cohort.participants[1]!, { ...right, ...change(right) }, { why, right });
  });

  it('that is the second of a round, the same one or one that asks for the other share of a peer', () => {
    for (const change of [{}, { survivors: [0, 1, 2, 3, 4], dropouts: [5, 6] }]) {
      const scene = new Scene();
      const right = scene.unmask(1);
      const participant = scene.cohort.participants[1]!;
      const answer = participant.receive(right) as Extract<MemberMessage, { type: 'unmask-shares' }>;
      expect(answer.seedShares.map(({ of }) => of)).toEqual([0, 1, 2, 3, 4, 5]);
      expect(answer.maskKeyShares.map(({ of }) => of)).toEqual([6]);
      expectRefusal(participant, { ...right, ...change }, { why: 'a second unmask request', right });
    }
  });

  it('with survivors signed in another round', () => {
    const scene = new Scene();
    const right = scene.unmask(1);
    const { terms } = scene.cohort;
    const identities = identitiesOf(7);
    const statement = survivorStatement(
      { ...terms, round: 2n },
      { cohort: new Uint8Array(32), survivors: right.survivors },
    );
    const signatures = right.survivors.map((member) => ({
      member,
      signature: new Uint8Array(sign(null, statement, identities[member]!.key)),
    }));
    expectRefusal(
      scene.cohort.participants[1]!,
      { ...right, signatures },
      { why: '0 valid signatures', right },
    );
  });
});

describe('a participant refuses a survivor set', () => {
  it.each<[string, Partial<SurvivorSet>, RegExp]>([
    ['that it is not in', { survivors: [0, 2, 3, 4, 5] }, /this participant is not among/],
    ['of fewer than t', { survivors: [0, 1, 2, 3] }, /4 participants survive and at least 5 must/],
    ['with a member that did not share', { survivors: [0, 1, 2, 3, 4, 7] }, /names others/],
    ['with a member twice', { survivors: [0, 1, 1, 2, 3, 4] }, /out of order/],
  ])('%s', (_, change, why) => {
    const scene = new Scene();
    const right = scene.survivors(1);
    expectRefusal(scene.cohort.participants[1]!, { ...right, ...change }, { why, right });
  });

  it('before its own words are all masked', () => {
    const scene = new Scene();
    const delivery = scene.delivery(1);
    const participant = scene.cohort.participants[1]!;
    participant.receive(delivery);
    participant.mask(new Float64Array(2));
    const early: SurvivorSet = { ...delivery, type: 'survivors', survivors: [0, 1, 2, 3, 4, 5] };
    expectRefusal(participant, early, { why: 'where the round stands at "masking"', right: delivery });
  });
});

describe('a participant refuses shares', () => {
  it.each<[string, (right: ShareDelivery) => Partial<ShareDelivery>, RegExp]>([
    [
      'that were changed on the way',
      ({ sealed }) => ({
        sealed: sealed.map(({ from, bytes }) => ({ from, bytes: bytes.map((b) => b ^ 1) })),
      }),
      /share of institution-0 was not sealed for this participant/,
    ],
    [
      'that were meant for another',
      ({ sealed }) => ({
        sealed: sealed.map(({ from }, n) => ({ from, bytes: sealed[(n + 1) % sealed.length]!.bytes })),
      }),
      /was not sealed for this participant/,
    ],
    ['that lack a sender', ({ sealed }) => ({ sealed: sealed.slice(1) }), /not from just those/],
    [
      'from fewer than t',
      ({ sealed }) => ({ sharers: [0, 1, 2, 3], sealed: sealed.slice(0, 3) }),
      /4 participants shared their keys and at least 5 must/,
    ],
  ])('%s', (_, change, why) => {
    const scene = new Scene();
    const right = scene.delivery(1);
    expectRefusal(scene.cohort.participants[1]!, { ...right, ...change(right) }, { why, right });
  });
});

describe('a participant refuses a key list', () => {
  const forged = (member: number, { keys }: KeyList, signer: number): KeyList['keys'] => {
    const scene = new Scene();
    const random = seededBytes(99);
    const own = { member, sealKey: random(32), maskKey: random(32) };
    const { key } = identitiesOf(7)[signer]!;
    const signature = new Uint8Array(sign(null, keyStatement(scene.cohort.terms, own), key));
    return keys.map((one) => (one.member === member ? { ...one, ...own, signature } : one));
  };

  it.each<[string, (right: KeyList) => Partial<KeyList>, RegExp]>([
    [
      'with keys that the coordinator signed itself',
      (right) => ({ keys: forged(4, right, 5) }),
      /keys of institution-4 are not signed by its identity/,
    ],
    [
      'with a signature of other keys',
      ({ keys }) => ({
        keys: keys.map((key, n) => (n === 4 ? { ...key, maskKey: seededBytes(7)(32) } : key)),
      }),
      /keys of institution-4 are not signed/,
    ],
    [
      'with other keys of its own',
      (right) => ({ keys: forged(1, right, 1) }),
      /other keys of this participant/,
    ],
    [
      'with one key twice',
      ({ keys }) => ({ keys: keys.map((key, n) => (n === 4 ? { ...key, maskKey: keys[3]!.maskKey } : key)) }),
      /one key twice/,
    ],
    ['that it is not in', ({ keys }) => ({ keys: keys.filter((_, n) => n !== 1) }), /not among those/],
    ['of fewer than t', ({ keys }) => ({ keys: keys.slice(0, 4) }), /4 participants .* at least 5 must/],
    ['with a member twice', ({ keys }) => ({ keys: [keys[0]!, ...keys] }), /out of order/],
  ])('%s', (_, change, why) => {
    const scene = new Scene();
    const right = scene.keys(1);
    expectRefusal(scene.cohort.participants[1]!, { ...right, ...change(right) }, { why, right });
  });

  it('with a point of low order that its owner signed', () => {
    const scene = new Scene();
    const right = scene.keys(1);
    const low = { member: 4, sealKey: new Uint8Array(32), maskKey: right.keys[4]!.maskKey };
    const { key } = identitiesOf(7)[4]!;
    const signature = new Uint8Array(sign(null, keyStatement(scene.cohort.terms, low), key));
    const keys = right.keys.map((one) => (one.member === 4 ? { ...one, ...low, signature } : one));
    expectRefusal(scene.cohort.participants[1]!, { ...right, keys }, { why: 'a point of low order', right });
  });
});

describe('a cohort below its minimum', () => {
  it('is not entered', () => {
    expect(() => new VirtualCohort({ count: 4 })).toThrow(
      expect.objectContaining({
        code: 'STOA_COHORT_TOO_SMALL',
        message: expect.stringContaining('at least 5'),
      }),
    );
    expect(() => new VirtualCohort({ count: 9, cohortMin: 10 })).toThrow('at least 10 must');
  });

  it.each([
    ['keys', /9 participants advertised keys and at least 10 must/],
    ['shares', /9 participants shared their keys and at least 10 must/],
    ['masked', /9 participants survive and at least 10 must/],
  ] as const)('is left when it falls there in the step of "%s", and nothing is uncovered', (step, why) => {
    const cohort = new VirtualCohort({ count: 10, cohortMin: 10, length: 1 });
    expect(() => cohort.run({ [step]: [3] })).toThrow(why);
    expect(() => cohort.server.takeSum(new Float64Array(1))).toThrow('uncovered');
  });
});

describe('a message of an earlier round', () => {
  it('is refused by a participant, each of them', () => {
    const earlier = new VirtualCohort({ count: 5, length: 1, round: 1n });
    earlier.run();
    const seen = new Set<string>();
    for (const { message } of earlier.log) {
      if (!['key-list', 'share-delivery', 'survivors', 'unmask'].includes(message.type)) continue;
      if (seen.has(message.type)) continue;
      seen.add(message.type);
      const later = new VirtualCohort({ count: 5, length: 1, round: 2n, seed: 2 });
      const [participant] = later.participants;
      participant!.advertise();
      const why = 'a message of round 1 came in round 2';
      const right = message as ServerMessage;
      expectRefusal(participant!, message as ServerMessage, { why, right });
    }
    expect(seen.size).toBe(4);
  });

  it('is refused by a participant also under the number of the new one', () => {
    const earlier = new VirtualCohort({ count: 5, length: 1, round: 1n });
    earlier.run();
    const renamed = (type: ServerMessage['type']) =>
      ({ ...earlier.log.find((one) => one.message.type === type)!.message, round: 2n }) as ServerMessage;
    const fresh = () => new VirtualCohort({ count: 5, length: 1, round: 2n, seed: 2 });

    let cohort = fresh();
    cohort.participants[0]!.advertise();
    expect(() => cohort.participants[0]!.receive(renamed('key-list'))).toThrow(
      'other keys of this participant',
    );

    cohort = fresh();
    cohort.step('shares', cohort.advertise());
    expect(() => cohort.participants[0]!.receive(renamed('share-delivery'))).toThrow('was not sealed for');

    cohort = fresh();
    const delivered = cohort.step('shares', cohort.advertise());
    const survivors = cohort.step('masked', delivered);
    cohort.step('signature', survivors);
    expect(() => cohort.participants[0]!.receive(renamed('unmask'))).toThrow('0 valid signatures');
  });

  it('is refused by a server, each of them, and the round goes on', () => {
    const earlier = new VirtualCohort({ count: 5, length: 1, round: 1n });
    earlier.run();
    const later = new VirtualCohort({ count: 5, length: 1, round: 2n, seed: 2 });
    const sent = earlier.log.filter(({ message }) => 'member' in message);
    expect(sent).toHaveLength(25);
    for (const { message } of sent) {
      expect(() => later.server.receive(message as MemberMessage)).toThrow(
        expect.objectContaining({ code: 'STOA_ROUND_MESSAGE' }),
      );
    }
    expect(later.run()).toEqual(later.sumOf([0, 1, 2, 3, 4]));
  });

  it('cannot bring its keys under the number of the new one', () => {
    const earlier = new VirtualCohort({ count: 5, length: 1, round: 1n });
    earlier.advertise();
    const later = new VirtualCohort({ count: 5, length: 1, round: 2n, seed: 2 });
    const replayed = { ...(earlier.log[0]!.message as MemberMessage), round: 2n };
    expect(() => later.server.receive(replayed)).toThrow('has not signed');
  });
});

describe('the memory of a participant', () => {
  const memories = () => Array.from({ length: 6 }, () => new RoundMemory());

  it('refuses a round that it entered, or an earlier one, also after a restart', () => {
    const first = memories();
    const all = { count: 6, length: 1 };
    new VirtualCohort({ ...all, round: 5n, memories: first });
    const restarted = first.map(({ record }) => new RoundMemory(JSON.parse(JSON.stringify(record))));
    for (const round of [5n, 4n]) {
      expect(() => new VirtualCohort({ ...all, round, memories: restarted })).toThrow('rounds only go on');
    }
    expect(() => new VirtualCohort({ ...all, round: 6n, memories: restarted })).not.toThrow();
  });

  it('refuses the same sum over a cohort that differs by one, and takes it over the same', () => {
    const remembered = memories();
    const round = (n: bigint, options = {}) =>
      new VirtualCohort({ count: 6, length: 1, round: n, memories: remembered, seed: Number(n), ...options });
    round(1n).run();
    expect(() => round(2n).run({ masked: [2] })).toThrow('would show who is not in both');
    expect(round(3n).run()).toEqual(round(4n).sumOf([0, 1, 2, 3, 4, 5]));
    // A new session makes no new inputs.
    const session = new Uint8Array(16).fill(0xbb);
    expect(() => round(1n, { session }).run({ masked: [2] })).toThrow('would show who is not in both');
    // Other sums do.
    expect(() => round(5n, { purpose: 'counts' }).run({ masked: [2] })).not.toThrow();
  });

  it('does not count a round in which nothing was uncovered', () => {
    const remembered = memories();
    const first = new VirtualCohort({ count: 6, length: 1, memories: remembered });
    expect(() => first.run({ signature: [0, 1] })).toThrow('4 of 6 participants came');
    const second = new VirtualCohort({ count: 6, length: 1, round: 2n, memories: remembered, seed: 2 });
    expect(second.run({ masked: [2] })).toEqual(second.sumOf([0, 1, 3, 4, 5]));
  });
});

describe('participants that were given different item factors', () => {
  it.each([1, 5])('give noise and no sum when %i of ten differ', (different) => {
    const other = new Uint8Array(32).fill(0x0f);
    const cohort = new VirtualCohort({
      count: 10,
      length: 64,
      factorsHash: (member) => (member < different ? other : FACTORS_HASH),
    });
    expect(() => cohort.run()).toThrow(
      expect.objectContaining({
        code: 'STOA_NUMERIC_RANGE',
        message: expect.stringContaining('item factors'),
      }),
    );
    expect(cohort.server.step).toBe('aborted');
  });
});

describe('a server', () => {
  it('refuses what a participant must not send, and goes on', () => {
    const cohort = new VirtualCohort({ count: 5, length: 4 });
    const { server, participants } = cohort;
    const advertised = participants.map((participant) => participant.advertise());
    const rejects = (message: MemberMessage, why: string | RegExp) =>
      expect(() => server.receive(message)).toThrow(why);
    rejects({ ...advertised[0]!, sealKey: seededBytes(1)(32) }, 'has not signed');
    rejects({ ...advertised[0]!, member: 1 }, 'has not signed');
    rejects({ ...advertised[0]!, member: 5 }, 'member 5 is not among those');
    for (const message of advertised) expect(server.receive(message)).toBe('accepted');
    expect(server.receive(advertised[2]!)).toBe('duplicate');
    expect(server.awaited).toEqual([]);

    const lists = server.closeStep();
    expect(server.receive(advertised[2]!)).toBe('late');
    const shares = [...lists].flatMap(([member, list]) => cohort.answersOf(member, list));
    const [first] = shares as Extract<MemberMessage, { type: 'shares' }>[];
    rejects({ ...first!, sealed: first!.sealed.slice(1) }, 'not one for each other member');
    rejects({ ...first!, seedHash: new Uint8Array(31) }, 'not one for each other member');
    for (const message of shares) server.receive(message);

    const deliveries = server.closeStep();
    const chunks = [...deliveries].flatMap(([member, one]) => cohort.answersOf(member, one));
    const [head, tail] = chunks as Extract<MemberMessage, { type: 'masked' }>[];
    rejects(tail!, 'word 0 is next');
    expect(server.receive(head!)).toBe('accepted');
    expect(server.receive(head!)).toBe('duplicate');
    rejects({ ...tail!, bytes: tail!.bytes.subarray(1) }, 'no piece of a sum');
    rejects({ ...tail!, wordStart: 4 }, 'no piece of a sum');
    rejects({ ...tail!, wordStart: Number.NaN }, 'no piece of a sum');
    for (const message of chunks) server.receive(message);

    const survivors = server.closeStep();
    const signatures = [...survivors].flatMap(([member, one]) => cohort.answersOf(member, one));
    rejects({ ...signatures[0]!, member: 1 }, 'not of the survivors');
    for (const message of signatures) server.receive(message);

    const requests = server.closeStep();
    const answers = [...requests].flatMap(([member, one]) => cohort.answersOf(member, one));
    const [answer] = answers as Extract<MemberMessage, { type: 'unmask-shares' }>[];
    rejects({ ...answer!, seedShares: answer!.seedShares.slice(1) }, 'not one for each survivor');
    for (const message of answers) server.receive(message);
    server.closeStep();
    expect(cohort.takeSum()).toEqual(cohort.sumOf([0, 1, 2, 3, 4]));
    expect(server.step).toBe('done');
  });

  it('releases nothing when shares do not give what was shared', () => {
    for (const kind of ['seedShares', 'maskKeyShares'] as const) {
      const cohort = new VirtualCohort({ count: 7, length: 1 });
      let delivered = cohort.advertise();
      delivered = cohort.step('shares', delivered);
      delivered = cohort.step('masked', delivered, { masked: [6] });
      delivered = cohort.step('signature', delivered);
      for (const [member, message] of delivered) {
        const [answer] = cohort.answersOf(member, message) as Extract<
          MemberMessage,
          { type: 'unmask-shares' }
        >[];
        if (member === 3) answer![kind][0]!.share[7]! ^= 1;
        cohort.server.receive(answer!);
      }
      expect(() => cohort.server.closeStep()).toThrow(expect.objectContaining({ code: 'STOA_ROUND_FAILED' }));
      expect(cohort.server.step).toBe('aborted');
      expect(() => cohort.server.takeSum(new Float64Array(1))).toThrow('uncovered');
    }
  });

  it('lets so many send at a time, and forgets words that stay unfinished', () => {
    const cohort = new VirtualCohort({ count: 5, length: 6, uploadsMax: 2, cohortMin: 4 });
    const delivered = cohort.step('shares', cohort.advertise());
    const chunks = [...delivered].map(([member, one]) => cohort.answersOf(member, one));
    const { server } = cohort;
    server.receive(chunks[0]![0]!);
    server.receive(chunks[1]![0]!);
    expect(() => server.receive(chunks[2]![0]!)).toThrow(expect.objectContaining({ code: 'STOA_BUSY' }));
    server.abandonUpload(0);
    expect(server.receive(chunks[2]![0]!)).toBe('accepted');
    for (const [member, list] of chunks.entries()) {
      if (member === 0) continue;
      for (const chunk of list) server.receive(chunk);
    }
    expect(server.awaited).toEqual([0]);
    const survivors = server.closeStep();
    expect(server.receive(chunks[0]![1]!)).toBe('late');
    cohort.step('unmask-shares', cohort.step('signature', survivors));
    expect(cohort.takeSum()).toEqual(cohort.sumOf([1, 2, 3, 4]));
  });
});

describe('values that cannot be summed', () => {
  it.each([Number.NaN, Number.POSITIVE_INFINITY, 1e6])('end the participant: %d', (bad) => {
    const scene = new Scene();
    const participant = scene.cohort.participants[1]!;
    participant.receive(scene.delivery(1));
    expect(() => participant.mask(Float64Array.of(1, bad))).toThrow(/entry 1/);
    expect(participant.step).toBe('stopped');
    expect(() => participant.mask(Float64Array.of(1, 1))).toThrow('stopped after an error');
  });

  it('stand under the masks once: no word is masked again', () => {
    const scene = new Scene();
    const participant = scene.cohort.participants[1]!;
    participant.receive(scene.delivery(1));
    expect(participant.mask(new Float64Array(2)).wordStart).toBe(0);
    expect(participant.mask(new Float64Array(1)).wordStart).toBe(2);
    expect(() => participant.mask(new Float64Array(1))).toThrow('where the round stands at "masked"');
  });
});
