/** Scenarios of lost journals, evidence, clocks and killed halves, on real reducers. */
import {
  type EdaEffect,
  type EdaMessage,
  type Statement,
  aggregateWeight,
  isContradiction,
} from '#libs/eda';
import { ADVERSARIES, type Behaviour } from './eda/adversaries.ts';
import { allFinal, feed, isClean, network, nodeOf as node } from './eda/scenario.ts';

const MS = 1000;
const S = 1_000_000;

describe('a journal that was lost', () => {
  test('the validator signs nothing until later slots are final, then votes again', () => {
    const world = network({ nodes: 7, profile: 'classic' });
    feed(world, 300 * MS, 100 * MS, 60);
    const lost = node(world, 3);
    const said: { atUs: number; kind: string }[] = [];
    world.intercept = (from, _to, { kind }) => {
      if (from === 3) said.push({ atUs: world.timeUs, kind });
      return 0;
    };
    let lostAtUs = 0;
    // In the middle of a slot, with votes sent.
    world.at(2_130 * MS, () => {
      lostAtUs = world.timeUs;
      world.crash(lost);
      world.start(lost, true);
    });
    world.run(9 * S);
    const backAtUs = lost.recoveredAtUs ?? Number.POSITIVE_INFINITY;
    expect(backAtUs).toBeLessThan(lostAtUs + 4 * S);
    const signed = (kind: string) =>
      ['fetch', 'recall', 'recalled', 'block', 'final'].includes(kind);
    const between = said.filter(
      ({ atUs, kind }) => atUs > lostAtUs && atUs < backAtUs && !signed(kind),
    );
    expect(between).toEqual([]);
    expect(said.some(({ atUs, kind }) => atUs > backAtUs && kind === 'prepare')).toBe(true);
    // Its "one vote" invariant spans the loss: nothing it says contradicts what it said before.
    isClean(world);
    expect(world.evidence).toEqual([]);
  });

  test('killed again before it is over, it goes on recovering', () => {
    const world = network({ nodes: 7, profile: 'classic' });
    feed(world, 300 * MS, 100 * MS, 60);
    const lost = node(world, 3);
    world.at(2 * S, () => {
      world.crash(lost);
      world.start(lost, true);
    });
    world.at(2 * S + 150 * MS, () => {
      expect(lost.recoveredAtUs).toBeUndefined();
      world.crash(lost);
      world.start(lost);
      expect(lost.node?.mayAuthor).toBe(false);
    });
    world.run(9 * S);
    expect(lost.recoveredAtUs).toBeDefined();
    isClean(world);
  });

  test('a liar that claims a slot nobody reached holds nobody up', () => {
    const boaster: Behaviour = {
      name: 'boaster',
      rewrite: (_sim, effects) =>
        effects.map((effect): EdaEffect =>
          effect.kind === 'send' && effect.message.kind === 'recalled'
            ? { ...effect, message: { ...effect.message, slot: 1e12 } }
            : effect,
        ),
    };
    const behaviours = new Map([[0, boaster]]);
    const world = network({ nodes: 7, profile: 'classic', behaviours });
    feed(world, 300 * MS, 100 * MS, 60);
    const lost = node(world, 3);
    world.at(2 * S, () => {
      world.crash(lost);
      world.start(lost, true);
    });
    world.run(9 * S);
    expect(lost.recoveredAtUs).toBeDefined();
    isClean(world);
  });
});

describe('more than may fail', () => {
  test('9 of 20 killed: tentative order goes on; all return: final within two cuts, in that order', () => {
    const world = network({ nodes: 20 });
    feed(world, 300 * MS, 100 * MS, 10);
    world.run(3 * S);
    const before = world.cuts.length;
    expect(allFinal(world)).toBe(true);
    for (const sim of world.nodes.slice(0, 9)) world.crash(sim);
    const made = 22;
    for (let i = 0; i < made; i++) world.at((i + 1) * 100 * MS, () => world.submit(9 + (i % 11)));
    world.run(4 * S);
    expect(world.cuts.length).toBe(before);
    const tentative = node(world, 15).node?.positions.entries(0) ?? [];
    expect(tentative.length).toBe(made);
    const order = tentative.toSorted((a, b) => a.x - b.x).map(({ hash }) => hash);
    for (const sim of world.nodes.slice(0, 9)) world.start(sim);
    world.run(6 * S);
    const cuts = world.cuts.slice(before);
    expect(cuts.length).toBeLessThanOrEqual(2);
    expect(cuts.flatMap(({ body }) => body.entries.map(({ hash }) => hash))).toEqual(order);
    expect(world.invariants.inversions()).toBe(0);
    isClean(world);
  });

  test('clocks of nodes 1 s ahead and 1 s behind step while blocks are open: one order, all final', () => {
    const world = network({ nodes: 10, clockUs: (i) => (i === 0 ? S : i === 1 ? -S : 0) });
    world.invariants.checksPositions = false;
    feed(world, 500 * MS, 80 * MS, 50);
    // A third clock is stepped forward in the middle (suspend and resume).
    world.at(2 * S, () => {
      node(world, 2).clockUs += S;
    });
    world.run(12 * S);
    expect(allFinal(world)).toBe(true);
    isClean(world);
  });
});

test('every message comes three times, the last one two seconds late: one order, nobody is accused', () => {
  const world = network({ nodes: 5, wire: true, profile: 'classic' });
  const replay = (from: number, to: number, message: EdaMessage) => {
    const sim = node(world, to);
    if (!sim.node) return;
    const event = { kind: 'message', peer: node(world, from).key, message } as const;
    world.carryOut(sim, sim.node.handle(event, world.local(sim)));
  };
  let replayed = 0;
  world.intercept = (from, to, message) => {
    for (const afterUs of [30 * MS, 2 * S]) world.at(afterUs, () => replay(from, to, message));
    replayed += 2;
    // The same of an era long ago and of another cut, with its old signature.
    if (message.kind === 'attest') {
      const ancient = { ...message.message, era: 0, hash: 'ee'.repeat(32) };
      world.at(30 * MS, () => replay(from, to, { ...message, message: ancient }));
    }
    return 0;
  };
  feed(world, 300 * MS, 200 * MS, 12);
  world.run(6 * S);
  expect(replayed).toBeGreaterThan(1_000);
  expect(allFinal(world)).toBe(true);
  expect(world.evidence).toEqual([]);
  isClean(world);
});

describe('attestations by BLS', () => {
  test('seven validators with keys: the strength of a checkpoint comes with one signature of all', () => {
    const world = network({ nodes: 7, profile: 'classic', bls: true });
    feed(world, 300 * MS, 200 * MS, 15);
    world.run(4 * S);
    const whole = world.strengths.filter(({ weight }) => weight === world.set.quorum - 1);
    expect(whole.length).toBeGreaterThan(7);
    for (const { slot, hash, aggregate } of whole) {
      const body = world.cuts[slot - 1]?.body;
      if (!body || !aggregate) throw new Error('no sum');
      const { verify } = world.auth.of(0).bls;
      const attest = { chain: body.chain, era: body.era, slot, hash };
      expect(aggregateWeight(world.set, 'attest', attest, aggregate, verify)).toBe(7);
    }
    isClean(world);
  });
});

describe('what liars sign against themselves', () => {
  test('24: twins, one key in two processes in two halves, u − 1 others down: one order, and proof', () => {
    const world = network({ nodes: 10, profile: 'classic', twinOf: 0 });
    for (const sim of world.nodes.slice(1, 3)) world.crash(sim);
    feed(world, 400 * MS, 90 * MS, 50);
    // Each half sees another twin; the honest are connected.
    world.isLinked = (from, to) => {
      const half = (index: number) => (index === 10 ? 1 : index === 0 ? 0 : undefined);
      const [a, b] = [half(from), half(to)];
      if (a !== undefined && b !== undefined) return false;
      const twin = a ?? b;
      return twin === undefined || (a === undefined ? from : to) % 2 === twin;
    };
    world.run(9 * S);
    expect(world.cuts.length).toBeGreaterThan(5);
    const honest = [...world.submittedAt.keys()].filter(
      (hash) => world.invariants.blocks.get(hash)?.author !== 0,
    );
    expect(honest.every((hash) => world.finalAt.has(hash))).toBe(true);
    expect(new Set(world.evidence.map(({ publicKey }) => publicKey))).toEqual(
      new Set([world.auth.keyOf(0)]),
    );
    isClean(world);
  });

  const doubled = ADVERSARIES['doubleVoter'];

  test('18: evidence reaches half of the nodes in a round: weights stay, cuts go on', () => {
    const equivocator = ADVERSARIES['equivocator'];
    if (!equivocator) throw new Error('equivocator');
    const world = network({
      nodes: 7,
      profile: 'classic',
      behaviours: new Map([[0, equivocator]]),
    });
    // For two seconds what proves it reaches the nodes 2, 4 and 6 only.
    world.intercept = (from, to, message) => {
      const isAbout0 = message.kind === 'tick' && message.from === 0;
      const isTold = from !== 0 || world.evidence.length > 0;
      return isAbout0 && isTold && to % 2 === 1 ? undefined : 0;
    };
    feed(world, 300 * MS, 100 * MS, 40);
    world.run(2 * S);
    const burned = () =>
      world.nodes
        .filter(({ node: one }) => (one?.positions.burned.size ?? 0) > 0)
        .filter(({ index }) => index > 0)
        .map((sim) => sim.index);
    expect(burned()).toEqual([2, 4, 6]);
    world.intercept = () => 0;
    world.run(7 * S);
    expect(burned()).toEqual([1, 2, 3, 4, 5, 6]);
    const quorums = new Set(world.cuts.map(({ body }) => body.setHash));
    expect(quorums.size).toBe(1);
    const honest = [...world.submittedAt.keys()].filter(
      (hash) => world.invariants.blocks.get(hash)?.author !== 0,
    );
    expect(honest.every((hash) => world.finalAt.has(hash))).toBe(true);
    expect(world.evidence.some(({ what }) => what === 'tick')).toBe(true);
    isClean(world);
  });

  test('every piece of evidence is a contradiction of a liar, never of an honest validator', () => {
    let found = 0;
    for (const name of Object.keys(ADVERSARIES)) {
      const behaviour = ADVERSARIES[name];
      if (!behaviour) continue;
      const world = network({
        nodes: 7,
        profile: 'classic',
        behaviours: new Map([[2, behaviour]]),
      });
      world.intercept = (_from, _to, { kind }) =>
        kind === 'commit' && world.random.chance(0.3) ? undefined : 0;
      feed(world, 300 * MS, 120 * MS, 20);
      world.run(6 * S);
      for (const { what, otherWhat, publicKey, first, second } of world.evidence) {
        expect(publicKey).toBe(world.auth.keyOf(2));
        const statements = [
          { ...first, kind: what },
          { ...second, kind: otherWhat ?? what },
        ] as unknown as [Statement, Statement];
        expect(isContradiction(...statements)).toBe(true);
        found += 1;
      }
      isClean(world);
    }
    expect(doubled).toBeDefined();
    expect(found).toBeGreaterThan(3);
  });
});
