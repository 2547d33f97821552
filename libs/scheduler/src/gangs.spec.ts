import fc from 'fast-check';
import { createSeededRandomness } from '#libs/kernel';
import { createCluster } from './cluster.ts';
import { placeGang, releaseGang } from './gangs.ts';
import { SeelePolicy } from './policies/seele.ts';
import { ANY_MODEL, createShapeTable } from './shape.ts';

describe('placeGang', () => {
  it('binds all members or takes nothing', () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 5 }), {
          maxLength: 12,
        }),
        fc.integer(),
        (gangs, seed) => {
          const node = { name: 'n', cpuMilli: 4000, memoryMib: 4096, gpuCount: 4, model: 'T4' };
          const cluster = createCluster([node, node, node]);
          const policy = new SeelePolicy({ cluster, draws: createSeededRandomness(seed) });
          const table = createShapeTable();
          const held = [];
          for (const gang of gangs) {
            const shapes = gang.map((gpuCount) =>
              table.intern({
                cpuMilli: gpuCount * 1000,
                memoryMib: 1,
                gpuCount,
                gpuMilli: 1000,
                modelBits: ANY_MODEL,
              }),
            );
            const before = cluster.gpuFree.slice();
            const places = placeGang(cluster, policy, shapes);
            if (places) {
              expect(places.map(({ shape }) => shape)).toEqual(shapes);
              held.push(places);
            } else expect(cluster.gpuFree).toEqual(before);
          }
          for (const places of held) releaseGang(cluster, policy, places);
          expect(cluster.cpuFree).toEqual(cluster.cpuTotal);
        },
      ),
      { numRuns: 50 },
    );
  });
});
