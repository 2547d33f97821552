/**
 * Storage deals while their processes are killed (SIGKILL): a provider at each place of taking, proving and
 * dropping shards, the repairer at each step of a repair. The machine starts them again. Afterwards every
 * shard is kept and proven, every proof is paid once, and nothing is kept that no deal asks for.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DEALS_CONTRACT, dealsCalls, tokenAmount, tokenKeys } from '#contracts';
import { contractAccount } from '#libs/crypto';
import { createChainSender } from '#libs/deals';
import { decodeWith } from '#libs/kernel';
import { createSystemClock } from '#libs/platform';
import { type DealStage, startDealStage, until } from '../support/deal-stage.ts';
import { REPAIR_PLACES } from './failpoint-list.ts';

const SHARDS = 4;
const DOUBLES = 7;
const EPOCH_SECONDS = 20;
const clock = createSystemClock();

let stage: DealStage;
let folder: string;
let armed: string;
const made: { readonly deal: string; readonly content: Buffer; readonly cids: Set<string> }[] = [];

/** Whoever comes there next dies. */
function arm(place: string): void {
  rmSync(`${armed}.struck`, { force: true });
  writeFileSync(`${armed}.new`, `${place}=kill`);
  renameSync(`${armed}.new`, armed);
}

/** Until a process died where it was to; then nobody else does. */
async function struck(place: string, seconds: number): Promise<void> {
  await until(`death at ${place}`, seconds, async () => existsSync(`${armed}.struck`));
  rmSync(armed, { force: true });
}

const shardsOf = (deal: string) => stage.reader.shards(deal, SHARDS);

async function makeDeal(): Promise<(typeof made)[number]> {
  const content = randomBytes(3_000_000 + made.length);
  const file = join(folder, `content-${made.length}.bin`);
  writeFileSync(file, content);
  const terms = ['--erasure', '2+2', '--epoch', `${EPOCH_SECONDS}s`, '--term', '40m'];
  const answer = await stage.run('deal', file, ...terms, '--price', '10', '--timeout', '150');
  expect(answer).toMatchObject({ shards: SHARDS, held: SHARDS });
  const one = { deal: answer['deal'] as string, content, cids: new Set<string>() };
  made.push(one);
  return one;
}

/** What a deal's shards are called now, to look for later. */
async function note({ deal, cids }: (typeof made)[number]): Promise<void> {
  for (const { cid } of await shardsOf(deal)) if (cid !== undefined) cids.add(cid);
}

/** Each shard is kept, and proves itself from now on. */
async function isWhole(one: (typeof made)[number]): Promise<void> {
  const before = await shardsOf(one.deal);
  await until('all shards prove', 150, async () =>
    (await shardsOf(one.deal)).every(
      ({ state, proven }, i) => state === 'held' && proven > (before[i]?.proven ?? 0),
    ),
  );
  await note(one);
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'seele-deals-crash-'));
  armed = join(folder, 'armed');
  stage = await startDealStage(DOUBLES, { SEELE_FAILPOINTS_FILE: armed });
}, 300_000);

afterAll(async () => {
  await stage?.stop();
  rmSync(folder, { recursive: true, force: true });
});

describe('a provider that is killed', () => {
  it.each(['deals.keep.fetched', 'deals.keep.before-accept', 'deals.keep.after-accept'])(
    'at %s keeps its shard all the same',
    async (place) => {
      arm(place);
      const making = makeDeal();
      making.catch(() => {});
      await struck(place, 120);
      await isWhole(await making);
    },
    480_000,
  );

  it.each(['deals.prove.before', 'deals.prove.after'])(
    'at %s goes on proving, and loses nothing',
    async (place) => {
      arm(place);
      await struck(place, 120);
      for (const one of made) await isWhole(one);
    },
    480_000,
  );
});

describe('a repairer that is killed', () => {
  it.each(REPAIR_PLACES)(
    'at %s finishes the repair when it is back',
    async (place) => {
      const one = made[0] ?? (await makeDeal());
      const shards = await shardsOf(one.deal);
      const index = shards.findIndex(({ provider }) =>
        stage.doubles.some(({ signer }) => signer.account === provider),
      );
      const leaver = stage.doubles.find(({ signer }) => signer.account === shards[index]?.provider);
      if (leaver === undefined) throw new Error('no double holds a shard');
      arm(place);
      const sender = createChainSender(stage.node, leaver.signer, clock);
      const [left] = await sender.send([[dealsCalls.leave({ deal: one.deal, index })]]);
      expect(left).toMatchObject({ ok: true });
      await struck(place, 120);
      // Made anew; who gave it up may be asked again.
      const given = shards[index]?.generation ?? 0;
      await until('the shard is kept again', 240, async () => {
        const shard = (await shardsOf(one.deal))[index];
        return shard?.state === 'held' && shard.generation > given;
      });
      await isWhole(one);
      const out = join(folder, 'back.bin');
      await stage.run('get', one.deal, '--out', out);
      expect(readFileSync(out).equals(one.content)).toBe(true);
    },
    600_000,
  );
});

describe('when the deals end', () => {
  it('a provider killed at deals.drop.before drops all; each proof was paid once, no pin is left', async () => {
    for (const one of made) await note(one);
    arm('deals.drop.before');
    for (const { deal } of made) await stage.run('end', deal);
    await struck('deals.drop.before', 180);
    for (const { deal } of made) {
      await until(
        'the deal is closed',
        180,
        async () => ((await stage.reader.deal(deal))?.closedAtUs ?? 0) > 0,
      );
      const { price = 0n, paid = -1n } = (await stage.reader.deal(deal)) ?? {};
      const proven = (await shardsOf(deal)).reduce((sum, shard) => sum + shard.proven, 0);
      expect(proven).toBeGreaterThan(SHARDS);
      expect(paid).toBe(price * BigInt(proven));
    }
    const bytes = await stage.node.state(
      'token',
      tokenKeys.balance(contractAccount(DEALS_CONTRACT)),
    );
    expect(bytes ? decodeWith(tokenAmount, bytes) : 0n).toBe(0n);
    const stores = [stage.machine.store, stage.blobs];
    const cids = made.flatMap((one) => [...one.cids]);
    expect(cids.length).toBeGreaterThan(made.length * SHARDS);
    await until('nothing is pinned for them', 60, async () => {
      for (const store of stores)
        for (const cid of cids) if (await store.isPinned(cid)) return false;
      return true;
    });
  }, 900_000);
});
