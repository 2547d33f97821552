import fc from 'fast-check';
import { createSeededRandomness, SeeleError } from '#libs/kernel';
import { CapacityIndex } from './capacity-index.ts';
import {
  bind,
  createCluster,
  fits,
  GPUS_PER_NODE,
  modelBits,
  release,
  tryBind,
} from './cluster.ts';
import { FragmentMemo } from './fragment-memo.ts';
import { createNodeState, fragmentOf, readNodeState, typicalKinds } from './fragmentation.ts';
import { tightestGpus } from './gpus.ts';
import { createBestFitPolicy } from './policies/best-fit.ts';
import { createFgdPolicy } from './policies/fgd.ts';
import { createRandomPolicy } from './policies/random.ts';
import { SeelePolicy } from './policies/seele.ts';
import { ANY_MODEL, checkShape, createShapeTable } from './shape.ts';

const node = fc.record({
  name: fc.constant('n'),
  cpuMilli: fc.integer({ min: 0, max: 16_000 }),
  memoryMib: fc.integer({ min: 0, max: 65_536 }),
  gpuCount: fc.integer({ min: 0, max: GPUS_PER_NODE }),
  model: fc.constantFrom('', 'T4', 'G2'),
});
const nodes = fc.array(node, { minLength: 1, maxLength: 12 });
const plainShape = fc.record({
  cpuMilli: fc.integer({ min: 0, max: 8000 }),
  memoryMib: fc.integer({ min: 0, max: 16_384 }),
  modelBits: fc.constantFrom(ANY_MODEL, 1, 2, 0),
});
const shape = fc.oneof(
  plainShape.map((plain) => ({ ...plain, gpuCount: 0, gpuMilli: 0 })),
  fc
    .tuple(plainShape, fc.integer({ min: 1, max: 999 }))
    .map(([plain, gpuMilli]) => ({ ...plain, gpuCount: 1, gpuMilli })),
  fc
    .tuple(plainShape, fc.integer({ min: 1, max: 8 }))
    .map(([plain, gpuCount]) => ({ ...plain, gpuCount, gpuMilli: 1000 })),
);
const shapes = fc.array(shape, { minLength: 1, maxLength: 60 });

describe('bind and release', () => {
  it('give back exactly what was taken, and never hand out more than there is', () => {
    fc.assert(
      fc.property(nodes, shapes, fc.integer(), (specs, wanted, seed) => {
        const cluster = createCluster(specs);
        const table = createShapeTable();
        const policy = createRandomPolicy(cluster, createSeededRandomness(seed));
        const bound = [];
        for (const item of wanted) {
          const task = table.intern(item);
          const choice = policy.choose(task);
          if (!choice) continue;
          bind(cluster, choice.node, choice.gpuMask, task);
          bound.push({ task, ...choice });
        }
        for (const free of [cluster.cpuFree, cluster.memoryFree, cluster.gpuFree])
          expect(free.every((value) => value >= 0)).toBe(true);
        for (const { task, node: n, gpuMask } of bound) release(cluster, n, gpuMask, task);
        expect(cluster.cpuFree).toEqual(cluster.cpuTotal);
        expect(cluster.memoryFree).toEqual(cluster.memoryTotal);
        expect(cluster.gpuFree).toEqual(createCluster(specs).gpuFree);
      }),
      { numRuns: 60 },
    );
  });

  it('refuse what is not free and change nothing', () => {
    const cluster = createCluster([
      { name: 'n', cpuMilli: 1000, memoryMib: 1024, gpuCount: 1, model: 'T4' },
    ]);
    const table = createShapeTable();
    const plain = { cpuMilli: 600, memoryMib: 1, modelBits: ANY_MODEL };
    const half = table.intern({ ...plain, gpuCount: 1, gpuMilli: 500 });
    bind(cluster, 0, 1, half);
    expect(() => bind(cluster, 0, 1, half)).toThrow(SeeleError);
    expect(() => bind(cluster, 0, 2, half)).toThrow(SeeleError);
    expect(() => bind(cluster, 7, 1, half)).toThrow(SeeleError);
    expect(() => bind(cluster, Number.NaN, 1, half)).toThrow(SeeleError);
    expect(cluster.cpuFree[0]).toBe(400);
    release(cluster, 0, 1, half);
    expect(() => release(cluster, 0, 1, half)).toThrow(SeeleError);
  });

  it.each([
    { cpuMilli: -1 },
    { cpuMilli: Number.NaN },
    { cpuMilli: 2 ** 31 },
    { memoryMib: 0.5 },
    { gpuCount: 9, gpuMilli: 1000 },
    { gpuCount: 1, gpuMilli: 0 },
    { gpuCount: 0, gpuMilli: 5 },
    { gpuCount: 1, gpuMilli: Infinity },
  ])('refuse the shape %j', (wrong) => {
    const right = { cpuMilli: 1, memoryMib: 1, gpuCount: 0, gpuMilli: 0, modelBits: ANY_MODEL };
    expect(() => checkShape({ ...right, ...wrong })).toThrow(SeeleError);
  });

  it.each([{ cpuMilli: -1 }, { memoryMib: Number.NaN }, { gpuCount: 9 }, { gpuCount: 1.5 }])(
    'refuse the node %j',
    (wrong) => {
      const right = { name: 'n', cpuMilli: 1, memoryMib: 1, gpuCount: 0, model: '' };
      expect(() => createCluster([{ ...right, ...wrong }])).toThrow(SeeleError);
    },
  );
});

describe('policies', () => {
  const names = ['random', 'best-fit', 'fgd', 'seele', 'seele-all'] as const;
  it.each(names)('%s finds room exactly when there is some, and what it finds fits', (name) => {
    fc.assert(
      fc.property(nodes, shapes, fc.integer(), (specs, wanted, seed) => {
        const cluster = createCluster(specs);
        const table = createShapeTable();
        const tasks = wanted.map((item) => table.intern(item));
        const kinds = typicalKinds(tasks.map((task) => ({ ...task, modelText: '' })));
        const draws = createSeededRandomness(seed);
        const ranks = specs.map((_, i) => i);
        const policy = {
          random: () => createRandomPolicy(cluster, draws),
          'best-fit': () => createBestFitPolicy({ cluster, ranks }),
          fgd: () => createFgdPolicy({ cluster, ranks }, kinds),
          seele: () => new SeelePolicy({ cluster, draws, candidates: 3 }),
          'seele-all': () => new SeelePolicy({ cluster, draws, candidates: Infinity }),
        }[name]();
        for (const task of tasks) {
          policy.arrived?.(task);
          const hasRoom = specs.some((_, n) => fits(cluster, n, task));
          const choice = policy.choose(task);
          expect(choice !== undefined).toBe(hasRoom);
          if (!choice) continue;
          // Throws when it does not fit.
          bind(cluster, choice.node, choice.gpuMask, task);
          policy.changed?.(choice.node);
        }
      }),
      { numRuns: 40 },
    );
  });
});

describe('tryBind', () => {
  it('takes what is free and says so when another scheduler took it first', () => {
    const spec = { name: 'n', cpuMilli: 1000, memoryMib: 1024, gpuCount: 2, model: 'T4' };
    const cluster = createCluster([spec], true);
    expect(cluster.cpuFree.buffer).toBeInstanceOf(SharedArrayBuffer);
    const task = createShapeTable().intern({
      cpuMilli: 400,
      memoryMib: 1,
      gpuCount: 1,
      gpuMilli: 600,
      modelBits: ANY_MODEL,
    });
    expect(tryBind(cluster, 0, 1, task)).toBe(true);
    expect(tryBind(cluster, 0, 1, task)).toBe(false);
    expect(tryBind(cluster, 0, 2, task)).toBe(true);
    expect(cluster.cpuFree[0]).toBe(200);
    expect(cluster.version[0]).toBe(4);
    // While another one writes the node nothing is taken.
    Atomics.store(cluster.version, 0, 5);
    release(cluster, 0, 1, task);
    expect(tryBind(cluster, 0, 1, task)).toBe(false);
  });

  it('lets four schedulers with stale views never overcommit, whatever they choose', () => {
    fc.assert(
      fc.property(nodes, shapes, (specs, wanted) => {
        const cluster = createCluster(specs, true);
        const table = createShapeTable();
        const policies = [0, 1, 2, 3].map(
          (index) =>
            new SeelePolicy({
              cluster,
              draws: createSeededRandomness(index),
              part: { index, count: 4 },
            }),
        );
        for (const item of wanted) {
          const task = table.intern(item);
          const choices = policies.map((policy) => policy.choose(task));
          for (const choice of choices)
            if (choice) tryBind(cluster, choice.node, choice.gpuMask, task);
        }
        for (const free of [cluster.cpuFree, cluster.memoryFree, cluster.gpuFree])
          expect(free.every((value) => value >= 0)).toBe(true);
      }),
      { numRuns: 30 },
    );
  });
});

describe('FragmentMemo', () => {
  it('answers what fragmentOf answers, now and after a placement', () => {
    fc.assert(
      fc.property(nodes, shapes, (specs, wanted) => {
        const cluster = createCluster(specs);
        const table = createShapeTable();
        const tasks = wanted.map((item) => table.intern(item));
        const kinds = typicalKinds(tasks.map((task) => ({ ...task, modelText: '' })));
        const memo = new FragmentMemo(cluster, kinds, 4);
        const state = createNodeState();
        const now = (n: number) => {
          readNodeState(cluster, n, state);
          return fragmentOf(state, kinds);
        };
        for (const [i, task] of tasks.entries()) {
          const n = i % specs.length;
          expect(memo.now(n)).toBe(now(n));
          if (!fits(cluster, n, task)) continue;
          const gpuMask = tightestGpus(cluster, n, task);
          const expected = memo.after(n, task.cpuMilli, gpuMask, task.gpuMilli);
          bind(cluster, n, gpuMask, task);
          memo.changed(n);
          expect(now(n)).toBe(expected);
        }
      }),
      { numRuns: 40 },
    );
  });
});

describe('CapacityIndex', () => {
  it('gives only machines with room, each once', () => {
    fc.assert(
      fc.property(nodes, shape, fc.integer({ min: 1, max: 20 }), (specs, wanted, most) => {
        const cluster = createCluster(specs);
        const task = createShapeTable().intern(wanted);
        const into = new Int32Array(most);
        const index = new CapacityIndex(cluster);
        const found = into.slice(0, index.sample(task, most, createSeededRandomness(1), into));
        expect(new Set(found).size).toBe(found.length);
        expect(found.every((n) => fits(cluster, n, task))).toBe(true);
        expect(found.length > 0).toBe(specs.some((_, n) => fits(cluster, n, task)));
      }),
      { numRuns: 100 },
    );
  });
});

describe('models', () => {
  it('hold a task to the machines it names', () => {
    const base = { name: 'n', cpuMilli: 1000, memoryMib: 1024, gpuCount: 1 };
    const cluster = createCluster([
      { ...base, model: 'T4' },
      { ...base, model: 'G2' },
    ]);
    const bits = modelBits(cluster, ['G2', 'A10']);
    const plain = { cpuMilli: 1, memoryMib: 1, gpuCount: 1, gpuMilli: 1000 };
    const task = createShapeTable().intern({ ...plain, modelBits: bits });
    expect([fits(cluster, 0, task), fits(cluster, 1, task)]).toEqual([false, true]);
    expect(modelBits(cluster, ['H100'])).toBe(0);
  });
});
