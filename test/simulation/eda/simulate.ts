/** What `seele sim eda` and `seele sim pbft` run: figures of one configuration, or a range of seeds. */
import { type Profile, VECTOR_VALIDATORS_MAX, toleranceOf } from '#libs/eda';
import { ADVERSARIES, type Behaviour } from './adversaries.ts';
import { type LayerAAdversary, LAYER_A_ADVERSARIES, worstRounds } from './compact.ts';
import { MUTANTS, type Catch, catchMutant } from './mutants.ts';
import { minimise, runSeed } from './run-seed.ts';
import { World } from './world.ts';

export interface EdaOptions {
  readonly nodes: number;
  readonly failed: number;
  readonly byzantine: number;
  readonly linksLost: number;
  /** Pull: share of nodes asked. Large form: expected seats per validator. */
  readonly samplingRate: number;
  /** Validators have BLS keys: above 64 ticks are sampled, votes added up by leaders. */
  readonly large?: boolean;
  readonly adversary: string;
  readonly seats: number;
  readonly epsilonUs: number;
  readonly spreadUs: number;
  readonly mode: 'committee' | 'pull';
  readonly profile: Profile;
  readonly blocks: number;
  readonly seeds: readonly number[];
}

export interface EdaReport {
  readonly rounds: number | null;
  readonly messages: number;
  readonly bytes: number | null;
  readonly finalityMs: number | null;
  readonly violations: number;
  readonly checked: number;
  readonly messagesPerBlock: number | null;
  readonly cuts: number | null;
  readonly seeds: number;
  readonly traceHash: string | null;
  /** Why a figure is null. */
  readonly skipped: Readonly<Record<string, string>>;
}

/** Message by message up to this size; beyond, positions only. */
export const FULL_NODES_MAX = 128;
const VOTE_BYTES = 60;
/** Adversaries of Layer A, and who they are in the full simulation. */
const FULL_NAME: Readonly<Record<LayerAAdversary, string>> = {
  extreme: 'liar',
  selective: 'selective',
  threefold: 'selective',
  equivocate: 'equivocator',
};

const layerAOf = (name: string): readonly (LayerAAdversary | undefined)[] => {
  if (name === 'all') return LAYER_A_ADVERSARIES;
  return [LAYER_A_ADVERSARIES.find((one) => one === name || FULL_NAME[one] === name)];
};

/** Rounds of Layer A, worst adversary and seed. */
function layerA(options: EdaOptions) {
  let rounds: number | null = 0;
  let messages = 0;
  for (const adversary of layerAOf(options.adversary)) {
    const { nodes, failed, byzantine, linksLost, mode, samplingRate } = options;
    const seats = options.large ? Math.ceil(samplingRate * nodes) : options.seats;
    const { epsilonUs, spreadUs } = options;
    const worst = worstRounds(
      {
        nodes,
        failed,
        byzantine,
        linksLost,
        mode,
        samplingRate,
        epsilonUs,
        spreadUs,
        seats: Math.min(seats, nodes),
        // Small sets are not sampled: everybody votes and exactly r are dropped per side.
        ...(nodes <= VECTOR_VALIDATORS_MAX &&
          mode === 'committee' && {
            seats: nodes,
            trim: toleranceOf(options.profile, nodes).lying,
          }),
        ...(adversary && { adversary }),
      },
      options.seeds,
    );
    messages += worst.messages;
    rounds = rounds === null || worst.rounds === null ? null : Math.max(rounds, worst.rounds);
  }
  return { rounds, messages };
}

export interface FullRun {
  readonly world: World;
  readonly finalityMs: readonly number[];
}

/** One network, message by message, until all blocks are final or time is up. */
export function runFull(options: EdaOptions, adversary: string, seed: number): FullRun {
  const { nodes, failed, byzantine, profile, linksLost, epsilonUs } = options;
  const behaviours = new Map<number, Behaviour>();
  const behaviour = ADVERSARIES[adversary] ?? ADVERSARIES['silent'];
  const crashed = Math.round(failed * nodes);
  const liars = Math.round(byzantine * nodes);
  for (let i = 0; i < liars && behaviour; i++) behaviours.set(crashed + i, behaviour);
  const world = new World({
    seed,
    nodes,
    profile,
    behaviours,
    loss: linksLost,
    ...(options.large && { bls: true }),
    parameters: {
      epsilonUs,
      ...(options.large && { samplingPerMille: Math.ceil(1000 * options.samplingRate) }),
    },
    measures: true,
  });
  for (const sim of world.nodes.slice(0, crashed)) world.crash(sim);
  const authors = world.nodes.filter(({ index }) => index >= crashed + liars);
  let made = 0;
  const startUs = 1_000_000;
  for (let i = 0; i < options.blocks; i++)
    world.at(startUs + i, () => {
      const author = authors[i % Math.max(1, authors.length)];
      if (author && world.submit(author.index)) made += 1;
    });
  world.run(startUs + 1000);
  for (let waited = 0; waited < 100 && world.finalAt.size < made; waited++) {
    if (world.invariants.violations.length > 0) break;
    world.run(100_000);
  }
  const finalityMs: number[] = [];
  for (const [hash, atUs] of world.finalAt) {
    const submittedUs = world.submittedAt.get(hash);
    if (submittedUs !== undefined) finalityMs.push((atUs - submittedUs) / 1000);
  }
  return { world, finalityMs };
}

export function simulateEda(options: EdaOptions): EdaReport {
  const { rounds, messages } = layerA(options);
  const common = { rounds, seeds: options.seeds.length };
  if (options.nodes > FULL_NODES_MAX || options.mode === 'pull') {
    const reason = 'cuts are simulated message by message in committee mode up to 128 nodes only';
    return {
      ...common,
      messages,
      bytes: messages * VOTE_BYTES,
      finalityMs: null,
      violations: 0,
      checked: 0,
      messagesPerBlock: null,
      cuts: null,
      traceHash: null,
      skipped: { finalityMs: reason, messagesPerBlock: reason, cuts: reason },
    };
  }
  const names = layerAOf(options.adversary).map((one) =>
    one ? FULL_NAME[one] : options.adversary,
  );
  const totals = { messages: 0, bytes: 0, violations: 0, checked: 0, cuts: 0, blocks: 0 };
  const finality: number[] = [];
  let traceHash = '';
  for (const name of names)
    for (const seed of options.seeds) {
      const { world, finalityMs } = runFull(options, name, seed);
      totals.messages += world.messages;
      totals.bytes += world.bytes;
      totals.violations += world.invariants.violations.length;
      totals.checked += world.invariants.checked;
      totals.cuts += world.cuts.length;
      totals.blocks += finalityMs.length;
      finality.push(...finalityMs);
      traceHash = world.traceHash;
    }
  finality.sort((a, b) => a - b);
  return {
    ...common,
    messages: totals.messages,
    bytes: totals.bytes,
    finalityMs: finality[Math.floor(finality.length / 2)] ?? null,
    violations: totals.violations,
    checked: totals.checked,
    messagesPerBlock: totals.blocks > 0 ? Math.round(totals.messages / totals.blocks) : null,
    cuts: totals.cuts,
    traceHash,
    skipped:
      finality.length > 0 ? {} : { finalityMs: 'no block became final: the order stays tentative' },
  };
}

export interface FuzzReport {
  readonly seedsTried: number;
  readonly violations: number;
  readonly checked: number;
  readonly cuts: number;
  readonly viewsBeyondFirst: number;
  readonly crashes: number;
  readonly events: number;
  readonly virtualSeconds: number;
  readonly failures: readonly {
    readonly seed: number;
    readonly what: string;
    readonly replay: string;
    readonly without: readonly string[];
    readonly trace: readonly string[];
  }[];
  readonly mutants: readonly Catch[];
  readonly mutantsTried: number;
  readonly mutantsCaught: number;
}

const FAILURES_SHOWN = 5;

/** Seeds of random networks with faults and liars, then the broken rules that must be noticed. */
export function fuzzEda(
  from: number,
  to: number,
  withMutants: boolean,
  onSeed: (seed: number) => void = () => undefined,
): FuzzReport {
  const totals = { violations: 0, checked: 0, cuts: 0, views: 0, crashes: 0, events: 0, us: 0 };
  const failures: FuzzReport['failures'][number][] = [];
  for (let seed = from; seed <= to; seed++) {
    const result = runSeed({ seed });
    onSeed(seed);
    totals.violations += result.violations.length;
    totals.checked += result.checked;
    totals.cuts += result.cuts;
    totals.views += result.viewsBeyondFirst;
    totals.crashes += result.crashes;
    totals.events += result.events;
    totals.us += result.virtualUs;
    const first = result.violations[0];
    if (!first || failures.length >= FAILURES_SHOWN) continue;
    const small = minimise({ seed });
    failures.push({
      seed,
      what: `${first.invariant}: ${first.text}`,
      replay: `seele sim eda --fuzz --seed ${seed}`,
      without: small?.without ?? [],
      trace: small?.trace ?? [],
    });
  }
  const mutants = withMutants ? MUTANTS.map((mutant) => catchMutant(mutant, 1, 200)) : [];
  return {
    seedsTried: to - from + 1,
    violations: totals.violations,
    checked: totals.checked,
    cuts: totals.cuts,
    viewsBeyondFirst: totals.views,
    crashes: totals.crashes,
    events: totals.events,
    virtualSeconds: Math.round(totals.us / 1e6),
    failures,
    mutants,
    mutantsTried: mutants.length,
    mutantsCaught: mutants.filter(({ seed }) => seed !== null).length,
  };
}
