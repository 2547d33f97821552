/** What the scenarios of consensus share: a small network, load for it, and what must hold at its end. */
import { World, type WorldOptions } from './world.ts';

/** Four nodes and links of half a millisecond to twenty, unless said otherwise. */
export const network = (options: Partial<WorldOptions>): World =>
  new World({ seed: 1, nodes: 4, delayUs: [500, 20_000], ...options });

/** No invariant is broken, and there was something to check. */
export function isClean(world: World): void {
  expect(world.invariants.violations).toEqual([]);
  expect(world.invariants.checked).toBeGreaterThan(0);
}

/** All submitted blocks are final. */
export const allFinal = (world: World): boolean =>
  [...world.submittedAt.keys()].every((hash) => world.finalAt.has(hash));

/** A block from each node in turn. */
export function feed(world: World, fromUs: number, everyUs: number, count: number): void {
  for (let i = 0; i < count; i++)
    world.at(fromUs + i * everyUs, () => world.submit(i % world.nodes.length));
}

export function nodeOf(world: World, index: number): World['nodes'][number] {
  const found = world.nodes[index];
  if (!found) throw new Error(`there is no node ${index}`);
  return found;
}
