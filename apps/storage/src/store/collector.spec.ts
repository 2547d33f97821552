/** Generated histories of adds, unpins and collections at once, cut off anywhere and opened again. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import fc from 'fast-check';
import { blockCid, parseCid } from '#libs/storage';
import type { CID } from 'multiformats/cid';

import { createCollector } from './collector.ts';
import { openDurableBlockstore } from './durable-blockstore.ts';
import { openPinLog } from './pin-log.ts';

const block = async (text: string) => {
  const bytes = Buffer.from(text);
  return { bytes, cid: await blockCid(bytes) };
};

/** What is collected at once if it may be: everything is old. */
const GRACE_MS = -1_000;
const LEAVES = ['a', 'b', 'c', 'd'];

async function openIn(folder: string) {
  const store = await openDurableBlockstore(folder);
  const pins = await openPinLog(join(folder, 'pins.log'), parseCid);
  // A root is a list of the CIDs of its leaves; a block that is missing is an error.
  async function* walk(root: CID): AsyncGenerator<CID> {
    const bytes = await store.read(root);
    if (bytes === undefined) throw new Error(`lost: root ${root.toString()}`);
    yield root;
    for (const leaf of JSON.parse(Buffer.from(bytes).toString()) as string[]) {
      if (!(await store.has(parseCid(leaf)))) throw new Error(`lost: leaf ${leaf}`);
      yield parseCid(leaf);
    }
  }
  const collector = createCollector({ store, pins, walk, parse: parseCid, graceMs: GRACE_MS });
  return { store, pins, walk, collector };
}

const adding = fc.record({
  leaves: fc.uniqueArray(fc.constantFrom(...LEAVES), { minLength: 1 }),
  /** Milliseconds before it begins, and after each of its steps: time for a collection. */
  after: fc.nat(20),
  slow: fc.nat(6),
  isUnpinned: fc.boolean(),
});
type Adding = typeof adding extends fc.Arbitrary<infer T> ? T : never;

async function play(adds: readonly Adding[], cutAfter: number): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'seele-collector-'));
  try {
    const { store, pins, collector } = await openIn(folder);
    let isCut = false;
    let steps = 0;
    const step = async (pauseMs: number) => {
      if (++steps >= cutAfter) isCut = true;
      await sleep(pauseMs);
    };
    /** Roots whose pin was acknowledged and that nobody takes off. */
    const promised = new Map<string, CID>();
    let collected = 0;
    const add = async ({ leaves, after, slow, isUnpinned }: Adding, i: number) => {
      await sleep(after);
      const parts = await Promise.all(leaves.map(block));
      const root = await block(JSON.stringify(parts.map(({ cid }) => cid.toString())));
      const guard = collector.guard();
      for (const { cid, bytes } of [...parts, root]) {
        if (isCut) return;
        guard.touch(cid);
        await store.put(cid, bytes);
        await step(slow);
      }
      if (isCut) return;
      await pins.set(root.cid, 'recursive', `${i}`);
      guard.end();
      const name = root.cid.toString();
      if (!isUnpinned) promised.set(name, root.cid);
      await step(slow);
      if (isUnpinned && !isCut && !promised.has(name)) await pins.remove(root.cid);
    };
    const collecting = async () => {
      while (!isCut) {
        for await (const _ of collector.collect()) {
          collected++;
          if (isCut) return;
        }
        await sleep(1);
      }
    };
    // Two adds of the same root may unpin one another: each set of leaves is added by one.
    const unique = [...new Map(adds.map((one) => [one.leaves.join(), one])).values()];
    const added = Promise.all(unique.map(add)).then(() => void (isCut = true));
    await Promise.all([collecting(), added]);

    await pins.close();

    const again = await openIn(folder);
    for (const root of promised.values()) for await (const _ of again.walk(root));
    const needed = await again.collector.marked();
    for await (const _ of again.collector.collect()) collected++;
    const left: string[] = [];
    for await (const { key } of again.store.blocks()) left.push(key);
    expect(new Set(left)).toEqual(needed);
    await again.pins.close();
    return collected;
  } finally {
    await rm(folder, { recursive: true });
  }
}

describe('collections while content is added', () => {
  it('lose nothing that was pinned, and leave nothing that was not, wherever they are cut off', async () => {
    let collected = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(adding, { minLength: 3, maxLength: 8 }),
        fc.integer({ min: 5, max: 60 }),
        async (adds, cutAfter) => {
          collected += await play(adds, cutAfter);
        },
      ),
      { numRuns: 15 },
    );
    expect(collected).toBeGreaterThan(0);
  });
});
