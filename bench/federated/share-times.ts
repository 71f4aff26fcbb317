import { randomBytes } from 'node:crypto';
import { combine, split } from 'shamir-secret-sharing';
import { thresholdOf } from '../../federation/secure-aggregation/round-terms.js';
import { combineShares, shareWeights, splitSecret } from '../../federation/secure-aggregation/shamir.js';

export interface ShareTimes {
  participants: number;
  threshold: number;
  /** CPU milliseconds to split a secret of 32 bytes, and to combine one for every participant of the round. */
  split_ms: number;
  combine_all_ms: number;
  package_split_ms: number;
  package_combine_all_ms: number;
}

/** Shares of ours beside the audited package that the tests hold them against. */
export async function measureShares(participants: number): Promise<ShareTimes> {
  const threshold = thresholdOf(participants);
  const places = Array.from({ length: participants }, (_, n) => n + 1);
  const random = (length: number) => new Uint8Array(randomBytes(length));
  const secret = random(32);
  const repeats = 20;
  const ours = splitSecret(secret, { places, threshold }, random).slice(0, threshold);
  const theirs = (await split(secret, participants, threshold)).slice(0, threshold);
  const splitMs = await cpuMs(() => splitSecret(secret, { places, threshold }, random), repeats);
  const packageSplitMs = await cpuMs(() => split(secret, participants, threshold), repeats);
  const combineAllMs = await cpuMs(() => {
    const weights = shareWeights(places.slice(0, threshold), threshold);
    for (let n = 0; n < participants; n++) combineShares(ours, weights);
  }, 3);
  const packageCombineMs = await cpuMs(() => combine(theirs), 3);
  return {
    participants,
    threshold,
    split_ms: splitMs,
    combine_all_ms: combineAllMs,
    package_split_ms: packageSplitMs,
    package_combine_all_ms: packageCombineMs * participants,
  };
}

async function cpuMs(work: () => unknown, repeats: number): Promise<number> {
  await work();
  const before = process.cpuUsage();
  for (let n = 0; n < repeats; n++) await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000 / repeats;
}
