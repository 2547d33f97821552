import fc from 'fast-check';
import { createSigner, keyedHashSigner, keyedHashVerifier, verifySignature } from '#libs/crypto';
import {
  type Bytes,
  type KeyValueStore,
  createSeededRandomness,
  encodeWith,
  hasCode,
  utf8,
} from '#libs/kernel';
import { createSimulatedDisk } from '#libs/store';
import { createChain, type Chain } from './chain.ts';
import { nonceKey } from './execute-transaction.ts';
import { genesisId } from './state-proof.ts';
import type { Genesis } from './genesis.ts';
import { createMempool } from './mempool.ts';
import { createProducer } from './producer.ts';
import { createSoloOrdering } from './solo.ts';
import { decodeStateProof, encodeStateProof, verifyStateProof } from './state-proof.ts';
import {
  balanceKey,
  fail,
  put,
  relayContract,
  toy,
  toyFees,
  toyToken,
  transfer,
} from './testing/toy-contracts.ts';
import { type TransactionBody, type TransactionEnvelope, signTransaction } from './transaction.ts';

const secret = utf8('test secret');
const sequencer = keyedHashSigner(secret, utf8('sequencer'));
const alice = keyedHashSigner(secret, utf8('alice'));
const bob = keyedHashSigner(secret, utf8('bob'));
const verify = keyedHashVerifier(secret);
const START_US = 1_700_000_000_000_000;

const genesis: Genesis = {
  chainName: 'test',
  timeUs: START_US,
  ordering: { kind: 'solo', sequencer: sequencer.publicKey },
  parameters: {
    allocations: [
      { account: alice.account, amount: 10n ** 15n },
      { account: bob.account, amount: 10n ** 12n },
    ],
    settings: [],
  },
};
const chainId = genesisId(genesis);

const toyCall = (method: typeof put | typeof fail, args: object) => ({
  contract: 'toy',
  method: method.name,
  args: encodeWith(method.args as never, args as never) as Bytes,
});
const transferCall = (to: string, amount: bigint) => ({
  contract: 'token',
  method: 'transfer',
  args: encodeWith(transfer.args, { to, amount }),
});
const signed = (
  signer: typeof alice,
  nonce: number,
  calls: TransactionBody['calls'],
  more: Partial<TransactionBody> = {},
): TransactionEnvelope =>
  signTransaction(signer, {
    chain: chainId,
    publicKey: signer.publicKey,
    nonce,
    validUntilUs: START_US + 10 ** 9,
    fuelLimit: 2_000_000n,
    fuelPrice: 1n,
    calls,
    ...more,
  });

async function newNode(
  store: KeyValueStore = createSimulatedDisk(createSeededRandomness(1)).open(),
) {
  const chain = await createChain({
    genesis,
    contracts: [toyToken, toy, relayContract],
    fees: toyFees,
    store,
    verifySignature: verify,
  });
  const dropped: [string, string][] = [];
  const mempool = createMempool({
    chain: chain.id,
    limits: chain.limits,
    accounts: chain,
    onDropped: (id, reason) => dropped.push([id, reason.code]),
  });
  const producer = createProducer({ chain, mempool, ordering: createSoloOrdering(sequencer) });
  let nowUs = START_US;
  const submit = async (...transactions: TransactionEnvelope[]) => {
    for (const transaction of transactions) {
      const admission = mempool.add(transaction, nowUs);
      if (!admission.ok) throw admission.error;
    }
    nowUs += 1_000;
    return producer.step(nowUs);
  };
  return { chain, mempool, producer, submit, dropped, store };
}

const supply = (chain: Chain) =>
  [alice, bob, sequencer].reduce((sum, { account }) => sum + chain.account(account).balance, 0n);

describe('a chain', () => {
  it('begins with the genesis and makes no block while there is nothing to order', async () => {
    const { chain, submit } = await newNode();
    expect(chain.head.header).toMatchObject({ height: 0, chain: chain.id, parent: chain.id });
    expect(await submit()).toBeUndefined();
    expect(chain.head.header.height).toBe(0);
    expect(chain.account(alice.account)).toEqual({ balance: 10n ** 15n, nonce: 0 });
  });

  it('executes transfers, counts nonces and pays fees to the sequencer', async () => {
    const { chain, submit } = await newNode();
    const before = supply(chain);
    const first = signed(alice, 0, [transferCall(bob.account, 5n)]);
    const block = await submit(first, signed(alice, 1, [transferCall(bob.account, 6n)]));
    expect(block?.receipts.map(({ status }) => status)).toEqual(['ok', 'ok']);
    expect(chain.account(bob.account).balance).toBe(10n ** 12n + 11n);
    expect(chain.account(alice.account).nonce).toBe(2);
    const fees = block?.receipts.reduce((sum, { fee }) => sum + fee, 0n) as bigint;
    expect(fees).toBeGreaterThan(0n);
    expect(chain.account(sequencer.account).balance).toBe(fees);
    expect(supply(chain)).toBe(before);
    expect(chain.receipt(first.id)).toMatchObject({
      height: 1,
      index: 0,
      receipt: { status: 'ok' },
    });
    expect(chain.receipt('00'.repeat(32))).toBeUndefined();
  });

  it('makes failed transactions pay and count, and undoes all their calls', async () => {
    const { chain, submit } = await newNode();
    const before = supply(chain);
    const put1 = toyCall(put, { key: 'k', value: utf8('v') });
    const block = await submit(
      signed(alice, 0, [put1, toyCall(fail, { how: 'revert' })]),
      signed(alice, 1, [put1, toyCall(fail, { how: 'spin' })]),
    );
    expect(block?.receipts).toMatchObject([
      { status: 'reverted', code: 'TOY_REFUSED', failedCall: 1, events: [], results: [] },
      { status: 'trapped', code: 'LEDGER_OUT_OF_FUEL', fuelUsed: 2_000_000n },
    ]);
    expect(block?.receipts[0]?.fuelUsed).toBeLessThan(2_000_000n);
    expect(chain.get('toy', utf8('k'))).toBeUndefined();
    expect(chain.account(alice.account).nonce).toBe(2);
    expect(supply(chain)).toBe(before);
  });

  it('leaves a transaction out when the contract fails in a way that is not a result', async () => {
    const { chain, submit, dropped } = await newNode();
    const bad = signed(alice, 0, [toyCall(fail, { how: 'fault' })]);
    expect(await submit(bad)).toBeUndefined();
    expect(dropped).toEqual([[bad.id, 'LEDGER_CONTRACT_FAULT']]);
    expect(chain.account(alice.account).nonce).toBe(0);
  });

  it('stops instead of storing a block that creates money', async () => {
    const disk = createSimulatedDisk(createSeededRandomness(1));
    const generous = {
      ...toyFees,
      refund: (s: never, a: string, n: bigint) => toyFees.refund(s, a, n + 1n),
    };
    const chain = await createChain({
      genesis,
      contracts: [toyToken],
      fees: generous,
      store: disk.open(),
      verifySignature: verify,
    });
    const { header, hash } = chain.head;
    const transactions = [signed(alice, 0, [transferCall(bob.account, 5n)])];
    const cut = { height: 1, parent: hash, timeUs: header.timeUs, transactions };
    expect(() => chain.execute(cut, 'drop')).toThrow(/create .* units of money/);
    expect(chain.account(alice.account).nonce).toBe(0);
  });

  it('keeps agreed but invalid transactions as such, and does not take their nonce', async () => {
    const { chain } = await newNode();
    const { header, hash } = chain.head;
    const twice = signed(alice, 0, [transferCall(bob.account, 5n)]);
    const transactions = [twice, twice, signed(alice, 7, [transferCall(bob.account, 5n)])];
    const cut = {
      height: 1,
      parent: hash,
      timeUs: header.timeUs,
      transactions,
      decision: 'ab'.repeat(32),
    };
    const execution = chain.execute(cut, 'keep');
    expect(execution.receipts).toMatchObject([
      { status: 'ok' },
      { status: 'invalid', code: 'LEDGER_NONCE_USED', fee: 0n },
      { status: 'invalid', code: 'LEDGER_NONCE_GAP' },
    ]);
    await chain.commit(execution, await createSoloOrdering(sequencer).certify(execution.header));
    expect(chain.receipt(twice.id)?.receipt.status).toBe('ok');
  });

  it('refuses cuts that do not follow, go back in time, or are not certified', async () => {
    const { chain } = await newNode();
    const { header, hash } = chain.head;
    const cut = { height: 1, parent: hash, timeUs: header.timeUs, transactions: [] };
    const bad = expect.objectContaining({ code: 'LEDGER_BLOCK_INVALID' });
    expect(() => chain.execute({ ...cut, height: 2 }, 'drop')).toThrow(bad);
    expect(() => chain.execute({ ...cut, parent: chain.id }, 'drop')).toThrow(bad);
    expect(() => chain.execute({ ...cut, timeUs: header.timeUs - 1 }, 'drop')).toThrow(bad);
    const execution = chain.execute(cut, 'drop');
    const forged = await createSoloOrdering(alice).certify(execution.header);
    await expect(chain.commit(execution, forged)).rejects.toMatchObject({
      code: 'LEDGER_CERTIFICATE_INVALID',
    });
    await expect(chain.commit({ ...execution }, forged)).rejects.toMatchObject({
      code: 'LEDGER_BLOCK_INVALID',
    });
    expect(chain.head.header.height).toBe(0);
  });

  it('applies blocks of another node and gets the same state; refuses altered ones', async () => {
    const producer = await newNode();
    const follower = (await newNode()).chain;
    await producer.submit(signed(alice, 0, [transferCall(bob.account, 5n)]));
    await producer.submit(signed(bob, 0, [transferCall(alice.account, 1n)]));
    const first = producer.chain.block(1);
    const second = producer.chain.block(2);
    if (!first || !second) throw new Error('two blocks were made');
    await expect(follower.apply(second)).rejects.toMatchObject({ code: 'LEDGER_BLOCK_INVALID' });
    await expect(follower.apply({ ...first, transactions: [] })).rejects.toMatchObject({
      code: 'LEDGER_BLOCK_INVALID',
    });
    await follower.apply(first);
    await follower.apply(second);
    expect(follower.head).toEqual(producer.chain.head);
  });

  it('forgets an execution that was not committed', async () => {
    const { chain, submit } = await newNode();
    const { header, hash } = chain.head;
    const transactions = [signed(alice, 0, [transferCall(bob.account, 500n)])];
    chain.execute({ height: 1, parent: hash, timeUs: header.timeUs, transactions }, 'drop');
    await submit(signed(alice, 0, [transferCall(bob.account, 5n)]));
    const [...steps] = chain.checkState();
    expect(steps).toEqual([]);
    expect(chain.account(bob.account).balance).toBe(10n ** 12n + 5n);
  });

  it('answers views without changing anything', async () => {
    const { chain } = await newNode();
    const args = { to: bob.account, amount: 5n };
    expect(chain.view('token', transfer, args, alice.account)).toMatchObject({ ok: true });
    expect(chain.view('token', transfer, args)).toMatchObject({ code: 'TOKEN_BALANCE_TOO_LOW' });
    expect(chain.account(bob.account).balance).toBe(10n ** 12n);
  });

  it('works with real signatures', async () => {
    const real = createSigner(new Uint8Array(32).fill(1));
    const store = createSimulatedDisk(createSeededRandomness(1)).open();
    const ordering = { kind: 'solo', sequencer: real.publicKey } as const;
    const options = { contracts: [toyToken], fees: toyFees, store, verifySignature };
    const allocations = [{ account: real.account, amount: 10n ** 12n }];
    const born = { ...genesis, ordering, parameters: { allocations, settings: [] } };
    const chain = await createChain({ ...options, genesis: born });
    const mempool = createMempool({ chain: chain.id, limits: chain.limits, accounts: chain });
    const transfers = [transferCall(bob.account, 5n)];
    mempool.add(signed(real, 0, transfers, { chain: chain.id }), START_US);
    const ordered = createSoloOrdering(real);
    const block = await createProducer({ chain, mempool, ordering: ordered }).step(START_US);
    expect(block?.receipts).toMatchObject([{ status: 'ok' }]);
  });
});

describe('state proofs', () => {
  it('prove values, nonces and absence offline against the genesis', async () => {
    const { chain, submit } = await newNode();
    expect(() => chain.prove('token', utf8('x'))).toThrow(
      expect.objectContaining({ code: 'LEDGER_NOT_FOUND' }),
    );
    await submit(signed(alice, 0, [transferCall(bob.account, 5n)]));
    for (const [contract, key] of [
      ['token', balanceKey(bob.account)],
      ['ledger', nonceKey(alice.account)],
      ['token', utf8('nothing here')],
    ] as const) {
      const proof = decodeStateProof(encodeStateProof(chain.prove(contract, key)));
      const proven = verifyStateProof(genesis, proof, verify);
      expect(proven).toMatchObject({ height: 1, timeUs: START_US + 1_000 });
      expect(proven.value).toEqual(chain.get(contract, key));
    }
  });

  it('refuse every changed byte, and another genesis', async () => {
    const { chain, submit } = await newNode();
    await submit(signed(alice, 0, [transferCall(bob.account, 5n)]));
    const bytes = encodeStateProof(chain.prove('token', balanceKey(bob.account)));
    const other = { ...genesis, chainName: 'other' };
    expect(() => verifyStateProof(other, decodeStateProof(bytes), verify)).toThrow(
      expect.objectContaining({ code: 'LEDGER_CERTIFICATE_INVALID' }),
    );
    for (let i = 0; i < bytes.length; i++) {
      const changed = bytes.slice();
      changed[i] = (changed[i] as number) ^ (1 << (i % 8));
      expect(() => verifyStateProof(genesis, decodeStateProof(changed), verify)).toThrow();
    }
  });
});

describe('restart', () => {
  it('continues from the last commit after a power cut, losing nothing acknowledged', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer(), fc.integer({ min: 1, max: 6 }), async (seed, cutAfter) => {
        let holdBack = false;
        const disk = createSimulatedDisk(createSeededRandomness(seed), () =>
          holdBack ? new Promise(() => {}) : Promise.resolve(),
        );
        const first = await newNode(disk.open());
        for (let nonce = 0; nonce < cutAfter; nonce++)
          await first.submit(signed(alice, nonce, [transferCall(bob.account, 1n)]));
        holdBack = true;
        void first.submit(signed(alice, cutAfter, [transferCall(bob.account, 1n)]));
        for (let i = 0; i < 10; i++) await Promise.resolve();
        disk.crash();
        holdBack = false;
        const second = await newNode(disk.open());
        const { nonce } = second.chain.account(alice.account);
        expect([cutAfter, cutAfter + 1]).toContain(nonce);
        expect(second.chain.head.header.height).toBe(nonce);
        for (const _step of second.chain.checkState()) void _step;
        const block = await second.submit(signed(alice, nonce, [transferCall(bob.account, 1n)]));
        expect(block?.header.height).toBe(nonce + 1);
        expect(second.chain.account(bob.account).balance).toBe(10n ** 12n + BigInt(nonce + 1));
      }),
      { numRuns: 30 },
    );
  });

  it('serves nothing more after a storage error', async () => {
    const disk = createSimulatedDisk(createSeededRandomness(3));
    const { submit } = await newNode(disk.open());
    disk.failNextCommit();
    await expect(submit(signed(alice, 0, [transferCall(bob.account, 1n)]))).rejects.toMatchObject({
      code: 'STORE_WRITE',
    });
    await expect(submit(signed(bob, 0, [transferCall(alice.account, 1n)]))).rejects.toThrow();
  });

  it('names the height of damaged data, whatever byte was damaged', async () => {
    const { store, submit } = await newNode();
    for (let nonce = 0; nonce < 3; nonce++)
      await submit(signed(alice, nonce, [transferCall(bob.account, 1n)]));
    const entries = [...store.range({ start: Uint8Array.of(1), end: Uint8Array.of(5) })];
    const all = [...store.range({ start: Uint8Array.of(0), end: Uint8Array.of(255) })].map(
      ([key, value]) => ({ key, value }),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.nat(entries.length - 1),
        fc.nat(100_000),
        fc.boolean(),
        async (which, at, truncate) => {
          const [key, value] = entries[which] as readonly [Bytes, Bytes];
          const damaged = truncate ? value.slice(0, at % value.length) : value.slice();
          if (!truncate) damaged[at % value.length] = (damaged[at % value.length] as number) ^ 1;
          const copy = createSimulatedDisk(createSeededRandomness(2)).open();
          await copy.commit([...all, { key, value: damaged }]);
          const opened = await newNode(copy)
            .then(({ chain }) => {
              for (let height = 1; height <= 3; height++) chain.checkBlock(height);
            })
            .catch((error: unknown) => error);
          expect(opened).toBeInstanceOf(Error);
          expect(
            hasCode(opened, 'LEDGER_GENESIS_MISMATCH') ||
              (hasCode(opened, 'LEDGER_DATA_CORRUPT') && /block|height/.test(String(opened))),
          ).toBe(true);
        },
      ),
      { numRuns: 100 },
    );
    await expect(newNode(store)).resolves.toBeDefined();
  });

  it('finds damaged state entries and tree nodes', async () => {
    const { store, submit } = await newNode();
    await submit(signed(alice, 0, [transferCall(bob.account, 1n)]));
    await newNode(store); // Writes the tree of the last block.
    for (const [key, value] of [
      ...store.range({ start: Uint8Array.of(6), end: Uint8Array.of(8) }),
    ]) {
      const damaged = value.slice();
      damaged[damaged.length - 1] = (damaged[damaged.length - 1] as number) ^ 1;
      await store.commit([{ key, value: damaged }]);
      const check = async () => {
        const { chain } = await newNode(store);
        for (const _step of chain.checkState()) void _step;
      };
      await expect(check()).rejects.toThrow();
      await store.commit([{ key, value }]);
    }
  });

  it('refuses the data of another chain, and data without a genesis', async () => {
    const { store } = await newNode();
    const options = { contracts: [toyToken], fees: toyFees, store, verifySignature: verify };
    await expect(
      createChain({ ...options, genesis: { ...genesis, chainName: 'other' } }),
    ).rejects.toMatchObject({ code: 'LEDGER_GENESIS_MISMATCH' });
    const odd = createSimulatedDisk(createSeededRandomness(1)).open();
    await odd.commit([{ key: utf8('a'), value: utf8('b') }]);
    await expect(createChain({ ...options, store: odd, genesis })).rejects.toMatchObject({
      code: 'LEDGER_DATA_CORRUPT',
    });
  });
});
