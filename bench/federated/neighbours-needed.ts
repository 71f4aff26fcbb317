// How many neighbours a member of a sparse graph of masks needs, so that the graph is as good as the whole one.

export interface GraphNeeds {
  participants: number;
  /** Share of members that help a server which does not keep to the protocol. */
  corrupt: number;
  /** Share of members that may drop out. */
  dropouts: number;
}

/** Chance that an input is not hidden, in powers of 1/2. */
const SECURITY_BITS = 40;
/** Chance that a round fails for want of shares, in powers of 1/2. */
const CORRECTNESS_BITS = 20;

/**
 * The least even degree k of a random ring-like graph with a threshold t of shares such that
 *
 *   (1) what is left without corrupt and dropped members is connected,
 *   (2) of no member's neighbours are so many corrupt that two sets of t could say two things: 2t − k > corrupt ones,
 *   (3) of every member's neighbours t are left to uncover it,
 *
 * each but for the chances above. Undefined: no degree below that of the whole graph does.
 *
 * Source: Bell, Bonawitz, Gascón, Lepoint, Raykova, "Secure Single-Server Aggregation with (Poly)Logarithmic Overhead",
 * CCS 2020, in the setting with a server that deviates; neighbours are drawn without replacement, and chances are added up
 * over all members.
 */
export function neighboursNeeded({ participants: n, corrupt, dropouts }: GraphNeeds): number | undefined {
  const corruptCount = Math.floor(corrupt * n);
  const dropoutCount = Math.floor(dropouts * n);
  const perEvent = 2 ** -(SECURITY_BITS + 1);
  for (let k = 2; k < n - 1; k += 2) {
    if (disconnectedChance(n, k, corruptCount + dropoutCount) > perEvent) continue;
    const corruptMax = upperQuantile({ n, marked: corruptCount, drawn: k }, perEvent / n);
    const staying = { n, marked: n - dropoutCount, drawn: k };
    const stayMin = lowerQuantile(staying, 2 ** -CORRECTNESS_BITS / n);
    const threshold = Math.floor((corruptMax + k) / 2) + 1;
    if (threshold <= stayMin) return k;
  }
  return undefined;
}

/** Members are neighbours within k/2 steps on a ring: it falls apart where k/2 in a row are gone in two places. */
function disconnectedChance(n: number, k: number, gone: number): number {
  if (k > gone) return 0;
  const logPairs = Math.log(n) + Math.log(n - k - 1) - Math.log(2);
  return Math.exp(logPairs + logChoose(gone, k) - logChoose(n, k));
}

interface Draw {
  n: number;
  marked: number;
  drawn: number;
}

/** The least x that the marked among those drawn exceed with at most this chance. */
function upperQuantile(draw: Draw, chance: number): number {
  let tail = 0;
  for (let x = draw.drawn; x > 0; x--) {
    tail += hypergeometric(draw, x);
    if (tail > chance) return x;
  }
  return 0;
}

/** The greatest x that the marked among those drawn miss with at most this chance. */
function lowerQuantile(draw: Draw, chance: number): number {
  let tail = 0;
  for (let x = 0; x <= draw.drawn; x++) {
    tail += hypergeometric(draw, x);
    if (tail > chance) return x;
  }
  return draw.drawn;
}

function hypergeometric({ n, marked, drawn }: Draw, x: number): number {
  if (x > marked || drawn - x > n - marked) return 0;
  return Math.exp(logChoose(marked, x) + logChoose(n - marked, drawn - x) - logChoose(n, drawn));
}

/** Logarithms of factorials, as far as they were asked for. */
const logFactorials = [0];

function logChoose(n: number, k: number): number {
  while (logFactorials.length <= n)
    logFactorials.push(logFactorials.at(-1)! + Math.log(logFactorials.length));
  return logFactorials[n]! - logFactorials[k]! - logFactorials[n - k]!;
}
