// Whether a round made the model better or worse for the institutions: from what they measure on held-out interactions
// of their own learners before and after it. Some of them may lie, so that no single report decides.

export interface RoundReport {
  source: string;
  /** Learners that were measured. */
  learners: number;
  /** Mean over learners of a metric from 0 to 1 (recall@20), with the items' factors of the last accepted round. */
  before: number;
  /** The same learners, with the round's. */
  after: number;
  /** Standard deviation over learners of after − before. */
  deviation: number;
}

export interface GatePolicy {
  /** Reports without which nothing is decided. @default 3 */
  reportsMin: number;
  /** How far below the best accepted round the middle report may be: guards against harm in small steps. @default 0.02 */
  lossMax: number;
  /** A source is harmed when it lost this part of its metric, beyond chance. @default 0.2 */
  harmShare: number;
  /** Beyond chance: so many standard errors. @default 3 */
  deviations: number;
  /** Part of the sources that must be harmed for a rollback on their behalf: no single one can ask for it. @default 1/3 */
  harmedShareMin: number;
}

export const GATE_POLICY: GatePolicy = {
  reportsMin: 3,
  lossMax: 0.02,
  harmShare: 0.2,
  deviations: 3,
  harmedShareMin: 1 / 3,
};

export interface GateState {
  /** The round whose factors are the model; 0 before the first. */
  acceptedRound: number;
  /** The best middle metric of an accepted round; -1 before the first. */
  best: number;
}

export const FIRST_STATE: GateState = { acceptedRound: 0, best: -1 };

export interface GateDecision {
  /** `wait`: too few reports came; the round is not the model yet, and the one before stays. */
  verdict: 'accept' | 'rollback' | 'wait';
  /** One sentence, for the log of the run. */
  reason: string;
  /** The round whose factors are the model from now on: what a rollback goes back to. */
  modelRound: number;
  state: GateState;
  /** Sources whose reports cannot be, and were not counted. */
  refused: string[];
  /** Sources that lost beyond chance. */
  harmed: string[];
}

/**
 * Decides about a round. A function of its arguments alone: the same reports give the same decision, in any order.
 *
 * The middle is the median over sources weighted by learners, of which no source has more than the second largest; it
 * stands as long as honest sources have more than half of that weight.
 */
export function decideRound(
  round: number,
  reports: readonly RoundReport[],
  state: GateState,
  policy: GatePolicy = GATE_POLICY,
): GateDecision {
  const sound = reports.filter(isSound).sort((a, b) => (a.source < b.source ? -1 : 1));
  const refused = reports.filter((report) => !isSound(report)).map(({ source }) => source);
  const harmed = sound.filter((report) => isHarmed(report, policy)).map(({ source }) => source);
  const say = (verdict: GateDecision['verdict'], reason: string, after = state): GateDecision => ({
    verdict,
    reason,
    modelRound: after.acceptedRound,
    state: after,
    refused,
    harmed,
  });
  if (sound.length < policy.reportsMin) {
    return say('wait', `${sound.length} reports came, ${policy.reportsMin} are needed`);
  }
  const middle = weightedMedian(sound, ({ after }) => after);
  // Against the same learners now: what is held out may have changed since the best round.
  const reference = Math.max(
    state.best,
    weightedMedian(sound, ({ before }) => before),
  );
  if (state.acceptedRound > 0 && middle < reference - policy.lossMax) {
    return say('rollback', `the middle metric fell from ${digits(reference)} to ${digits(middle)}`);
  }
  if (state.acceptedRound > 0 && harmed.length >= Math.max(2, policy.harmedShareMin * sound.length)) {
    return say(
      'rollback',
      `${harmed.length} of ${sound.length} sources lost more than ${policy.harmShare * 100} % of their metric`,
    );
  }
  return say('accept', `the middle metric is ${digits(middle)}`, {
    acceptedRound: round,
    best: Math.max(state.best, middle),
  });
}

function isSound({ learners, before, after, deviation }: RoundReport): boolean {
  const isMetric = (value: number) => value >= 0 && value <= 1;
  // Differences lie between -1 and 1, so that their deviation is at most 1.
  return (
    Number.isInteger(learners) && learners > 0 && isMetric(before) && isMetric(after) && isMetric(deviation)
  );
}

function isHarmed({ learners, before, after, deviation }: RoundReport, policy: GatePolicy): boolean {
  const loss = before - after;
  const chance = (policy.deviations * deviation) / Math.sqrt(learners);
  return loss > chance && loss > policy.harmShare * before;
}

function weightedMedian(reports: readonly RoundReport[], metric: (report: RoundReport) => number): number {
  const second = reports.map(({ learners }) => learners).sort((a, b) => b - a)[1] ?? 1;
  const ranked = reports
    .map((report) => ({ value: metric(report), weight: Math.min(report.learners, second) }))
    .sort((a, b) => a.value - b.value);
  const half = ranked.reduce((sum, { weight }) => sum + weight, 0) / 2;
  let below = 0;
  for (const { value, weight } of ranked) {
    below += weight;
    if (below >= half) return value;
  }
  return ranked.at(-1)!.value;
}

function digits(value: number): string {
  return value.toFixed(4);
}
