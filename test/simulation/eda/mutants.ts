/**
 * The rules of consensus, each broken in turn: the invariants must notice every one of them, or the
 * simulation would prove nothing. Each mutant has a family of seeds that looks where it would break.
 */
import type { EdaRules } from '#libs/eda';
import { ADVERSARIES, type Behaviour } from './adversaries.ts';
import type { Violation } from './invariants.ts';
import { World, type WorldOptions } from './world.ts';

export interface Mutant {
  readonly name: string;
  readonly rules?: Partial<EdaRules>;
  readonly forgetful?: boolean;
  /** Runs one seed of its family; with `rules` sound the same family must be clean. */
  readonly run: (seed: number, broken: Pick<WorldOptions, 'rules' | 'forgetful'>) => World;
}

const DELTA_US = 50_000;
/** Of view 0, as in the pacemaker. */
const TIMER_DELTAS = 8;
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
 * COMMITs reach one node only, and what it then knows reaches nobody: the others change the view and
 * must come to the same cut.
 */
function lonelyDecision(seed: number, broken: Broken): World {
  const doubleVoter = ADVERSARIES['doubleVoter'];
  const behaviours = new Map(doubleVoter && seed % 2 ? [[seed % 4, doubleVoter]] : []);
  const world = four(seed, broken, { behaviours });
  world.intercept = (_from, to, message) => {
    if (message.kind === 'final') return world.random.chance(0.95) ? undefined : 0;
    if (message.kind !== 'commit') return 0;
    const { slot, view } = message.message;
    return view === 0 && to !== (seed + slot) % 4 ? undefined : 0;
  };
  feed(world, 400_000, 12);
  world.run(RUN_US);
  return settle(world);
}

/** How long a view 0 lasts in which nothing is decided, from its first listable block: an interval and its timer. */
const FIRST_VIEW_US = 250_000 + TIMER_DELTAS * DELTA_US;
/** PREPAREs come so much before or after its end. */
const AROUND_US = 150_000;

/**
 * PREPAREs of the first view arrive about when it ends: some nodes have left it, some have not. A window
 * that does not lie round its end shows nothing: of 200 seeds this one shows the defect in 14, one that
 * is 200 ms earlier in none.
 */
function latePrepares(seed: number, broken: Broken): World {
  const doubleVoter = ADVERSARIES['doubleVoter'];
  const behaviours = new Map(doubleVoter && seed % 2 ? [[seed % 4, doubleVoter]] : []);
  const world = four(seed, broken, { behaviours });
  world.intercept = (_from, _to, message) => {
    if (message.kind === 'final') return world.random.chance(0.9) ? undefined : 0;
    if (message.kind !== 'prepare' || message.message.view > 0) return 0;
    return FIRST_VIEW_US - AROUND_US + world.random.below(2 * AROUND_US);
  };
  feed(world, 400_000, 12);
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

/** Reports in NEWVIEWs only the second blocks of authors. */
const holeMaker: Behaviour = {
  name: 'holeMaker',
  rewrite: (sim, effects, world) =>
    effects.map((effect) => {
      if (effect.kind !== 'broadcast' || effect.message.kind !== 'newview') return effect;
      const { message } = effect.message;
      const reports = message.reports.filter(({ seq }) => seq % 2 === 0);
      const said = { ...message, reports };
      const signature = world.auth.of(sim.index).sign('newview', said);
      return { ...effect, message: { ...effect.message, message: said, signature } };
    }),
};

/** View 0 never gets through; authors make blocks in pairs, and a liar leaves the first ones out. */
function holes(seed: number, broken: Broken): World {
  const world = four(seed, broken, { behaviours: new Map([[seed % 4, holeMaker]]) });
  const deaf = (seed + 1) % 4;
  world.intercept = (_from, to, message) => {
    if (message.kind === 'proposal' && message.message.view === 0) return undefined;
    return message.kind === 'tick' && to === deaf && world.random.chance(0.9) ? undefined : 0;
  };
  for (let i = 0; i < 24; i++)
    world.at(300_000 + i * 170_000, () => {
      world.submit(i % 4);
      world.submit(i % 4);
    });
  world.run(RUN_US);
  return settle(world);
}

/** Halves of ten nodes are cut off from each other for longer than a cut takes, with a full backlog. */
function outage(seed: number, broken: Broken): World {
  const world = new World({ seed, nodes: 10, delayUs: [500, 10_000], loss: 0.02, ...broken });
  const cut = 1_200_000;
  feed(world, 100_000, 9);
  for (let i = 0; i < 70; i++) world.at(cut + i * 25_000, () => world.submit(i % 10));
  world.at(cut, () => {
    world.isLinked = (from, to) => from < 5 === to < 5;
  });
  world.at(cut + 2_000_000, () => {
    world.isLinked = () => true;
  });
  world.run(4_500_000);
  return settle(world);
}

/** No faults but jitter and a lost tick now and then. */
function calm(seed: number, broken: Broken): World {
  const world = new World({ seed, nodes: 7, delayUs: [500, 30_000], ...broken });
  world.intercept = (_from, _to, { kind }) =>
    kind === 'tick' && world.random.chance(0.1) ? undefined : 0;
  feed(world, 90_000, 30);
  world.run(RUN_US);
  return world;
}

/** Four of ten are cut off; the others go on, so that what the four ordered meanwhile is late. */
function minority(seed: number, broken: Broken): World {
  const world = new World({ seed, nodes: 10, delayUs: [500, 10_000], ...broken });
  feed(world, 100_000, 30);
  world.at(1_000_000, () => {
    world.isLinked = (from, to) => from < 6 === to < 6;
  });
  world.at(2_500_000, () => {
    world.isLinked = () => true;
  });
  world.run(4_000_000);
  return settle(world);
}

/** Ticks come too late to be votes: positions stay apart for ever and view 0 cannot list anything. */
function splitPositions(seed: number, broken: Broken): World {
  const world = four(seed, broken, { delayUs: [500, 45_000] });
  world.intercept = (_from, _to, { kind }) => (kind === 'tick' ? 120_000 : 0);
  feed(world, 300_000, 8);
  world.run(12_000_000);
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
  { name: 'no lock in NEWVIEW', rules: { lockInNewView: false }, run: lonelyDecision },
  { name: 'COMMIT after NEWVIEW', rules: { noCommitAfterNewView: false }, run: latePrepares },
  { name: 'no sync before sending', forgetful: true, run: amnesia },
  { name: 'available at r + 1', rules: { availableByQuorum: false }, run: thinSpread },
  { name: 'no contiguity', rules: { contiguity: false }, run: holes },
  { name: 'late blocks have no place', rules: { lateBlocksMove: false }, run: minority },
  { name: 'votes stop at local convergence', rules: { voteUntilFinal: false }, run: calm },
  { name: 'time by the wall clock', rules: { connectedTime: false }, run: outage },
  { name: 'era by the local clock', rules: { eraByCut: false }, run: border },
  {
    name: 'local checks in later views',
    rules: { derivedWithoutLocalChecks: false },
    run: splitPositions,
  },
  { name: 'no re-send', rules: { resend: false }, run: lossy },
];

/** The invariants, and what only shows over a whole run of some families. */
export function violationsOf(world: World, family: Mutant['run']): readonly Violation[] {
  const { violations, cuts } = world.invariants;
  if (violations.length > 0) return violations;
  const found = (invariant: string, text: string) => [{ invariant, text, atUs: world.timeUs }];
  if (family === calm) {
    const late = cuts.filter(({ certificate }) => certificate.view > 0).length;
    return late > 0
      ? found('a calm network decides in the first view', `${late} cuts did not`)
      : [];
  }
  if (family !== outage) return [];
  const moved = cuts.flatMap(({ body }) => body.entries).filter(({ pos, raw }) => pos !== raw);
  return moved.length > 0 ? found('an outage makes nothing late', `${moved.length} blocks`) : [];
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
    const found = violationsOf(world, mutant.run)[0];
    if (found)
      return { name: mutant.name, seed: firstSeed + i, seeds: i + 1, invariant: found.invariant };
  }
  return { name: mutant.name, seed: null, seeds: seedsMax, invariant: null };
}
