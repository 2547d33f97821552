/**
 * Layer A alone, in typed arrays, for networks too large to run message by message: one block, rounds
 * of the convergence function over a sampled committee or by pulling peers. A keyed hash stands in for
 * the VRF. The tests compare it with the full simulation.
 */
import { createSeededRandomness, type SeededRandomness } from '#libs/kernel';

export const LAYER_A_ADVERSARIES = ['extreme', 'selective', 'threefold', 'equivocate'] as const;
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
  /** What liars say is lost as often as the rest; false for liars that repeat it. Default true. */
  readonly liarsLose?: boolean;
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
  const sorted = new Float64Array(nodes - firstHonest);
  /** Halves, or thirds of the honest nodes: what an adversary keeps apart. */
  const split = (): Split => {
    if (adversary === undefined || adversary === 'extreme')
      return { low, high, firstCut: low, lastCut: low };
    sorted.set(x.subarray(firstHonest));
    sorted.sort();
    const { length } = sorted;
    const first = Math.floor(length / (adversary === 'threefold' ? 3 : 2));
    const [firstCut, lastCut] = [sorted[first] as number, sorted[length - first] as number];
    return { low, high, firstCut, lastCut: adversary === 'threefold' ? lastCut : firstCut };
  };
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
    const targets = split();
    if (mode === 'committee') votes += committeeRound(options, stream, x, next, voters, targets);
    else
      for (let i = firstHonest; i < nodes; i++) {
        let m = 0;
        for (let j = 0; j < perNode; j++) {
          const from = stream.below(nodes);
          messages += 2;
          if (from < firstLiar || (linksLost > 0 && stream.chance(linksLost))) continue;
          if (from >= firstHonest) heard[m++] = x[from] as number;
          else if (!isBurned) {
            const said = lieOf(adversary, x[i] as number, from, targets, spreadUs);
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

/** The range of honest positions, and where an adversary cuts it into parts. */
interface Split {
  readonly low: number;
  readonly high: number;
  readonly firstCut: number;
  readonly lastCut: number;
}

/**
 * One round of a committee. All nodes hear the same voters, so those are sorted once; what a node
 * misses it leaves out, and lies stand at the ends, where every liar of `lieOf` puts them. What is
 * kept is condensed as in the reducer (`trimmedCentre`): its smallest, middle and largest value.
 */
function committeeRound(
  options: CompactOptions,
  stream: Stream,
  x: Float64Array,
  next: Float64Array,
  voters: readonly number[],
  targets: Split,
): number {
  const { nodes, linksLost, adversary, spreadUs, liarsLose = true } = options;
  const firstHonest = Math.round(options.failed * nodes) + Math.round(options.byzantine * nodes);
  const liars = voters.filter((voter) => voter < firstHonest);
  const honest = Float64Array.from(
    voters.filter((voter) => voter >= firstHonest),
    (v) => x[v] as number,
  );
  honest.sort();
  const heard = linksLost === 0 ? honest : new Float64Array(voters.length);
  const middle = (targets.low + targets.high) / 2;
  const lostBelow = linksLost * 2 ** 32;
  let votes = 0;
  for (let i = firstHonest; i < nodes; i++) {
    const own = x[i] as number;
    let below = 0;
    let above = 0;
    let lowest = 0;
    let highest = 0;
    for (const from of liars) {
      if (liarsLose && stream.next() < lostBelow) continue;
      const said = lieOf(adversary, own, from, targets, spreadUs);
      if (said < middle) {
        below += 1;
        lowest = said;
      } else if (said >= middle) {
        above += 1;
        highest = said;
      }
    }
    let m = honest.length;
    if (linksLost > 0) {
      m = 0;
      for (let j = 0; j < honest.length; j++)
        if (stream.next() >= lostBelow) heard[m++] = honest[j] as number;
    }
    const all = m + below + above;
    votes += all;
    const trim = options.trim ?? Math.ceil(TAU.committee * all);
    if (all < 2 * trim + 1) {
      next[i] = own;
      continue;
    }
    const at = (rank: number): number => {
      if (rank < below) return lowest;
      return rank < below + m ? (heard[rank - below] as number) : highest;
    };
    const ends = at(trim) + at(all - 1 - trim);
    const middles = at((all - 1) >> 1) + at(all >> 1);
    next[i] = Math.floor((2 * ends + middles) / 6);
  }
  return votes;
}

/** What a liar says to a node at `own`; NaN for nothing. All liars know every position. */
function lieOf(
  adversary: LayerAAdversary | undefined,
  own: number,
  from: number,
  { low, high, firstCut, lastCut }: Split,
  spreadUs: number,
): number {
  if (adversary === 'extreme') return from & 1 ? -1e9 : spreadUs + 1e9;
  if (adversary === 'equivocate') return own < firstCut ? low : high;
  if (adversary !== 'selective' && adversary !== 'threefold') return Number.NaN;
  // One value for all, shown only to those whom it keeps apart; the middle third sees both.
  const said = from & 1 ? low : high;
  if (own < firstCut) return said === low ? said : Number.NaN;
  return own >= lastCut && said === low ? Number.NaN : said;
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
