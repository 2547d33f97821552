/**
 * One seed of the fuzz: a network, an adversary, faults, then healing; every invariant after every
 * event, and at the end everything that was available must be final.
 */
import type { EdaRules, Profile } from '#libs/eda';
import { createSeededRandomness } from '#libs/kernel';
import { ADVERSARIES, type Behaviour } from './adversaries.ts';
import type { Violation } from './invariants.ts';
import { World } from './world.ts';

export interface SeedOptions {
  readonly seed: number;
  readonly nodes?: number;
  readonly profile?: Profile;
  readonly adversary?: string;
  readonly rules?: Partial<EdaRules>;
  readonly forgetful?: boolean;
  readonly wire?: boolean;
  /** Leave parts of the plan out: how a failing seed is made small. */
  readonly without?: ReadonlySet<Part>;
  /** Keep a log for people. */
  readonly logs?: boolean;
  /** Faults before the healing, µs of virtual time. */
  readonly faultUs?: number;
}

export const PARTS = ['loss', 'partitions', 'crashes', 'adversary', 'skew'] as const;
export type Part = (typeof PARTS)[number];

export interface SeedResult {
  readonly log: readonly string[];
  readonly seed: number;
  readonly nodes: number;
  readonly adversary: string;
  readonly violations: readonly Violation[];
  readonly checked: number;
  readonly cuts: number;
  readonly viewsBeyondFirst: number;
  readonly crashes: number;
  readonly virtualUs: number;
  readonly events: number;
  readonly traceHash: string;
}

const SIZES = [4, 4, 4, 7, 10];
const HEAL_US = 9_000_000;
const CALM_US = 4_000_000;
const SEPARATED_US = 150_000;

/** Runs one seed. The same options give the same trace. */
export function runSeed(options: SeedOptions): SeedResult {
  const random = createSeededRandomness(options.seed).fork('plan');
  const nodes = options.nodes ?? random.pick(SIZES);
  const profile = options.profile ?? random.pick(['classic', 'seele-40'] as const);
  const names = Object.keys(ADVERSARIES);
  const adversary = options.adversary ?? random.pick(['none', ...names]);
  const probe = new World({ seed: options.seed, nodes, profile });
  const { lying, failed } = probe.set;
  const behaviours = new Map<number, Behaviour>();
  const isIn = (part: Part) => !options.without?.has(part);
  const behaviour = isIn('adversary') ? ADVERSARIES[adversary] : undefined;
  if (behaviour)
    for (let i = 0; i < lying; i++) behaviours.set((random.below(nodes) + i) % nodes, behaviour);
  const skewUs = random.pick([0, 0, 10_000, 60_000]) * (isIn('skew') ? 1 : 0);
  const world = new World({
    seed: options.seed,
    nodes,
    profile,
    behaviours,
    delayUs: [500, random.pick([5000, 30_000, 60_000])],
    loss: random.pick([0, 0.05, 0.3]) * (isIn('loss') ? 1 : 0),
    clockUs: () => Math.floor((random.float() - 0.5) * skewUs),
    ...(options.rules && { rules: options.rules }),
    ...(options.forgetful && { forgetful: true }),
    ...(options.wire && { wire: true }),
  });
  world.invariants.checksPositions = skewUs === 0;
  const faultUs = options.faultUs ?? 4_000_000;
  const plan = { crashes: 0 };
  submitAll(world, random, faultUs);
  if (options.logs) world.log = [];
  if (isIn('partitions')) partitions(world, random, faultUs);
  if (isIn('crashes')) crashes(world, random, faultUs, failed - behaviours.size, plan);
  world.run(faultUs);
  heal(world);
  const healedUs = world.timeUs;
  world.run(HEAL_US);
  world.invariants.orderAfter(healedUs, world.timeUs);
  world.invariants.atEnd(world.timeUs, world.timeUs - CALM_US);
  return {
    seed: options.seed,
    nodes,
    adversary,
    violations: world.invariants.violations,
    checked: world.invariants.checked,
    cuts: world.cuts.length,
    viewsBeyondFirst: world.cuts.filter(({ certificate }) => certificate.view > 0).length,
    crashes: plan.crashes,
    virtualUs: faultUs + HEAL_US,
    events: world.events,
    traceHash: world.traceHash,
    log: world.log ?? [],
  };
}

type Random = ReturnType<typeof createSeededRandomness>;

function submitAll(world: World, random: Random, faultUs: number): void {
  const blocks = 4 + random.below(10);
  for (let i = 0; i < blocks; i++)
    world.at(random.below(faultUs), () => world.submit(world.random.below(world.nodes.length)));
}

/** Cuts the network into two or three parts for a while, or cuts off single links. */
function partitions(world: World, random: Random, faultUs: number): void {
  const times = random.below(4);
  for (let i = 0; i < times; i++) {
    const startUs = random.below(faultUs);
    const lastsUs = 100_000 + random.below(1_500_000);
    const parts = 2 + random.below(2);
    const side = world.nodes.map(() => random.below(parts));
    const oneWay = random.chance(0.3);
    world.at(startUs, () => {
      world.isLinked = (from, to) =>
        side[from] === side[to] || (oneWay && (side[from] as number) < (side[to] as number));
    });
    world.at(startUs + lastsUs, () => {
      world.isLinked = () => true;
    });
  }
}

/** Kills nodes in the middle of their work and starts them again from what was durable. */
function crashes(
  world: World,
  random: Random,
  faultUs: number,
  atOnce: number,
  plan: { crashes: number },
): void {
  const times = atOnce > 0 ? random.below(5) : 0;
  for (let i = 0; i < times; i++) {
    const sim = world.nodes[random.below(world.nodes.length)];
    const effects = random.below(6);
    const downUs = random.pick([1000, 50_000, 700_000]);
    if (!sim || sim.behaviour) continue;
    world.at(random.below(faultUs), () => {
      if (!sim.node || world.nodes.filter(({ node }) => !node).length >= atOnce) return;
      plan.crashes += 1;
      sim.crashIn = effects;
      world.at(downUs, () => {
        world.crash(sim);
        world.start(sim);
      });
    });
  }
}

function heal(world: World): void {
  world.isLinked = () => true;
  world.loss = 0;
  for (const sim of world.nodes) if (!sim.node) world.start(sim);
  // A fresh block makes an idle chain move, so that laggards catch up.
  const submitOne = () => {
    for (const sim of world.nodes) if (!sim.behaviour) world.submit(sim.index);
  };
  world.at(1_000_000, submitOne);
  // A second one each, well after the first: their order is a claim.
  world.at(1_000_000 + SEPARATED_US, submitOne);
}

export interface MinimalFailure {
  readonly options: SeedOptions;
  readonly without: readonly Part[];
  readonly violation: Violation;
  /** The last things that happened before the violation. */
  readonly trace: readonly string[];
}

const TRACE_LINES = 60;

/** Makes a failing seed small: leaves out whatever it fails without, shortens its faults. */
export function minimise(options: SeedOptions): MinimalFailure | undefined {
  const without = new Set<Part>();
  let best = options;
  for (const part of PARTS) {
    const smaller = { ...best, without: new Set([...without, part]) };
    if (runSeed(smaller).violations.length === 0) continue;
    without.add(part);
    best = smaller;
  }
  for (const faultUs of [500_000, 1_000_000, 2_000_000]) {
    const smaller = { ...best, faultUs };
    if (runSeed(smaller).violations.length === 0) continue;
    best = smaller;
    break;
  }
  const last = runSeed({ ...best, logs: true });
  const violation = last.violations[0];
  if (!violation) return undefined;
  return { options: best, without: [...without], violation, trace: last.log.slice(-TRACE_LINES) };
}
