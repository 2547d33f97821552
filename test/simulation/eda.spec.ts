import { type Body, type EdaMessage, decodeMessage, encodeMessage, toleranceOf } from '#libs/eda';
import { ADVERSARIES } from './eda/adversaries.ts';
import { runCompact, worstRounds } from './eda/compact.ts';
import { exploreSlot } from './eda/exhaustive.ts';
import { Invariants } from './eda/invariants.ts';
import { pbftReport, readSimEdaArguments } from './eda/main.ts';
import { MUTANTS, catchMutant } from './eda/mutants.ts';
import { runPbft } from './eda/pbft.ts';
import { minimise, runSeed } from './eda/run-seed.ts';
import { runFull, simulateEda } from './eda/simulate.ts';
import { allFinal, isClean, network } from './eda/scenario.ts';

const MS = 1000;
const S = 1_000_000;

describe('seeds: random networks, faults, liars', () => {
  test('12 seeds keep every invariant; views change and nodes die in them', () => {
    const results = Array.from({ length: 12 }, (_, i) => runSeed({ seed: i + 1 }));
    expect(results.flatMap(({ violations }) => violations)).toEqual([]);
    const sum = (pick: (r: (typeof results)[number]) => number) =>
      results.reduce((total, result) => total + pick(result), 0);
    expect(sum(({ checked }) => checked)).toBeGreaterThan(2_000);
    expect(sum(({ viewsBeyondFirst }) => viewsBeyondFirst)).toBeGreaterThan(0);
    expect(sum(({ crashes }) => crashes)).toBeGreaterThan(0);
    expect(new Set(results.map(({ adversary }) => adversary)).size).toBeGreaterThan(3);
  });

  test('one seed replays byte for byte, another does not', () => {
    const first = runSeed({ seed: 9 });
    expect(runSeed({ seed: 9 })).toEqual(first);
    expect(runSeed({ seed: 10 }).traceHash).not.toBe(first.traceHash);
  });

  test('the same through the codecs, with keyed hashes over real bytes', () => {
    for (const seed of [1, 2, 3]) {
      const result = runSeed({ seed, nodes: 4, wire: true, faultUs: 1 * S });
      expect(result.violations).toEqual([]);
      expect(result.cuts).toBeGreaterThan(0);
    }
  });

  test('a failing seed is made small and told step by step', () => {
    const broken = {
      rules: { fullQuorum: false },
      nodes: 4,
      profile: 'classic',
    } as const;
    const seed = Array.from({ length: 40 }, (_, i) => i + 20).find(
      (one) => runSeed({ seed: one, ...broken }).violations[0]?.invariant === 'one cut per slot',
    );
    expect(seed).toBeDefined();
    const small = minimise({ seed: seed as number, ...broken });
    expect(small?.trace.length).toBeGreaterThan(0);
    expect(small?.violation.invariant).toBe('one cut per slot');
  });
});

describe('rules broken one at a time are noticed', () => {
  test.each(MUTANTS.map(({ name }) => name))('%s', (name) => {
    const mutant = MUTANTS.find((one) => one.name === name);
    const caught = mutant && catchMutant(mutant, 1, 40);
    expect(caught?.seed).not.toBeNull();
  });
});

describe('every course of one slot and two views at W = 4', () => {
  test('two decisions are unreachable; without the lock or with late COMMITs they are not', () => {
    const sound = exploreSlot();
    expect(sound.fork).toBeUndefined();
    expect(sound.states).toBeGreaterThan(10_000);
    expect(exploreSlot({ lockInNewView: false }).fork).toBeDefined();
    expect(exploreSlot({ noCommitAfterNewView: false }).fork).toBeDefined();
  });

  test('16: one validator that forgot and one that lies are two too many at r = 1', () => {
    expect(exploreSlot({}, { forgets: true }).fork?.join()).toMatch(/loses its journal/);
  });
});

describe('scenarios', () => {
  test('1: ten nodes, four killed: final; five killed: tentative; return: at most two cuts', () => {
    const world = network({ nodes: 10 });
    for (const sim of world.nodes.slice(0, 4)) world.crash(sim);
    world.at(1 * S, () => world.submit(5));
    world.run(4 * S);
    expect(allFinal(world)).toBe(true);
    const [, , , , fifth, alive] = world.nodes;
    if (!fifth || !alive) throw new Error('ten nodes');
    world.crash(fifth);
    const before = world.cuts.length;
    for (let i = 0; i < 5; i++) world.at(i * 10 * MS, () => world.submit(5 + i));
    world.run(5 * S);
    expect(world.cuts.length).toBe(before);
    // Their order goes on meanwhile at those who acknowledged, waiting for weight Q.
    expect(alive.node?.positions.entries(0).length).toBe(5);
    world.start(fifth);
    world.run(8 * S);
    expect(allFinal(world)).toBe(true);
    expect(world.cuts.length).toBeLessThanOrEqual(before + 2);
    expect(world.invariants.inversions()).toBe(0);
    isClean(world);
  });

  test('2: four nodes without faults: first cut within a second', () => {
    const world = network({});
    world.at(1 * S, () => world.submit(0));
    world.run(2 * S);
    expect(allFinal(world)).toBe(true);
    isClean(world);
  });

  test.each([5, 6])(
    '3: ten nodes cut into %i and the rest, blocks in flight: all resume',
    (part) => {
      const world = network({ nodes: 10 });
      for (let i = 0; i < 20; i++) world.at(500 * MS + i * 60 * MS, () => world.submit(i % 10));
      world.at(800 * MS, () => {
        world.isLinked = (from, to) => from < part === to < part;
      });
      world.at(1800 * MS, () => {
        world.isLinked = () => true;
      });
      world.run(8 * S);
      expect(allFinal(world)).toBe(true);
      expect(
        Math.max(...world.cuts.map(({ certificate }) => certificate.view)),
      ).toBeLessThanOrEqual(4);
      isClean(world);
    },
  );

  test('4: positions never converge: cuts are derived', () => {
    const world = network({});
    world.intercept = (_from, _to, { kind }) => (kind === 'tick' ? 120 * MS : 0);
    for (let i = 0; i < 6; i++) world.at(500 * MS + i * 400 * MS, () => world.submit(i % 4));
    world.run(10 * S);
    expect(allFinal(world)).toBe(true);
    expect(world.cuts.some(({ certificate }) => certificate.view > 0)).toBe(true);
    isClean(world);
  });

  test('7, 10: a lock at one node, told last: the cut is kept', () => {
    const world = network({ profile: 'classic' });
    world.intercept = (_from, to, message) => {
      if (message.kind === 'commit' && message.message.view === 0) return undefined;
      return message.kind === 'prepare' && message.message.view === 0 && to !== 2 ? undefined : 0;
    };
    world.intercept = ((inner) => (from: number, to: number, message: EdaMessage) => {
      if (message.kind === 'newview' && from === 2) return 200 * MS;
      return inner(from, to, message);
    })(world.intercept);
    for (let i = 0; i < 4; i++) world.at(1 * S, () => world.submit(i));
    world.run(8 * S);
    expect(allFinal(world)).toBe(true);
    expect(Math.max(...world.cuts.map(({ certificate }) => certificate.view))).toBeLessThanOrEqual(
      4,
    );
    isClean(world);
  });

  test.each(Object.keys(ADVERSARIES))('8, 9, 11, 12, 22: r validators: %s', (name) => {
    const behaviour = ADVERSARIES[name];
    if (!behaviour) throw new Error(name);
    const world = network({
      nodes: 7,
      profile: 'classic',
      behaviours: new Map([
        [0, behaviour],
        [3, behaviour],
      ]),
    });
    for (let i = 0; i < 14; i++) world.at(500 * MS + i * 100 * MS, () => world.submit(i % 7));
    world.run(10 * S);
    world.invariants.atEnd(world.timeUs, world.timeUs - 4 * S);
    expect(world.cuts.length).toBeGreaterThan(1);
    isClean(world);
  });

  test('13: u − r crashed and r acknowledge nothing: blocks become available', () => {
    const { silent } = ADVERSARIES;
    if (!silent) throw new Error('silent');
    const world = network({ nodes: 10, behaviours: new Map([[9, silent]]) });
    for (const sim of world.nodes.slice(0, 3)) world.crash(sim);
    world.at(1 * S, () => world.submit(4));
    world.run(8 * S);
    expect(allFinal(world)).toBe(true);
    isClean(world);
  });

  test('14: clocks of four of ten one second off: finality goes on', () => {
    const world = network({ nodes: 10, clockUs: (node) => (node < 4 ? (node % 2 ? S : -S) : 0) });
    world.invariants.checksPositions = false;
    for (let i = 0; i < 10; i++) world.at(2 * S + i * 100 * MS, () => world.submit(i));
    world.run(14 * S);
    expect(allFinal(world)).toBe(true);
    isClean(world);
  });

  test('15: all nodes killed at once in the middle of voting, 25 times', () => {
    const world = network({ profile: 'classic' });
    for (let i = 0; i < 25; i++) {
      world.at(300 * MS + i * 200 * MS, () => world.submit(i % 4));
      world.at(500 * MS + i * 230 * MS, () => {
        for (const sim of world.nodes) sim.crashIn = world.random.below(5);
      });
      world.at(520 * MS + i * 230 * MS, () => {
        for (const sim of world.nodes) {
          world.crash(sim);
          world.start(sim);
        }
      });
    }
    world.run(7 * S);
    world.at(100 * MS, () => world.submit(0));
    world.run(8 * S);
    world.invariants.atEnd(world.timeUs, world.timeUs - 5 * S);
    expect(world.cuts.length).toBeGreaterThan(1);
    isClean(world);
  });

  test('17, 19: eras end while blocks are open; positions across 2^32 µs', () => {
    const border = Math.ceil(1_900_000_000_000_000 / 2 ** 32) * 2 ** 32;
    const world = network({ genesisTimeUs: border - 2 * S });
    for (let i = 0; i < 20; i++) world.at(500 * MS + i * 150 * MS, () => world.submit(i % 4));
    world.run(9 * S);
    const eras = new Set(world.cuts.map(({ body }) => body.era));
    expect(eras.size).toBe(2);
    expect(allFinal(world)).toBe(true);
    isClean(world);
  });

  test('21: an idle chain makes no cut and ticks once a second', () => {
    const world = network({});
    world.run(10 * S);
    expect(world.cuts).toEqual([]);
    expect(world.messages).toBeLessThan(4 * 3 * 12);
  });

  test('24: twins, one key in two processes with u − 1 others down', () => {
    // The doubled validator may lie: its two halves are one liar with two mouths.
    const { equivocator } = ADVERSARIES;
    if (!equivocator) throw new Error('equivocator');
    const doubled = network({
      nodes: 10,
      profile: 'classic',
      behaviours: new Map([[0, equivocator]]),
    });
    for (const sim of doubled.nodes.slice(1, 3)) doubled.crash(sim);
    for (let i = 0; i < 10; i++)
      doubled.at(500 * MS + i * 100 * MS, () => doubled.submit(3 + (i % 7)));
    doubled.run(8 * S);
    expect(doubled.cuts.length).toBeGreaterThan(0);
    isClean(doubled);
  });
});

describe('Layer A in compact form', () => {
  const base = {
    nodes: 400,
    byzantine: 0,
    mode: 'committee',
    seats: 120,
    samplingRate: 0.1,
    epsilonUs: 128,
    spreadUs: 128e5,
    failed: 0,
    linksLost: 0,
  } as const;

  test('full coverage: one round; half of the links lost and 40 % down: few', () => {
    expect(worstRounds(base, [1, 2]).rounds).toBe(1);
    const lossy = worstRounds({ ...base, failed: 0.4, linksLost: 0.5 }, [1, 2]).rounds;
    expect(lossy).toBeGreaterThan(2);
    expect(lossy).toBeLessThanOrEqual(8);
  });

  test('equivocators stall it for ever, unless they are proven', () => {
    const liars = {
      ...base,
      byzantine: 0.19,
      failed: 0.21,
      linksLost: 0.3,
      seats: 200,
      adversary: 'equivocate',
      liarsLose: false,
    } as const;
    expect(runCompact({ ...liars, evidence: false, seed: 1 }).rounds).toBeNull();
    expect(runCompact({ ...liars, seed: 1 }).rounds).toBeLessThanOrEqual(12);
  });

  test('agrees with the full simulation: 16 nodes without loss are one round apart', () => {
    const full = runFull(
      { ...base, nodes: 16, adversary: 'none', profile: 'seele-40', blocks: 4, seeds: [1] },
      'none',
      1,
    );
    expect(full.finalityMs.length).toBe(4);
    expect(full.world.cuts.every(({ certificate }) => certificate.view === 0)).toBe(true);
    const compact = runCompact({
      ...base,
      nodes: 16,
      seats: 16,
      trim: toleranceOf('seele-40', 16).lying,
      seed: 1,
    });
    expect(compact.rounds).toBe(1);
  });
});

describe('PBFT baseline', () => {
  const options = {
    nodes: 7,
    failed: 0,
    linksLost: 0,
    blocks: 5,
    seed: 1,
    delayUs: [1000, 20_000],
  } as const;

  test('exactly 2n(n − 1) votes per block', () => {
    const { votes, decided } = runPbft(options);
    expect(votes / decided).toBe(2 * 7 * 6);
  });

  test('changes views below a third, orders nothing above, never forks', () => {
    const below = runPbft({ ...options, failed: 0.28, linksLost: 0.02 });
    expect(below.decided).toBe(5);
    expect(below.violations).toBe(0);
    expect(runPbft({ ...options, failed: 0.43 }).decided).toBe(0);
  });
});

describe('seele sim eda', () => {
  test('40 % of ten down: final; 50 %: the order stays tentative, with the reason', () => {
    const read = readSimEdaArguments(['eda', '--nodes', '10', '--failed', '0.4', '--blocks', '4']);
    const report = simulateEda(read.options);
    expect(report).toMatchObject({ violations: 0, rounds: 1 });
    expect(report.finalityMs).toBeGreaterThan(0);
    const half = simulateEda({ ...read.options, failed: 0.5 });
    expect(half.finalityMs).toBeNull();
    expect(half.skipped['finalityMs']).toMatch(/tentative/);
  });

  test('PBFT with separate dissemination: the leader spreads names only, and orders what all offer', () => {
    const rate = (...args: string[]) => {
      const read = readSimEdaArguments(['pbft', '--nodes', '16', ...args]);
      return pbftReport(read.options, read.links).tps ?? 0;
    };
    const spread = rate('--dissemination', '--batch', '300', '--every-ms', '400', '--seconds', '2');
    // 15 copies of 250 bytes through one uplink of 100 Mbit/s: 3 333 a second; offered: 12 000.
    expect(rate('--mbit', '100', '--batch', '2000', '--blocks', '4')).toBeLessThan(3600);
    expect(spread).toBeGreaterThan(9000);
  });

  test('wrong usage is told', () => {
    for (const [args, words] of [
      [['tower'], 'eda or pbft'],
      [['eda', '--failed', '2'], '--failed is a fraction from 0 to 1, not "2"'],
      [['eda', '--nodes', '1.5'], '--nodes is a whole number from 4 to 1000000, not "1.5"'],
      [['eda', '--adversary', 'nobody'], 'not "nobody"'],
      [['eda', '--x'], "Unknown option '--x'"],
      [['eda', '--dissemination'], 'are of sim pbft'],
    ] as const)
      expect(() => readSimEdaArguments(args)).toThrow(words);
  });
});

test('claim (b): blocks held far apart and ordered the other way round are noticed', () => {
  const world = network({});
  const invariants = new Invariants(world.set, 128);
  const chain = 'cc'.repeat(32);
  const held = (author: number, x0: number) => {
    const message = { chain, era: 0, author, seq: 1, prevOwn: chain, txRoot: chain, count: 1 };
    const block = {
      from: author,
      message,
      signature: new Uint8Array(64),
      payload: new Uint8Array(1),
    };
    const hash = `${author}${author}`.repeat(32);
    for (const node of [0, 1, 2, 3])
      invariants.onHeld(node, { kind: 'block', block, x0 }, hash, true);
    return { era: 0, author, seq: 1, hash };
  };
  const [early, late] = [held(1, 10_000), held(2, 20_000)];
  const entries = [
    { ...late, raw: 20_000, pos: 20_000 },
    { ...early, raw: 20_001, pos: 20_001 },
  ];
  const body = { slot: 1, timeUs: 30_000, entries } as unknown as Body;
  invariants.onDecided(0, body, { view: 0, hash: chain, votes: [] }, 1);
  const before = invariants.violations.length;
  invariants.orderAfter(15_000, 1);
  expect(invariants.violations.length).toBe(before);
  invariants.orderAfter(0, 1);
  expect(invariants.violations.at(-1)?.invariant).toBe('well separated blocks in order');
});

test('messages that fly in a run come back from their bytes', () => {
  const world = network({ wire: true });
  const kinds = new Set<string>();
  world.intercept = (_from, _to, message) => {
    kinds.add(message.kind);
    const bytes = encodeMessage(message);
    expect(encodeMessage(decodeMessage(bytes))).toEqual(bytes);
    return message.kind === 'commit' && message.message.slot === 1 && message.message.view === 0
      ? undefined
      : 0;
  };
  for (let i = 0; i < 6; i++) world.at((i + 1) * 500 * MS, () => world.submit(i % 4));
  world.run(5 * S);
  for (const kind of ['block', 'tick', 'proposal', 'prepare', 'commit', 'newview', 'attest'])
    expect(kinds).toContain(kind);
});
