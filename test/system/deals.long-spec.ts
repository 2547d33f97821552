/**
 * Storage deals on real processes: a development machine with its providers and repairer, and seven more
 * providers in this process that keep their shards in a storage of their own and can be made to fail.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DEALS_CONTRACT, dealsCalls, sectorsOfChallenge, tokenAmount, tokenKeys } from '#contracts';
import { contractAccount } from '#libs/crypto';
import { createChainSender } from '#libs/deals';
import { decodeWith } from '#libs/kernel';
import { createSystemClock } from '#libs/platform';
import { blockOfSector, commitSectors, proveSector, readBlob } from '#libs/storage';
import { type DealStage, type Double, startDealStage, until } from '../support/deal-stage.ts';

const EPOCH_SECONDS = 20;
const MIB = 1024 * 1024;
const clock = createSystemClock();

let stage: DealStage;
let deal: string;
let folder: string;

const shards = () => stage.reader.shards(deal, 6);
const balanceOf = async (account: string): Promise<bigint> => {
  const bytes = await stage.node.state('token', tokenKeys.balance(account));
  return bytes ? decodeWith(tokenAmount, bytes) : 0n;
};

/** Shards of the deal that doubles hold, with who. */
async function heldByDoubles(): Promise<{ index: number; double: Double; cid: string }[]> {
  return (await shards()).flatMap(({ state, provider, cid }, index) => {
    const double = stage.doubles.find(({ signer }) => signer.account === provider);
    return state === 'held' && double && cid !== undefined ? [{ index, double, cid }] : [];
  });
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'seele-deals-'));
  stage = await startDealStage(7);
}, 240_000);

afterAll(async () => {
  await stage?.stop();
  rmSync(folder, { recursive: true, force: true });
});

describe('a deal of 4+2 shards with eight providers at its price', () => {
  const content = randomBytes(20_000_003);

  it('is placed with six of them and proven by all', async () => {
    const file = join(folder, 'content.bin');
    writeFileSync(file, content);
    const terms = ['--erasure', '4+2', '--epoch', `${EPOCH_SECONDS}s`, '--term', '30m'];
    const made = await stage.run('deal', file, ...terms, '--price', '10');
    deal = made['deal'] as string;
    expect(made).toMatchObject({ shards: 6, held: 6 });
    expect(new Set((await shards()).map(({ provider }) => provider)).size).toBe(6);
    await until('all have proven', 90, async () => (await shards()).every((s) => s.proven > 0));
  }, 240_000);

  it('is read with two providers gone, and repaired to new ones while it runs', async () => {
    const [killed, dropped] = await heldByDoubles();
    if (!killed || !dropped) throw new Error('two doubles hold shards');
    await killed.double.keeper.stop(); // never answers again
    await stage.rob(dropped.cid); // sees it, and fetches the shard again where it came from
    await stage.rob(killed.cid);
    const before = (await shards())[dropped.index]?.paidEpoch ?? 0;
    const repairer = (await stage.reader.deal(deal))?.repairer ?? '';
    const stopped = (await shards())[killed.index];
    const provenBefore = stopped?.proven ?? 0;
    const out = join(folder, 'back.bin');
    await stage.run('get', deal, '--out', out);
    expect(readFileSync(out).equals(content)).toBe(true);
    const isMoved = async () => {
      const moved = (await shards())[killed.index];
      return moved?.state === 'held' && moved.provider !== killed.double.signer.account;
    };
    await until('the repairer’s shard is accepted by another', 240, isMoved);
    const accepted = (await shards())[killed.index];
    expect(accepted?.generation).toBeGreaterThan(stopped?.generation ?? 0);
    // Its name is off the shard from the first proof on.
    expect([repairer, undefined]).toContain(accepted?.inviter);
    await until('both are proven again', 90, async () => {
      const now = await shards();
      const [moved, mended] = [now[killed.index], now[dropped.index]];
      const isProven = (moved?.proven ?? 0) > provenBefore + 1 && moved?.inviter === undefined;
      return isProven && (mended?.paidEpoch ?? 0) > before + 1;
    });
    expect(await isMoved()).toBe(true);
    expect((await shards())[killed.index]).toMatchObject({
      ...{ provider: accepted?.provider, generation: accepted?.generation, missedInRow: 0 },
    });
    const status = await stage.run('status', deal, '--check', '2');
    expect(status).toMatchObject({ held: 6, lost: [] });
  }, 360_000);

  it('is not proven with the copy of another provider: that costs all collateral', async () => {
    const [liar, other] = await heldByDoubles();
    if (!liar || !other) throw new Error('two doubles hold shards');
    await liar.double.keeper.stop();
    const sender = createChainSender(stage.node, liar.double.signer, clock);
    await until('a false proof in its epoch', 60, async () => {
      const record = await stage.reader.deal(deal);
      if (!record) return false;
      await sender.send([[dealsCalls.tick({ epochUs: record.epochUs })]]);
      const beacon = await stage.reader.beacon(record.epochUs);
      if (!beacon) return false;
      const copy = await readBlob(stage.blobs, other.cid, { maxBytes: record.shardBytes });
      const tree = await commitSectors(copy);
      const proofs = sectorsOfChallenge(record, deal, liar.index, beacon).map((sector) => {
        const at = blockOfSector(sector) * MIB;
        return proveSector(tree, sector, copy.subarray(at, at + MIB));
      });
      const call = dealsCalls.prove({ deal, index: liar.index, epoch: beacon.epoch, proofs });
      const [outcome] = await sender.send([[call]]);
      return (
        outcome?.ok === true && (await shards())[liar.index]?.lostBy === liar.double.signer.account
      );
    });
    expect((await shards())[liar.index]?.lostBy).toBe(liar.double.signer.account);
    expect((await stage.reader.deal(deal))?.fund).toBeGreaterThan(0n);
  }, 120_000);

  it('goes on when a provider’s process is killed, and ends with all money where it belongs', async () => {
    const victim = stage.machine.processes().find(({ name }) => name === 'provider-eco');
    process.kill(victim?.pid ?? 0, 'SIGKILL');
    const index = (await shards()).findIndex(({ state, provider }) =>
      stage.doubles.every(({ signer }) => signer.account !== provider && state === 'held'),
    );
    const before = (await shards())[index]?.proven ?? 0;
    await until('it proves again', 120, async () =>
      (await shards()).some(({ proven }, i) => i === index && proven > before),
    );
    await stage.run('end', deal);
    await until(
      'the deal is closed',
      180,
      async () => ((await stage.reader.deal(deal))?.closedAtUs ?? 0) > 0,
    );
    expect(await balanceOf(contractAccount(DEALS_CONTRACT))).toBe(0n);
  }, 360_000);
});
