/** Blocks that a peer serves for cuts that are final: taken over when genuine; a lie costs who told it its link. */
import { tokenCalls } from '#contracts';
import { createSigner, sha256 } from '#libs/crypto';
import { utf8 } from '#libs/kernel';
import {
  type Block,
  type EdaCertificate,
  type Header,
  headerHash,
  signTransaction,
} from '#libs/ledger';
import { createExecutorStage } from '../../../../test/support/executor-stage.ts';

const payer = createSigner(sha256(utf8('payer')));
const stage = createExecutorStage(4, [{ account: payer.account, amount: 10n ** 12n }]);
const { validators, chainId, cutOf, openChain, era, timeUs } = stage;

/** Blocks of one payment each, as honest peers serve them. */
async function honestBlocks(count: number): Promise<Block[]> {
  const { chain, store } = await openChain();
  const blocks: Block[] = [];
  for (let height = 1; height <= count; height++) {
    const { body, commit } = cutOf(height);
    const payment = signTransaction(payer, {
      ...{ chain: chainId, publicKey: payer.publicKey, nonce: height - 1 },
      ...{ validUntilUs: timeUs + 60_000_000, fuelLimit: 400_000n, fuelPrice: 1n },
      calls: [tokenCalls.transfer({ to: validators.signers[0]?.account ?? '', amount: 1n })],
    });
    const execution = chain.execute(
      {
        ...{ height, parent: chain.head.hash, timeUs: body.timeUs },
        ...{ transactions: [payment], decision: commit.hash },
      },
      'skip',
    );
    const certificate = validators.certify(execution.header, chain.era);
    await chain.commit(execution, certificate);
    blocks.push(chain.block(height) as Block);
  }
  await store.close();
  return blocks;
}

let blocks: Block[];
beforeAll(async () => {
  blocks = await honestBlocks(2);
});

/** An executor of a node that lags: cuts are decided there, blocks come from peers. */
async function lagging() {
  const node = await stage.startExecutor();
  for (const height of [1, 2]) node.decide(height);
  return {
    ...node,
    /** Until the executor has looked at everything it was given. */
    settled: (height: number, lieCount: number): Promise<void> =>
      node.until(() => node.chain.head.header.height >= height && node.lies.length >= lieCount),
  };
}

const certified = (header: Header, certificate?: EdaCertificate): Partial<Block> => ({
  header,
  certificate: certificate ?? validators.certify(header, era),
});

const other = 'ab'.repeat(32);
const lie = (of: (block: Block) => Partial<Block>): Block => {
  const [block] = blocks as [Block];
  return { ...block, ...of(block) };
};

describe('a block that a peer serves for a final cut', () => {
  it.each<[string, (block: Block) => Partial<Block>]>([
    ['another state', ({ header }) => ({ header: { ...header, stateRoot: other } })],
    ['other receipts', ({ header }) => ({ header: { ...header, receiptsRoot: other } })],
    ['another parent', ({ header }) => ({ header: { ...header, parent: other } })],
    ['no transactions', () => ({ transactions: [] })],
    [
      'a transaction twice',
      ({ transactions }) => ({ transactions: [...transactions, ...transactions] }),
    ],
    [
      'the certificate of the next block',
      () => ({ certificate: (blocks[1] as Block).certificate }),
    ],
    [
      'signatures of less than Q',
      ({ certificate }) => {
        const { votes, ...rest } = certificate as EdaCertificate;
        return { certificate: { ...rest, votes: votes.slice(1) } };
      },
    ],
    [
      'one signature counted for all',
      ({ certificate }) => {
        const { votes, ...rest } = certificate as EdaCertificate;
        const [first] = votes as [(typeof votes)[number]];
        return { certificate: { ...rest, votes: votes.map(() => first) } };
      },
    ],
    ['the result of another cut', ({ header }) => certified({ ...header, decision: other })],
  ])(
    'is refused with %s; its peer is named, and what another serves is taken over',
    async (_what, change) => {
      const node = await lagging();
      node.executor.synced(lie(change), 'liar');
      // What the liar gave for other heights is not looked at any more.
      node.executor.synced(blocks[1] as Block, 'liar');
      await node.settled(0, 1);
      expect(node.lies).toEqual([['liar', 1]]);
      expect(node.chain.head.header.height).toBe(0);
      for (const block of blocks) node.executor.synced(block, 'honest');
      await node.settled(2, 1);
      expect(node.lies).toHaveLength(1);
      expect(node.chain.head.hash).toBe(headerHash((blocks[1] as Block).header));
      await node.stop();
    },
  );

  it('waits for its cut, and one far ahead is not kept', async () => {
    const node = await lagging();
    const far = lie(({ header }) => ({ header: { ...header, height: 100_000 } }));
    node.executor.synced(far, 'liar');
    node.executor.synced(blocks[1] as Block, 'honest');
    await node.settled(0, 0);
    expect([node.chain.head.header.height, node.lies.length]).toEqual([0, 0]);
    node.executor.synced(blocks[0] as Block, 'honest');
    await node.settled(2, 0);
    expect(node.chain.head.header.height).toBe(2);
    await node.stop();
  });
});
