/** Sets above 64 validators: sampled ticks, availability certificates, votes added up by leaders. */
import { World } from './eda/world.ts';

const MS = 1000;

test('66 validators, three in ten seated: final in view 0; a tick is heard of the seated, votes are linear', () => {
  const nodes = 66;
  const world = new World({
    seed: 1,
    nodes,
    bls: true,
    delayUs: [500, 20_000],
    parameters: { samplingPerMille: 300 },
  });
  for (let i = 0; i < 4; i++) world.at(500 * MS + i * 20 * MS, () => world.submit(i * 16));
  world.run(1300 * MS);
  expect(world.invariants.violations).toEqual([]);
  expect(world.finalAt.size).toBe(4);
  for (const { certificate } of world.cuts) {
    expect(certificate.view).toBe(0);
    expect(certificate.votes).toEqual([]);
    expect(certificate.aggregate?.signers.length).toBe(9);
  }
  const of = (kind: string) => world.messagesByKind.get(kind) ?? 0;
  const cuts = world.cuts.length;
  // Busy for some 16 ticks; without sampling each would be 66 · 65 messages.
  expect(of('tick')).toBeLessThan(26 * 0.5 * nodes * (nodes - 1));
  for (const kind of ['prepare', 'commit']) expect(of(kind)).toBeLessThan(3 * cuts * nodes);
  expect(of('certified')).toBeLessThan(6 * cuts * nodes);
  expect(of('ack')).toBeLessThan(3 * 4 * nodes);
});
