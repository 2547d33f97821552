import fc from 'fast-check';
import { isSeeleError } from '#libs/kernel';
import { blockCid } from '#libs/storage';

import { carHeader, carSection, readCar } from './car.ts';

async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function read(bytes: Uint8Array, size: number) {
  const { roots, blocks } = await readCar(pieces(bytes, size));
  const out: string[] = [];
  for await (const block of blocks) out.push(Buffer.from(block.bytes).toString('hex'));
  return { roots: roots.map(String), blocks: out };
}

async function carOf(contents: readonly Uint8Array[]) {
  const blocks = await Promise.all(
    contents.map(async (bytes) => ({ cid: await blockCid(bytes), bytes })),
  );
  const roots = blocks.slice(0, 1).map(({ cid }) => cid);
  return Buffer.concat([carHeader(roots), ...blocks.map(carSection)]);
}

describe('CAR version 1', () => {
  it('reads back what it writes, however the bytes arrive', async () => {
    const contents = fc.array(fc.uint8Array({ maxLength: 300 }), { minLength: 1, maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(contents, fc.integer({ min: 1, max: 500 }), async (blocks, size) => {
        const got = await read(await carOf(blocks), size);
        expect(got.blocks).toEqual(blocks.map((bytes) => Buffer.from(bytes).toString('hex')));
      }),
      { numRuns: 60 },
    );
  });

  it('never accepts a changed byte of a block, and throws nothing but its own errors', async () => {
    const car = await carOf([Buffer.from('one block'), Buffer.from('another')]);
    const original = await read(car, 64);
    expect(original.blocks).toHaveLength(2);
    for (let at = 0; at < car.length; at++) {
      const changed = Buffer.from(car);
      changed[at] = (changed[at] as number) ^ 1;
      const got = await read(changed, 64).catch((error: unknown) => {
        if (!isSeeleError(error)) throw error;
        return undefined;
      });
      // A changed codec renames the block; its bytes still are what its hash says.
      expect(got?.blocks ?? original.blocks).toEqual(original.blocks);
    }
  });
});
