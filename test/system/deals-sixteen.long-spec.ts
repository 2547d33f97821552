/** Storage deals in their full shape, 10+6, on the providers of twenty-three operators, of whom six are gone at once. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ShardRecord } from '#contracts';
import { type DealStage, startDealStage, until } from '../support/deal-stage.ts';

const SHARDS = 16;
const GONE = 6;
const EPOCH_SECONDS = 40;

let stage: DealStage;
let folder: string;
let deal: string;
const content = randomBytes(25_000_007);

const shards = () => stage.reader.shards(deal, SHARDS);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'seele-deals-'));
  stage = await startDealStage(22);
}, 300_000);

afterAll(async () => {
  await stage?.stop();
  rmSync(folder, { recursive: true, force: true });
});

describe('a deal of 10+6', () => {
  it('is kept by sixteen different providers, and each of them proves it', async () => {
    const file = join(folder, 'content.bin');
    writeFileSync(file, content);
    const terms = ['--erasure', '10+6', '--epoch', `${EPOCH_SECONDS}s`, '--term', '40m'];
    const made = await stage.run('deal', file, ...terms, '--price', '10');
    deal = made['deal'] as string;
    expect(made).toMatchObject({ shards: SHARDS, held: SHARDS });
    expect(new Set((await shards()).map(({ provider }) => provider)).size).toBe(SHARDS);
    await until('all have proven', 240, async () => (await shards()).every((s) => s.proven > 0));
  }, 600_000);

  it('is read when six of them are gone at once, and whole again by itself', async () => {
    const before = await shards();
    const gone = before.flatMap(({ provider, cid, generation }, index) => {
      const double = stage.doubles.find(({ signer }) => signer.account === provider);
      return double && cid !== undefined ? [{ index, double, cid, generation }] : [];
    });
    const victims = gone.slice(0, GONE);
    expect(victims).toHaveLength(GONE);
    await Promise.all(victims.map(({ double }) => double.keeper.stop()));
    for (const { cid } of victims) await stage.rob(cid);
    const out = join(folder, 'back.bin');
    await stage.run('get', deal, '--out', out);
    expect(readFileSync(out).equals(content)).toBe(true);

    const dead = new Set(victims.map(({ double }) => double.signer.account));
    const isMoved = ({ state, provider }: ShardRecord) =>
      state === 'held' && !dead.has(provider ?? '');
    await until('all six are found to be gone', 600, async () =>
      (await shards()).every(({ provider }) => !dead.has(provider ?? '')),
    );
    // By itself a repairer sees to it that two more than are needed are kept; the rest at a word.
    await until(
      'twelve are kept again',
      300,
      async () => (await shards()).filter(isMoved).length >= 12,
    );
    await until('all sixteen are kept', 300, async () => {
      await stage.run('repair', deal);
      return (await shards()).every(isMoved);
    });
    await until('what was lost is proven by others', 300, async () => {
      const now = await shards();
      return victims.every(({ index, generation }) => {
        const shard = now[index];
        return shard && shard.generation > generation && shard.proven > 0;
      });
    });
    const after = await shards();
    expect(new Set(after.map(({ provider }) => provider)).size).toBe(SHARDS);
    const status = await stage.run('status', deal, '--check', '3');
    expect(status).toMatchObject({ held: SHARDS, lost: [] });
    // Each of the dead lost its collateral to the deal: repairs are paid from it.
    expect((await stage.reader.deal(deal))?.fund).toBeGreaterThan(0n);
    // Those that never failed were paid for every epoch that they proved.
    for (const [index, shard] of after.entries())
      if (!victims.some((victim) => victim.index === index))
        expect(shard.proven).toBeGreaterThan(before[index]?.proven ?? 0);
  }, 1_200_000);
});
