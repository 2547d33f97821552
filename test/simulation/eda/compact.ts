/**
 * Layer A alone, in typed arrays, for networks too large to run message by message: one block, rounds
 * of the convergence function over a sampled committee or by pulling peers. A keyed hash stands in for
 * the VRF. The tests compare it with the full simulation.
 */
import { createSeededRandomness, type SeededRandomness } from '#libs/kernel';

export const LAYER_A_ADVERSARIES = ['extreme', 'selective', 'equivocate'] as const;
export type LayerAAdversary = (typeof LAYER_A_ADVERSARIES)[number];

export interface CompactOptions {
  readonly nodes: number;
  /** Fractions of all nodes. */
  readonly failed: number;
  readonly byzantine: number;
  readonly linksLost: number;
  readonly mode: 'committee' | 'pull';
  /** Committee: expected seats. */
  readonly seats: number;
  /** Pull: fraction of nodes asked per round. */
  readonly samplingRate: number;
  /** Values dropped per side; a share of what was heard when left out. */
  readonly trim?: number;
  readonly epsilonUs: number;
  readonly spreadUs: number;
  readonly adversary?: LayerAAdversary;
  /** Equivocators are proven and heard no more after one round. Default true. */
  readonly evidence?: boolean;
  readonly seed: number;
  readonly maxRounds?: number;
}

export interface CompactResult {
  /** First round after which all honest live nodes lie within ε; null when none did. */
  readonly rounds: number | null;
  /** Positions left the range of the honest starting values. */
  readonly leftRange: boolean;
  /** Votes received. */
  readonly votes: number;
  /** Votes sent to the wire: every vote to every live node, or one answer per question. */
  readonly messages: number;
}

const TAU = { committee: 0.34, pull: 0.2 } as const;

/** Fast uniform 32-bit numbers (xorshift128), seeded from the simulation's randomness. */
class Stream {
  #a: number;
  #b: number;
  #c: number;
  #d: number;
  constructor(random: SeededRandomness) {
    this.#a = random.below(2 ** 32) | 1;
    this.#b = random.below(2 ** 32);
    this.#c = random.below(2 ** 32);
    this.#d = random.below(2 ** 32);
  }
  next(): number {
    let t = this.#d;
    const s = this.#a;
    this.#d = this.#c;
    this.#c = this.#b;
    this.#b = s;
    t ^= t << 11;
    t ^= t >>> 8;
    this.#a = t ^ s ^ (s >>> 19);
    return this.#a >>> 0;
  }
  below(n: number): number {
    return Math.floor((this.next() / 2 ** 32) * n);
  }
  chance(p: number): boolean {
    return this.next() < p * 2 ** 32;
  }
}

/** Floor of the mean after `trim` values are dropped at each side; sorts in place. */
function trimmedMeanInPlace(values: Float64Array, count: number, trim: number): number {
  const used = values.subarray(0, count);
  used.sort();
  let sum = 0;
  for (let i = trim; i < count - trim; i++) sum += used[i] as number;
  return Math.floor(sum / (count - 2 * trim));
}

export function runCompact(options: CompactOptions): CompactResult {
  const { nodes, adversary, epsilonUs, spreadUs, mode, linksLost } = options;
  const random = createSeededRandomness(options.seed);
  const stream = new Stream(random.fork('compact'));
  const failed = Math.round(options.failed * nodes);
  const liars = Math.round(options.byzantine * nodes);
  // Nodes are exchangeable: the first ones crash, the next ones lie.
  const firstLiar = failed;
  const firstHonest = failed + liars;
  let x = new Float64Array(nodes);
  let next = new Float64Array(nodes);
  for (let i = 0; i < nodes; i++) x[i] = stream.below(spreadUs);
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  const range = (values: Float64Array) => {
    low = Number.POSITIVE_INFINITY;
    high = Number.NEGATIVE_INFINITY;
    for (let i = firstHonest; i < nodes; i++) {
      const value = values[i] as number;
      if (value < low) low = value;
      if (value > high) high = value;
    }
  };
  range(x);
  const [startLow, startHigh] = [low, high];
  const tau = TAU[mode];
  const perNode = Math.ceil(options.samplingRate * nodes);
  const heard = new Float64Array(perNode);
  const maxRounds = options.maxRounds ?? 30;
  const voters: number[] = [];
  let votes = 0;
  let messages = 0;
  let leftRange = false;
  const live = nodes - failed;
  for (let round = 1; round <= maxRounds; round++) {
    const isBurned = adversary === 'equivocate' && options.evidence !== false && round > 1;
    voters.length = 0;
    if (mode === 'committee') {
      // Every node draws by itself: seats are binomial, crashed seats stay silent.
      for (let i = 0; i < nodes; i++)
        if (
          stream.chance(options.seats / nodes) &&
          i >= firstLiar &&
          !(isBurned && i < firstHonest)
        )
          voters.push(i);
      messages += voters.length * (live - 1);
    }
    if (mode === 'committee') votes += committeeRound(options, stream, x, next, voters, low, high);
    else
      for (let i = firstHonest; i < nodes; i++) {
        let m = 0;
        for (let j = 0; j < perNode; j++) {
          const from = stream.below(nodes);
          messages += 2;
          if (from < firstLiar || (linksLost > 0 && stream.chance(linksLost))) continue;
          if (from >= firstHonest) heard[m++] = x[from] as number;
          else if (!isBurned) {
            const said = lieOf(adversary, i, from, x, low, high, spreadUs);
            if (!Number.isNaN(said)) heard[m++] = said;
          }
        }
        votes += m;
        const trim = options.trim ?? Math.ceil(tau * m);
        next[i] = m < 2 * trim + 1 ? (x[i] as number) : trimmedMeanInPlace(heard, m, trim);
      }
    [x, next] = [next, x];
    range(x);
    if (low < startLow || high > startHigh) leftRange = true;
    if (high - low <= epsilonUs) return { rounds: round, leftRange, votes, messages };
  }
  return { rounds: null, leftRange, votes, messages };
}

/**
 * One round of a committee. All nodes hear the same voters, so those are sorted once; what a node
 * misses it leaves out, and lies stand at the ends, where every liar of `lieOf` puts them.
 */
function committeeRound(
  options: CompactOptions,
  stream: Stream,
  x: Float64Array,
  next: Float64Array,
  voters: readonly number[],
  low: number,
  high: number,
): number {
  const { nodes, linksLost, adversary, spreadUs } = options;
  const firstHonest = Math.round(options.failed * nodes) + Math.round(options.byzantine * nodes);
  const liars = voters.filter((voter) => voter < firstHonest);
  const honest = Float64Array.from(
    voters.filter((voter) => voter >= firstHonest),
    (v) => x[v] as number,
  );
  honest.sort();
  const heard = new Float64Array(voters.length);
  const middle = (low + high) / 2;
  const lostBelow = linksLost * 2 ** 32;
  let votes = 0;
  for (let i = firstHonest; i < nodes; i++) {
    let below = 0;
    let above = 0;
    let lowest = 0;
    let highest = 0;
    for (const from of liars) {
      if (stream.next() < lostBelow) continue;
      const said = lieOf(adversary, i, from, x, low, high, spreadUs);
      if (said < middle) {
        below += 1;
        lowest = said;
      } else if (said >= middle) {
        above += 1;
        highest = said;
      }
    }
    let m = 0;
    if (linksLost === 0) {
      heard.set(honest);
      m = honest.length;
    } else
      for (let j = 0; j < honest.length; j++)
        if (stream.next() >= lostBelow) heard[m++] = honest[j] as number;
    const all = m + below + above;
    votes += all;
    const trim = options.trim ?? Math.ceil(TAU.committee * all);
    if (all < 2 * trim + 1) {
      next[i] = x[i] as number;
      continue;
    }
    let sum = lowest * Math.max(0, below - trim) + highest * Math.max(0, above - trim);
    const from = Math.max(0, trim - below);
    const to = m - Math.max(0, trim - above);
    for (let j = from; j < to; j++) sum += heard[j] as number;
    next[i] = Math.floor(sum / (all - 2 * trim));
  }
  return votes;
}

/** What a liar says to node `to`; NaN for nothing. All liars know every position. */
function lieOf(
  adversary: LayerAAdversary | undefined,
  to: number,
  from: number,
  x: Float64Array,
  low: number,
  high: number,
  spreadUs: number,
): number {
  if (adversary === 'extreme') return from & 1 ? -1e9 : spreadUs + 1e9;
  const middle = (low + high) / 2;
  const pulls = (x[to] as number) < middle ? low : high;
  // Selective: one value for all, shown only to those whom it keeps apart.
  if (adversary === 'selective') {
    const said = from & 1 ? low : high;
    return said === pulls ? said : Number.NaN;
  }
  return adversary === 'equivocate' ? pulls : Number.NaN;
}

/** Rounds over several seeds: the worst; null when one of them did not converge. */
export function worstRounds(
  options: Omit<CompactOptions, 'seed'>,
  seeds: readonly number[],
): { readonly rounds: number | null; readonly leftRange: boolean; readonly messages: number } {
  let worst = 0;
  let leftRange = false;
  let messages = 0;
  for (const seed of seeds) {
    const result = runCompact({ ...options, seed });
    messages += result.messages;
    leftRange ||= result.leftRange;
    if (result.rounds === null) return { rounds: null, leftRange, messages };
    worst = Math.max(worst, result.rounds);
  }
  return { rounds: worst, leftRange, messages };
}
