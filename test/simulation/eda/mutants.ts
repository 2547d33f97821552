/**
 * The rules of consensus, each broken in turn: the invariants must notice every one of them, or the
 * simulation would prove nothing. Each mutant has a family of seeds that looks where it would break.
 */
import type { EdaRules } from '#libs/eda';
import { createSeededRandomness } from '#libs/kernel';
import { ADVERSARIES } from './adversaries.ts';
import type { Violation } from './invariants.ts';
import { World, type WorldOptions } from './world.ts';

export interface Mutant {
  readonly name: string;
  readonly rules?: Partial<EdaRules>;
  readonly forgetful?: boolean;
  /** Runs one seed of its family; with `rules` sound the same family must be clean. */
  readonly run: (seed: number, broken: Pick<WorldOptions, 'rules' | 'forgetful'>) => World;
}

const RUN_US = 6_000_000;
const HEAL_US = 8_000_000;

function settle(world: World, calmUs = 4_000_000): World {
  world.isLinked = () => true;
  world.loss = 0;
  world.intercept = () => 0;
  for (const sim of world.nodes) if (!sim.node) world.start(sim);
  world.at(1_000_000, () => {
    for (const sim of world.nodes) if (!sim.behaviour) world.submit(sim.index);
  });
  world.run(HEAL_US);
  world.invariants.atEnd(world.timeUs, world.timeUs - calmUs);
  return world;
}

function feed(world: World, everyUs: number, count: number): void {
  for (let i = 0; i < count; i++)
    world.at(300_000 + i * everyUs, () => world.submit(i % world.nodes.length));
}

type Broken = Pick<WorldOptions, 'rules' | 'forgetful'>;

function four(seed: number, broken: Broken, more: Partial<WorldOptions> = {}): World {
  return new World({
    seed,
    nodes: 4,
    profile: 'classic',
    delayUs: [500, 30_000],
    ...more,
    ...broken,
  });
}

/** Half the network on each side for a while. */
function halves(seed: number, broken: Broken): World {
  const world = four(seed, broken);
  feed(world, 200_000, 20);
  const side = world.random.below(4);
  world.at(500_000 + world.random.below(2_000_000), () => {
    world.isLinked = (from, to) => ((from + side) & 2) === ((to + side) & 2);
  });
  world.run(RUN_US);
  return settle(world);
}

/**
 * Votes die on the way: COMMITs rarely arrive, so views change with locks held by some, and a double
 * voter helps every side.
 */
function lockStorm(seed: number, broken: Broken): World {
  const random = createSeededRandomness(seed).fork('storm');
  const doubleVoter = ADVERSARIES['doubleVoter'];
  const liarAt = random.below(4);
  const behaviours = new Map(doubleVoter && random.chance(0.8) ? [[liarAt, doubleVoter]] : []);
  const world = four(seed, broken, { behaviours });
  const lossOf: Record<string, number> = {
    prepare: random.pick([0.2, 0.4, 0.6]),
    commit: random.pick([0.4, 0.6, 0.8]),
    proposal: random.pick([0, 0.2]),
    newview: random.pick([0, 0.2]),
    final: 0.7,
  };
  const lateUs = random.pick([0, 100_000, 500_000]);
  world.intercept = (_from, _to, message) => {
    if (world.random.chance(lossOf[message.kind] ?? 0)) return undefined;
    return message.kind === 'prepare' && world.random.chance(0.5)
      ? world.random.below(lateUs + 1)
      : 0;
  };
  feed(world, 150_000, 16);
  world.run(RUN_US);
  return settle(world);
}

/** Bodies reach few; an author forks; then holders stay away. */
function thinSpread(seed: number, broken: Broken): World {
  const forker = ADVERSARIES['forker'];
  const behaviours = new Map(forker ? [[seed % 4, forker]] : []);
  const world = four(seed, broken, { behaviours });
  world.intercept = (_from, _to, { kind }) =>
    (kind === 'block' || kind === 'fetch') && world.random.chance(0.6) ? undefined : 0;
  feed(world, 150_000, 16);
  world.run(RUN_US);
  return settle(world);
}

/** A liar reports blocks with holes in NEWVIEWs; view 0 never gets through. */
function holes(seed: number, broken: Broken): World {
  const world = four(seed, broken);
  world.intercept = (_from, _to, message) => {
    if (message.kind === 'proposal' && message.message.view === 0) return undefined;
    // The first of two blocks becomes available late.
    if (message.kind === 'block' && message.message.seq % 2 === 1) return 40_000;
    return 0;
  };
  for (let i = 0; i < 12; i++)
    world.at(300_000 + i * 250_000, () => {
      world.submit(i % 4);
      world.submit(i % 4);
    });
  world.run(RUN_US);
  return settle(world);
}

/** Nodes are cut off for longer than a cut takes. */
function outage(seed: number, broken: Broken): World {
  const world = new World({
    seed,
    nodes: 10,
    delayUs: [500, 10_000],
    loss: 0.02,
    ...broken,
  });
  feed(world, 100_000, 40);
  const cut = 1_500_000 + world.random.below(300_000);
  world.at(cut, () => {
    world.isLinked = (from, to) => from < 5 === to < 5;
  });
  world.at(cut + 1_500_000, () => {
    world.isLinked = () => true;
  });
  world.run(RUN_US);
  return settle(world);
}

/** Positions stay apart for ever: view 0 cannot list anything. */
function splitPositions(seed: number, broken: Broken): World {
  const selective = ADVERSARIES['selective'];
  const world = new World({
    seed,
    nodes: 7,
    profile: 'classic',
    delayUs: [500, 45_000],
    behaviours: new Map(
      selective
        ? [
            [seed % 7, selective],
            [(seed + 3) % 7, selective],
          ]
        : [],
    ),
    ...broken,
  });
  // Ticks between clusters are lost: each keeps its own opinion.
  world.intercept = (from, to, { kind, ...message }) => {
    if (kind !== 'tick' || (from & 1) === (to & 1)) return 0;
    return 'message' in message && world.random.chance(0.6) ? undefined : 0;
  };
  feed(world, 150_000, 16);
  world.run(RUN_US);
  world.run(RUN_US);
  world.invariants.atEnd(world.timeUs, world.timeUs - 6_000_000);
  return world;
}

/** Clocks 60 ms apart at the border of an era. */
function border(seed: number, broken: Broken): World {
  const eraUs = 4_000_000;
  const world = four(seed, broken, {
    parameters: { eraUs },
    clockUs: (node) => node * 20_000,
  });
  feed(world, 170_000, 28);
  world.run(RUN_US + 2_000_000);
  return settle(world);
}

/** Every message may be lost once; nobody may depend on a second chance that is not there. */
function lossy(seed: number, broken: Broken): World {
  const world = four(seed, broken, { loss: 0.3 });
  feed(world, 300_000, 8);
  world.run(RUN_US);
  return settle(world);
}

/** All nodes are killed in the middle of voting and come back. */
function amnesia(seed: number, broken: Broken): World {
  const world = four(seed, broken);
  feed(world, 120_000, 30);
  for (let i = 0; i < 14; i++) {
    const sim = world.nodes[world.random.below(4)];
    const effects = world.random.below(8);
    world.at(600_000 + world.random.below(4_000_000), () => {
      if (!sim?.node) return;
      sim.crashIn = effects;
      world.at(60_000, () => {
        world.crash(sim);
        world.start(sim);
      });
    });
  }
  world.run(RUN_US);
  return settle(world);
}

export const MUTANTS: readonly Mutant[] = [
  { name: 'quorum less one', rules: { fullQuorum: false }, run: halves },
  { name: 'no lock in NEWVIEW', rules: { lockInNewView: false }, run: lockStorm },
  { name: 'COMMIT after NEWVIEW', rules: { noCommitAfterNewView: false }, run: lockStorm },
  { name: 'no sync before sending', forgetful: true, run: amnesia },
  { name: 'available at r + 1', rules: { availableByQuorum: false }, run: thinSpread },
  { name: 'no contiguity', rules: { contiguity: false }, run: holes },
  { name: 'late blocks have no place', rules: { lateBlocksMove: false }, run: outage },
  { name: 'votes stop at local convergence', rules: { voteUntilFinal: false }, run: outage },
  { name: 'time by the wall clock', rules: { connectedTime: false }, run: outage },
  { name: 'era by the local clock', rules: { eraByCut: false }, run: border },
  {
    name: 'local checks in later views',
    rules: { derivedWithoutLocalChecks: false },
    run: splitPositions,
  },
  { name: 'no re-send', rules: { resend: false }, run: lossy },
];

/** Adds what only shows over the whole run: order of well separated blocks. */
export function violationsOf(world: World, isOrdered: boolean): readonly Violation[] {
  const { violations } = world.invariants;
  if (violations.length > 0 || !isOrdered) return violations;
  const inversions = world.invariants.inversions();
  if (inversions === 0) return violations;
  return [
    {
      invariant: 'order of separated blocks',
      text: `${inversions} pairs reversed`,
      atUs: world.timeUs,
    },
  ];
}

export interface Catch {
  readonly name: string;
  /** First seed that shows the defect; null when none did. */
  readonly seed: number | null;
  /** Seeds tried until then. */
  readonly seeds: number;
  readonly invariant: string | null;
}

export function catchMutant(mutant: Mutant, firstSeed: number, seedsMax: number): Catch {
  const { rules, forgetful } = mutant;
  const broken = { ...(rules && { rules }), ...(forgetful && { forgetful }) };
  for (let i = 0; i < seedsMax; i++) {
    const world = mutant.run(firstSeed + i, broken);
    const found = violationsOf(world, mutant.run === outage)[0];
    if (found)
      return { name: mutant.name, seed: firstSeed + i, seeds: i + 1, invariant: found.invariant };
  }
  return { name: mutant.name, seed: null, seeds: seedsMax, invariant: null };
}
