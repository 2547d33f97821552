/**
 * 66 real validators in one process, twelve of which lie about results: as collectors they tell none, and with
 * every vote they tell all others a false certificate, each in a way of its own.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { tokenCalls } from '#contracts';
import { createSigner, sha256 } from '#libs/crypto';
import { utf8 } from '#libs/kernel';
import { type EdaCertificate, headerHash, signTransaction } from '#libs/ledger';
import { NODE_PROTOCOLS } from '#libs/net';
import { type ResultMessage, decodeResult, encodeResult } from '../../apps/node/src/eda/wire.ts';
import {
  type MemoryCluster,
  type MemoryNode,
  createMemoryCluster,
} from '../support/memory-cluster.ts';

const VALIDATORS = 66;
const LIARS = 12;
const BLOCKS = 3;
const RESULTS = NODE_PROTOCOLS.results.id;
const payer = createSigner(sha256(utf8('payer of the liars')));
const payee = createSigner(sha256(utf8('payee of the liars'))).account;
let cluster: MemoryCluster;

async function until(what: string, holds: () => boolean, limitMs = 200_000): Promise<void> {
  for (const limit = Date.now() + limitMs; !holds(); await sleep(50))
    if (Date.now() > limit) throw new Error(`${what}: not in ${limitMs} ms`);
}
const nodeAt = (node: number) => cluster.nodes.get(node) as MemoryNode;
const honest = () => Array.from({ length: VALIDATORS - LIARS }, (_, i) => nodeAt(LIARS + i));

function pay(node: number, nonce: number): void {
  cluster.submit(
    node,
    signTransaction(payer, {
      ...{ chain: nodeAt(node).chain.id, publicKey: payer.publicKey, nonce },
      ...{ validUntilUs: (Date.now() + 600_000) * 1_000, fuelLimit: 400_000n, fuelPrice: 1n },
      calls: [tokenCalls.transfer({ to: payee, amount: 1n })],
    }),
  );
}

type Vote = Extract<ResultMessage, { kind: 'vote' }>;
type Lie = (vote: Vote, before: EdaCertificate | undefined) => ResultMessage;
const nobody = 'ab'.repeat(32);
const full = new Uint8Array(9).fill(255);
const certified = (
  { height, hash }: Vote,
  changed: Partial<EdaCertificate>,
  era = 0,
): ResultMessage => ({
  ...{ kind: 'certified', height, hash },
  certificate: { kind: 'eda', era, votes: [], ...changed },
});
const lies: readonly Lie[] = [
  (vote) => certified(vote, { aggregate: { signers: full, signature: vote.signature } }),
  (vote) =>
    certified(
      { ...vote, hash: nobody },
      { aggregate: { signers: full, signature: vote.signature } },
    ),
  (vote, before) => certified(vote, before ?? {}),
  (vote) => certified({ ...vote, height: vote.height + 1 }, {}),
  (vote) =>
    certified(vote, { aggregate: { signers: full.slice(1), signature: vote.signature } }, 2 ** 50),
  (vote) => certified(vote, { votes: [{ from: 0, signature: vote.signature }] }),
];

/** From now on this node tells nobody a true certificate, and with each vote a false one to all. */
function corrupt({ transport, chain }: MemoryNode, lie: Lie): void {
  const broadcast = transport.broadcast.bind(transport);
  transport.broadcast = (protocol, bytes, to) => {
    const message = protocol === RESULTS ? decodeResult(bytes) : undefined;
    if (message?.kind === 'certified') return 0;
    if (message?.kind === 'vote') {
      const before = chain.header(message.height - 1)?.certificate;
      const told = lie(message, before?.kind === 'eda' ? before : undefined);
      broadcast(protocol, encodeResult(told));
    }
    return broadcast(protocol, bytes, to);
  };
}

beforeAll(async () => {
  cluster = await createMemoryCluster({
    nodes: VALIDATORS,
    ordering: { deltaUs: 3_000_000, eraUs: 2 ** 32, attestEveryUs: 1_000_000 },
    allocations: [{ account: payer.account, amount: 10n ** 15n }],
  });
  for (let node = 0; node < VALIDATORS; node++) await cluster.start(node);
}, 300_000);
afterAll(() => cluster.stop(), 60_000);

test('blocks are final with one and the same result in spite of twelve lying collectors, whose links end', async () => {
  for (let liar = 0; liar < LIARS; liar++) corrupt(nodeAt(liar), lies[liar % lies.length] as Lie);
  for (let nonce = 0; nonce < BLOCKS; nonce++) {
    pay(LIARS + 7 * nonce, nonce);
    const height = nonce + 1;
    await until(`block ${height}`, () =>
      honest().every(({ chain }) => chain.head.header.height >= height),
    );
  }
  const hashes = honest().map(({ chain }) => headerHash(chain.header(BLOCKS)?.header as never));
  expect(new Set(hashes).size).toBe(1);
  // Liars lost links; honest validators are linked to each other as before.
  const ends = honest().map(({ transport }) => transport.stats().ends.misbehaved ?? 0);
  expect(Math.min(...ends)).toBeGreaterThan(0);
  const keys = cluster.keys.slice(LIARS).map(({ publicKey }) => publicKey);
  for (const [i, { transport }] of honest().entries())
    expect(keys.filter((key) => !transport.isLinked(key))).toEqual([keys[i]]);
}, 500_000);

test('who asks again with a hash that nobody has is told the hash of the block that is there', async () => {
  const [asker, asked] = [nodeAt(LIARS), cluster.keys[LIARS + 1]?.publicKey ?? ''];
  let answer: ResultMessage | undefined;
  asker.transport.onMessage(RESULTS, (peer, bytes) => {
    const message = decodeResult(bytes);
    if (peer === asked && message.kind === 'certified' && message.height === 1) answer = message;
  });
  const again = { kind: 'again', height: 1, hash: nobody, signature: new Uint8Array(0) } as const;
  asker.transport.send(asked, RESULTS, encodeResult(again));
  await until('an answer', () => answer !== undefined, 60_000);
  expect(answer).toMatchObject({ hash: headerHash(asker.chain.header(1)?.header as never) });
}, 100_000);
