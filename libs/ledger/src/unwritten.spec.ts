import fc from 'fast-check';
import { keyedHashSigner, keyedHashVerifier } from '#libs/crypto';
import {
  type Bytes,
  type KeyValueStore,
  bytesToHex,
  createSeededRandomness,
  encodeWith,
  hexToBytes,
  utf8,
} from '#libs/kernel';
import { createSimulatedDisk } from '#libs/store';
import { type Chain, createChain } from './chain.ts';
import type { Genesis } from './genesis.ts';
import { storedHead } from './state-copy.ts';
import { CERTIFICATE_DOMAIN } from './state-keys.ts';
import { genesisId, verifyStateProof } from './state-proof.ts';
import { balanceKey, toy, toyFees, toyToken, transfer } from './testing/toy-contracts.ts';
import { type TransactionEnvelope, signTransaction } from './transaction.ts';

const secret = utf8('test secret');
const signers = ['a', 'b', 'c', 'd', 'e'].map((name) => keyedHashSigner(secret, utf8(name)));
const sequencer = keyedHashSigner(secret, utf8('sequencer'));
const verifySignature = keyedHashVerifier(secret);
const START_US = 1_700_000_000_000_000;
const genesis: Genesis = {
  chainName: 'test',
  timeUs: START_US,
  ordering: { kind: 'solo', sequencer: sequencer.publicKey },
  parameters: {
    allocations: signers.map(({ account }) => ({ account, amount: 10n ** 12n })),
    settings: [],
  },
};

const openChain = (store: KeyValueStore): Promise<Chain> =>
  createChain({ genesis, contracts: [toyToken, toy], fees: toyFees, store, verifySignature });

const newStore = (seed = 1): KeyValueStore =>
  createSimulatedDisk(createSeededRandomness(seed)).open();

/** Payer and payee by number; a payee above the signers is an account of its own. */
type Payment = readonly [from: number, to: number];
const anyBlock = fc.array(fc.tuple(fc.nat(4), fc.nat(60)), { maxLength: 6 });

function payments(chain: Chain, block: readonly Payment[]): TransactionEnvelope[] {
  const nonces = new Map<number, number>();
  return block.map(([from, to]) => {
    const signer = signers[from] as (typeof signers)[0];
    const nonce = nonces.get(from) ?? chain.nonce(signer.account);
    nonces.set(from, nonce + 1);
    const payee = signers[to]?.account ?? to.toString(16).padStart(64, '0');
    const args = encodeWith(transfer.args, { to: payee, amount: 1n });
    return signTransaction(signer, {
      chain: chain.id,
      publicKey: signer.publicKey,
      nonce,
      validUntilUs: START_US + 10 ** 9,
      fuelLimit: 2_000_000n,
      fuelPrice: 1n,
      calls: [{ contract: 'token', method: 'transfer', args }],
    });
  });
}

async function addBlock(chain: Chain, block: readonly Payment[]): Promise<string[]> {
  const { header, hash } = chain.head;
  const execution = chain.execute(
    {
      height: header.height + 1,
      parent: hash,
      timeUs: START_US + header.height + 1,
      transactions: payments(chain, block),
    },
    'skip',
  );
  const bytes = hexToBytes(execution.headerHash) as Bytes;
  const signature = sequencer.sign(CERTIFICATE_DOMAIN, bytes);
  await chain.commit(execution, { kind: 'solo', signature });
  return execution.transactions.map(({ id }) => id);
}

/** Receipt index, state entries and tree, as hex. */
const contents = (store: KeyValueStore): string[] =>
  [...store.range({ start: Uint8Array.of(5), end: Uint8Array.of(8) })].map(
    ([key, value]) => `${bytesToHex(key)}=${bytesToHex(value)}`,
  );

const head = (chain: Chain) => chain.head.hash;

describe('tree and receipt index that are written behind the blocks', () => {
  it('are after an opening what they are when every block writes them', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyBlock, { minLength: 1, maxLength: 24 }), async (blocks) => {
        const behind = newStore();
        const atOnce = newStore();
        const chain = await openChain(behind);
        for (const block of blocks) {
          await addBlock(chain, block);
          const other = await openChain(atOnce);
          await addBlock(other, block);
          expect(head(other)).toBe(head(chain));
        }
        const reopened = await openChain(behind);
        await openChain(atOnce);
        expect(head(reopened)).toBe(head(chain));
        expect(contents(behind)).toEqual(contents(atOnce));
        for (const _step of reopened.checkState()) void _step;
      }),
      { numRuns: 10 },
    );
  });

  it('are asked as if they were written: receipts, proofs, snapshots of every height', async () => {
    const store = newStore();
    let chain = await openChain(store);
    const ids: string[] = [];
    const snapshots: { height: number; snapshot: ReturnType<Chain['snapshot']> }[] = [];
    for (let height = 1; height <= 40; height++) {
      ids.push(...(await addBlock(chain, [[height % 5, (height * 7) % 60]])));
      for (const [i, id] of ids.entries()) expect(chain.receipt(id)?.height).toBe(i + 1);
      const { account } = signers[height % 5] as (typeof signers)[0];
      const proof = chain.prove('token', balanceKey(account));
      expect(proof.header.height).toBe(height);
      expect(verifyStateProof(genesis, proof, verifySignature).value).toBeDefined();
      for (const _step of chain.checkState()) void _step;
      if (height % 6 === 0) snapshots.push({ height, snapshot: chain.snapshot() });
      if (height === 23) chain = await openChain(store);
    }
    for (const { height, snapshot } of snapshots) {
      const { header } = storedHead(snapshot) ?? {};
      expect(header?.height).toBe(height);
      const copy = newStore();
      await copy.commit(
        [...snapshot.range({ start: Uint8Array.of(0), end: Uint8Array.of(7) })].map(
          ([key, value]) => ({ key, value }),
        ),
      );
      // A chain in the copy would find nodes missing; the snapshot has them all.
      const whole = { ...copy, get: (key: Bytes) => snapshot.get(key) };
      expect((await openChain({ ...whole, commit: () => Promise.resolve() })).head.header).toEqual(
        header,
      );
      snapshot.close();
    }
  });

  it('say what is wrong when the list of changes is not what the block left', async () => {
    const store = newStore();
    const chain = await openChain(store);
    await addBlock(chain, [[0, 50]]);
    await addBlock(chain, [[1, 51]]);
    const range = { start: Uint8Array.of(1, 0x63), end: Uint8Array.of(1, 0x64) };
    const lists = [...store.range(range)];
    expect(lists).toHaveLength(2);
    for (const [key, value] of lists) {
      const damaged = value.slice();
      damaged[40] = (damaged[40] as number) ^ 1;
      await store.commit([{ key, value: damaged }]);
      await expect(openChain(store)).rejects.toMatchObject({ code: 'LEDGER_DATA_CORRUPT' });
      await store.commit([{ key, value }]);
    }
    await store.commit([{ key: (lists[0] as (typeof lists)[0])[0], value: null }]);
    await expect(openChain(store)).rejects.toMatchObject({ code: 'LEDGER_DATA_CORRUPT' });
  });

  it('opens a store whose blocks wrote everything themselves', async () => {
    const store = newStore();
    await addBlock(await openChain(store), [[0, 50]]);
    await openChain(store); // Leaves no list behind: as before there were any.
    expect([
      ...store.range({ start: Uint8Array.of(1, 0x63), end: Uint8Array.of(1, 0x64) }),
    ]).toEqual([]);
    expect((await openChain(store)).id).toBe(genesisId(genesis));
  });
});
