/** Sets above 64 validators under faults, liars and changed sampling rates. */
import { hashOf } from '#libs/crypto';
import { type Certificate, type EdaEffect, type Validator, genesisBase, leaderOf } from '#libs/eda';
import { utf8 } from '#libs/kernel';
import { ADVERSARIES, type Behaviour } from './eda/adversaries.ts';
import { World, type WorldOptions } from './eda/world.ts';

const MS = 1000;
const S = 1_000_000;
/** Of the world with seed 1. */
const CHAIN = hashOf('seele/sim-chain/1', utf8('1'));
/** Some ten CPU seconds each, on a machine that may be busy. */
const PATIENT_MS = 300_000;

const large = (options: Partial<WorldOptions>) =>
  new World({
    seed: 1,
    nodes: 66,
    bls: true,
    delayUs: [500, 20_000],
    ...options,
    parameters: { samplingPerMille: 500, ...options.parameters },
  });

function isClean(world: World): void {
  expect(world.invariants.violations).toEqual([]);
  expect(world.invariants.checked).toBeGreaterThan(0);
}

const honestFinal = (world: World) =>
  [...world.submittedAt.keys()].every(
    (hash) => world.finalAt.has(hash) || world.invariants.blocks.get(hash)?.isHonest === false,
  );

function feed(world: World, fromUs: number, everyUs: number, count: number, first = 0): void {
  for (let i = 0; i < count; i++)
    world.at(fromUs + i * everyUs, () => world.submit(first + ((i * 7) % (66 - first))));
}

test(
  '40 % down: final; one more below Q: tentative; back: final',
  () => {
    const world = large({});
    for (const sim of world.nodes.slice(0, 26)) world.crash(sim);
    feed(world, 500 * MS, 60 * MS, 6, 27);
    world.run(4 * S);
    expect(honestFinal(world)).toBe(true);
    const more = world.nodes[26];
    if (!more) throw new Error('66 nodes');
    world.crash(more);
    const before = world.cuts.length;
    feed(world, 100 * MS, 60 * MS, 4, 27);
    world.run(2 * S);
    expect(world.cuts.length).toBe(before);
    world.start(more);
    world.run(5 * S);
    expect(honestFinal(world)).toBe(true);
    expect(world.cuts.length).toBeLessThanOrEqual(before + 2);
    isClean(world);
  },
  PATIENT_MS,
);

test(
  'three in ten messages lost: all final',
  () => {
    const world = large({ loss: 0.3 });
    feed(world, 500 * MS, 100 * MS, 8);
    world.run(8 * S);
    expect(honestFinal(world)).toBe(true);
    isClean(world);
  },
  PATIENT_MS,
);

test.each(['liar', 'selective', 'equivocator', 'forker', 'badLeader', 'doubleVoter'])(
  '19 %% lie (%s), 20 %% are down: one order, all honest blocks final',
  (name) => {
    const behaviour = ADVERSARIES[name];
    if (!behaviour) throw new Error(name);
    const world = large({
      behaviours: new Map(Array.from({ length: 12 }, (_, i) => [13 + i, behaviour] as const)),
    });
    for (const sim of world.nodes.slice(0, 13)) world.crash(sim);
    feed(world, 500 * MS, 100 * MS, 6, 13);
    world.run(7 * S);
    expect(honestFinal(world)).toBe(true);
    isClean(world);
  },
  PATIENT_MS,
);

test(
  'an author that dies after its block, and one that keeps its certificate: both blocks final',
  () => {
    const keeper: Behaviour = {
      name: 'keeper',
      rewrite: (_sim, effects) =>
        effects.filter(
          (effect) =>
            !(
              (effect.kind === 'broadcast' || effect.kind === 'send') &&
              effect.message.kind === 'available'
            ),
        ),
    };
    const world = large({ behaviours: new Map([[5, keeper]]) });
    world.at(500 * MS, () => world.submit(5));
    world.at(500 * MS, () => world.submit(9));
    world.at(505 * MS, () => world.crash(world.nodes[9] as (typeof world.nodes)[number]));
    world.run(3 * S);
    expect(world.finalAt.size).toBe(2);
    isClean(world);
  },
  PATIENT_MS,
);

test(
  'leaders whose certificates never arrive: later views keep the locked cut',
  () => {
    const world = large({});
    const reached = new Set([1, 2, 3]);
    world.intercept = (_from, to, message) =>
      message.kind === 'certified' && message.certificate.view === 0 && !reached.has(to)
        ? undefined
        : 0;
    feed(world, 500 * MS, 30 * MS, 4);
    world.run(6 * S);
    expect(honestFinal(world)).toBe(true);
    expect(world.cuts.some(({ certificate }) => certificate.view > 0)).toBe(true);
    isClean(world);
  },
  PATIENT_MS,
);

const isCertified = (effect: EdaEffect) =>
  (effect.kind === 'broadcast' || effect.kind === 'send') && effect.message.kind === 'certified';

/** What a lying leader makes of the certificates it should tell: to each half of the others what suits it. */
const lyingLeaders: readonly Behaviour[] = [
  { name: 'withholds', rewrite: (_sim, effects) => effects.filter((one) => !isCertified(one)) },
  {
    name: 'names who did not vote',
    rewrite: (_sim, effects) =>
      rewritten(effects, ({ aggregate, ...rest }) => ({
        ...rest,
        ...(aggregate && {
          aggregate: { ...aggregate, signers: aggregate.signers.map((byte) => byte ^ 21) },
        }),
      })),
  },
  {
    name: 'certifies another cut',
    rewrite: (_sim, effects) => rewritten(effects, (it) => ({ ...it, hash: 'ab'.repeat(32) })),
  },
];

function rewritten(
  effects: readonly EdaEffect[],
  change: (certificate: Certificate) => Certificate,
): readonly EdaEffect[] {
  return effects.map((effect) => {
    if (effect.kind !== 'broadcast' && effect.kind !== 'send') return effect;
    if (effect.message.kind !== 'certified') return effect;
    const { certificate } = effect.message;
    return { ...effect, message: { ...effect.message, certificate: change(certificate) } };
  });
}

test.each(lyingLeaders)(
  'a leader of the first view that $name: another view decides, one cut for all',
  (behaviour) => {
    const { set, validators } = large({});
    const leader = leaderOf(set, genesisBase(CHAIN, 0, 1).eraBeacon, 1, 0);
    const liar = validators.indexOf(set.validators[leader] as Validator);
    expect(liar).toBeGreaterThanOrEqual(0);
    const world = large({ behaviours: new Map([[liar, behaviour]]) });
    for (let i = 0; i < 4; i++)
      world.at((500 + 30 * i) * MS, () => world.submit((liar + 1 + i * 7) % 66));
    world.run(3 * S);
    expect(honestFinal(world)).toBe(true);
    expect(world.cuts[0]?.certificate.view).toBeGreaterThan(0);
    isClean(world);
  },
  PATIENT_MS,
);

test(
  'halves that do not hear each other, then do: all final, none twice',
  () => {
    const world = large({});
    feed(world, 500 * MS, 100 * MS, 16);
    world.at(800 * MS, () => {
      world.isLinked = (from, to) => from < 33 === to < 33;
    });
    world.at(2 * S, () => {
      world.isLinked = () => true;
    });
    world.run(7 * S);
    expect(honestFinal(world)).toBe(true);
    isClean(world);
  },
  PATIENT_MS,
);

test(
  'the sampling rate is set by state and changes at the border',
  () => {
    const world = large({ parameters: { eraUs: 4 * S, samplingPerMille: 1000 } });
    let from = 0;
    world.at(1 * S, () => {
      for (const sim of world.nodes) {
        from = (sim.node?.era ?? 0) + 2;
        const event = { kind: 'set', era: from, set: world.set, samplingPerMille: 250 } as const;
        sim.node?.handle(event, world.local(sim));
      }
    });
    const ticks = { before: 0, after: 0 };
    world.intercept = (author, to, message) => {
      if (message.kind !== 'tick' || to !== (author + 1) % 66) return 0;
      if (message.message.entries.length > 0)
        ticks[message.message.era < from ? 'before' : 'after'] += 1;
      return 0;
    };
    feed(world, 500 * MS, 250 * MS, 52);
    world.run(14 * S);
    const spans = { before: 0, after: 0 };
    let lastUs = world.cuts[0]?.body.timeUs ?? 0;
    for (const { body } of world.cuts) {
      spans[body.era < from ? 'before' : 'after'] += body.timeUs - lastUs;
      lastUs = body.timeUs;
    }
    expect(world.cuts.some(({ body }) => body.era >= from)).toBe(true);
    const before = ticks.before / spans.before;
    const after = ticks.after / spans.after;
    // A quarter of the seats; a validator of weight 1 has at most one.
    expect(after / before).toBeGreaterThan(0.15);
    expect(after / before).toBeLessThan(0.4);
    isClean(world);
  },
  PATIENT_MS,
);
