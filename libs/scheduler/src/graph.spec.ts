import fc from 'fast-check';
import { SeeleError } from '#libs/kernel';
import { criticalPathMs, graphLayers } from './graph.ts';

/** Tasks that only wait for earlier ones, then shuffled. */
const acyclic = fc
  .array(fc.array(fc.nat(30), { maxLength: 4 }), { minLength: 1, maxLength: 30 })
  .map((lists) =>
    lists.map((list, i) => ({
      name: `t${i}`,
      after: i === 0 ? [] : list.map((n) => `t${n % i}`),
    })),
  )
  .chain((tasks) => fc.shuffledSubarray(tasks, { minLength: tasks.length }));

describe('graphLayers', () => {
  it('puts every task once, after all it waits for', () => {
    fc.assert(
      fc.property(acyclic, (tasks) => {
        const layers = graphLayers(tasks);
        const layerOf = new Map(layers.flatMap((layer, i) => layer.map((name) => [name, i])));
        expect(layers.flat().toSorted()).toEqual(tasks.map(({ name }) => name).toSorted());
        for (const { name, after } of tasks)
          for (const other of after)
            expect(layerOf.get(other)).toBeLessThan(layerOf.get(name) ?? -1);
        expect(criticalPathMs(tasks, () => 1)).toBe(layers.length);
      }),
      { numRuns: 100 },
    );
  });

  it('names the cycle', () => {
    const tasks = [
      { name: 'end', after: ['a'] },
      { name: 'a', after: ['b'] },
      { name: 'b', after: ['c'] },
      { name: 'c', after: ['a'] },
    ];
    expect(() => graphLayers(tasks)).toThrow('a after b after c after a');
    expect(() => graphLayers([{ name: 'self', after: ['self'] }])).toThrow('self after self');
  });

  it('refuses unknown and repeated names', () => {
    expect(() => graphLayers([{ name: 'a', after: ['x'] }])).toThrow(SeeleError);
    expect(() =>
      graphLayers([
        { name: 'a', after: [] },
        { name: 'a', after: [] },
      ]),
    ).toThrow('two');
  });

  it('adds up the longest chain', () => {
    const tasks = [
      { name: 'a', after: [] },
      { name: 'b', after: ['a'] },
      { name: 'c', after: ['a'] },
      { name: 'd', after: ['b', 'c'] },
    ];
    const runMs = { a: 1, b: 10, c: 5, d: 2 };
    expect(criticalPathMs(tasks, (name) => runMs[name as keyof typeof runMs])).toBe(13);
  });
});
