/** Scenarios of era borders, on real reducers: sets and parameters that change, nodes away, idle time. */
import { createValidatorSet } from '#libs/eda';
import { feed, isClean, network, nodeOf as node } from './eda/scenario.ts';

const MS = 1000;
const S = 1_000_000;

describe('eras', () => {
  const ERA_US = 4 * S;
  const TICK_US = 50 * MS;

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
    feed(world, 500 * MS, 100 * MS, 120);
    // From a block's making until its position is agreed on; at least until a later view ordered it without.
    const agreed = new Map<string, { readonly ticks: number; readonly isAfter: boolean }>();
    let waiting = new Set<string>();
    const look = () => {
      const reducer = node(world, 0).node;
      const open = [...(reducer?.positions.open() ?? [])];
      const still = new Set(open.filter((one) => !one.isConverged).map(({ name }) => name.hash));
      const over = open.filter(({ isConverged }) => isConverged).map(({ name }) => name.hash);
      for (const hash of [...over, ...waiting]) {
        const madeUs = world.submittedAt.get(hash);
        if (madeUs === undefined || still.has(hash) || agreed.has(hash)) continue;
        const ticks = (world.timeUs - madeUs) / TICK_US;
        agreed.set(hash, { ticks, isAfter: (reducer?.era ?? 0) >= from });
      }
      waiting = still;
      world.at(5 * MS, look);
    };
    world.at(500 * MS, look);
    world.run(13 * S);
    const meanTicks = (isAfter: boolean) => {
      const ticks = [...agreed.values()].filter((one) => one.isAfter === isAfter);
      expect(ticks.length).toBeGreaterThan(40);
      return ticks.reduce((sum, one) => sum + one.ticks, 0) / ticks.length;
    };
    // What counts as agreed is agreed on sooner.
    expect(meanTicks(true)).toBeLessThan(0.7 * meanTicks(false));
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

  test('17: what state fixes after idleness is in force two borders later, not when the count meets the clock', () => {
    const options = { nodes: 5, members: 4, profile: 'classic' } as const;
    const world = network({ ...options, parameters: { eraUs: ERA_US } });
    feed(world, 300 * MS, 300 * MS, 4);
    const IDLE = 6;
    // Two nodes are away over the idle time and learn of it all afterwards.
    world.at(2 * S, () => world.crash(node(world, 2)));
    world.run(IDLE * ERA_US);
    world.start(node(world, 2));
    const before = world.cuts.at(-1)?.body.era ?? 0;
    const clockEra = () => Math.floor(world.timeUs / ERA_US);
    expect(clockEra()).toBeGreaterThan(before + IDLE - 2);
    // The first cut after the idle time crosses one border; in it the fifth validator bonds.
    let from = 0;
    const bond = () => {
      if ((node(world, 0).node?.era ?? 0) > before)
        from = world.fixSet(world.setOf(world.validators));
      else world.at(20 * MS, bond);
    };
    world.at(100 * MS, bond);
    feed(world, 300 * MS, 150 * MS, 120);
    world.run(16 * S);
    expect(from).toBe(before + 3);
    const joined = world.cuts.find(({ body }) => body.setHash !== world.set.hash);
    expect(joined?.body.era).toBe(from);
    // Two borders are three eras of the clock at most, however long the chain was idle.
    expect(joined?.atUs).toBeLessThan(world.timeUs - 3 * S);
    expect(world.cuts.some(({ body }) => body.entries.some(({ author }) => author === 4))).toBe(
      true,
    );
    isClean(world);
  });
});
