/** Scenarios of lost journals, evidence, clocks, eras and killed halves, on real reducers. */
import {
  type EdaEffect,
  type Statement,
  aggregateWeight,
  createValidatorSet,
  isContradiction,
} from '#libs/eda';
import { ADVERSARIES, type Behaviour } from './eda/adversaries.ts';
import { World, type WorldOptions } from './eda/world.ts';

const MS = 1000;
const S = 1_000_000;

function isClean(world: World): void {
  expect(world.invariants.violations).toEqual([]);
  expect(world.invariants.checked).toBeGreaterThan(0);
}

const allFinal = (world: World) =>
  [...world.submittedAt.keys()].every((hash) => world.finalAt.has(hash));

const network = (options: Partial<WorldOptions>) =>
  new World({ seed: 1, nodes: 4, delayUs: [500, 20_000], ...options });

function feed(world: World, fromUs: number, everyUs: number, count: number): void {
  for (let i = 0; i < count; i++)
    world.at(fromUs + i * everyUs, () => world.submit(i % world.nodes.length));
}

const node = (world: World, index: number) => {
  const found = world.nodes[index];
  if (!found) throw new Error(`node ${index}`);
  return found;
};

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

describe('eras', () => {
  const ERA_US = 4 * S;

  test('17: stake changed in mid-era holds from the border on, also for who was slashed or joined', () => {
    const world = network({ nodes: 5, weights: [1, 1, 1, 1, 1], parameters: { eraUs: ERA_US } });
    feed(world, 300 * MS, 120 * MS, 60);
    const { validators } = world.set;
    // Node 4 is slashed, node 0 doubled its stake.
    const next = createValidatorSet(
      validators.slice(0, 4).map((one, i) => ({ ...one, weight: i === 0 ? 2 : 1 })),
      'classic',
    );
    let from = 0;
    world.at(1 * S, () => {
      for (const sim of world.nodes) {
        from = (sim.node?.era ?? 0) + 2;
        sim.node?.handle({ kind: 'set', era: from, set: next }, world.local(sim));
      }
    });
    world.run(14 * S);
    const hashes = new Map(world.cuts.map(({ body }) => [body.era, body.setHash]));
    expect([...hashes.keys()].length).toBeGreaterThan(2);
    for (const [era, hash] of hashes) expect(hash).toBe(era < from ? world.set.hash : next.hash);
    isClean(world);
  });

  test('the interval of agreement is set by state and changes at the border', () => {
    // Half of the ticks are lost, so votes stay some µs apart for a few rounds.
    const world = network({
      nodes: 7,
      profile: 'classic',
      parameters: { eraUs: ERA_US, epsilonUs: 1 },
    });
    world.intercept = (_from, _to, { kind }) =>
      kind === 'tick' && world.random.chance(0.5) ? undefined : 0;
    world.invariants.checksPositions = false;
    let from = 0;
    world.at(1 * S, () => {
      for (const sim of world.nodes) {
        from = (sim.node?.era ?? 0) + 2;
        const event = { kind: 'set', era: from, set: world.set, epsilonUs: 40_000 } as const;
        sim.node?.handle(event, world.local(sim));
      }
    });
    feed(world, 500 * MS, 100 * MS, 170);
    world.run(18 * S);
    const meanMs = (isAfter: boolean) => {
      const times = world.cuts
        .filter(({ body }) => body.era >= from === isAfter)
        .flatMap(({ body, atUs }) =>
          body.entries.map(({ hash }) => atUs - (world.submittedAt.get(hash) ?? 0)),
        );
      return times.reduce((sum, us) => sum + us, 0) / times.length / MS;
    };
    // What counts as agreed is agreed on sooner.
    expect(meanMs(true)).toBeLessThan(0.9 * meanMs(false));
    const bad = { kind: 'set', era: from + 9, set: world.set, epsilonUs: 0 } as const;
    expect(() => node(world, 0).node?.handle(bad, world.timeUs)).toThrow(/interval/);
    isClean(world);
  });

  test('17: a leaver that crashes at the border takes nothing with it', () => {
    const world = network({ nodes: 7, profile: 'classic', parameters: { eraUs: ERA_US } });
    feed(world, 300 * MS, 100 * MS, 150);
    const next = createValidatorSet(world.set.validators.slice(0, 6), 'classic');
    let from = 0;
    world.at(1 * S, () => {
      for (const sim of world.nodes) {
        from = (sim.node?.era ?? 0) + 2;
        sim.node?.handle({ kind: 'set', era: from, set: next }, world.local(sim));
      }
    });
    const leaver = node(world, 6);
    const poll = () => {
      if ((node(world, 0).node?.era ?? 0) >= from && leaver.node) world.crash(leaver);
      else world.at(20 * MS, poll);
    };
    world.at(2 * S, poll);
    world.run(16 * S);
    expect(leaver.node).toBeUndefined();
    expect(world.cuts.some(({ body }) => body.era > from)).toBe(true);
    isClean(world);
  });

  test('17: joiners hold no open block; leavers are gone at the border: cuts need the joiner', () => {
    const options = {
      nodes: 6,
      members: 5,
      profile: 'classic',
      parameters: { eraUs: ERA_US },
    } as const;
    const world = network(options);
    const [leaver, down, joiner] = [node(world, 0), node(world, 1), node(world, 5)];
    world.crash(joiner);
    feed(world, 300 * MS, 150 * MS, 100);
    let from = 0;
    // Of five validators one may fail: with node 1 down, the others and the joiner are all needed.
    world.at(1 * S, () => {
      from = world.fixSet(world.setOf(world.validators.slice(1)));
    });
    const poll = () => {
      const isThere = (node(world, 2).node?.era ?? 0) >= from;
      if (!isThere) world.at(20 * MS, poll);
      else for (const sim of [leaver, down]) world.crash(sim);
      if (!isThere) return;
      world.at(300 * MS, () => {
        // The chain itself comes by block sync of the host; of open blocks it has nothing.
        joiner.journal = node(world, 2).journal.filter(({ kind }) => kind === 'final');
        world.start(joiner);
      });
    };
    world.at(2 * S, poll);
    const voted = new Set<string>();
    world.intercept = (sender, _to, { kind }) => {
      if (sender === 5) voted.add(kind);
      return 0;
    };
    world.run(16 * S);
    const later = world.cuts.filter(({ body }) => body.era >= from);
    expect(later.length).toBeGreaterThan(3);
    expect([...voted]).toEqual(expect.arrayContaining(['prepare', 'commit', 'block']));
    // Blocks that were open at the border and the joiner's own are among what became final.
    expect(later.some(({ body }) => body.entries.some(({ era }) => era === from - 1))).toBe(true);
    expect(later.some(({ body }) => body.entries.some(({ author }) => author === 4))).toBe(true);
    isClean(world);
  });

  test('who was away over a border learns of it from ticks, though the chain is idle', () => {
    const world = network({ parameters: { eraUs: ERA_US } });
    feed(world, 300 * MS, 300 * MS, 20);
    const away = node(world, 3);
    world.at(1 * S, () => world.crash(away));
    world.run(9 * S);
    world.start(away);
    world.run(3 * S);
    expect(node(world, 0).node?.era).toBeGreaterThan(world.cuts[0]?.body.era ?? 0);
    expect(away.node?.era).toBe(node(world, 0).node?.era);
    isClean(world);
  });

  test('17: time jumps over two eras while everything is down', () => {
    const world = network({ parameters: { eraUs: ERA_US } });
    feed(world, 300 * MS, 150 * MS, 12);
    world.run(3 * S);
    for (const sim of world.nodes) world.crash(sim);
    world.run(3 * ERA_US);
    for (const sim of world.nodes) world.start(sim);
    for (let i = 0; i < 12; i++) world.at(500 * MS + i * 200 * MS, () => world.submit(i % 4));
    world.run(10 * S);
    isClean(world);
    expect(world.cuts.at(-1)?.body.timeUs).toBeGreaterThan(world.timeUs - 10 * S);
    // However far the time jumps, one cut ends one era: none is skipped.
    const eras = world.cuts.map(({ body }) => body.era);
    for (const [i, era] of eras.entries()) expect(era - (eras[i - 1] ?? era)).toBeLessThan(2);
    expect(new Set(eras).size).toBeGreaterThan(1);
  });
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
