import fc from 'fast-check';
import { createSigner, hashOf, verifySignature, verifySignatureReference } from '#libs/crypto';
import { type Bytes, encodeWith, isSeeleError } from '#libs/kernel';
import {
  decodeBlock,
  decodeBlockWithReceipts,
  decodeReceipt,
  encodeBlock,
  encodeReceipt,
} from './block.ts';
import { decodeGenesis, encodeGenesis } from './genesis.ts';
import { decodePlace, packList, unpackList } from './layout.ts';
import { decodeStateProof, encodeStateProof } from './state-proof.ts';
import {
  TRANSACTION_DOMAIN,
  type TransactionBody,
  decodeTransactionBatch,
  hasValidSignature,
  readTransaction,
  signTransaction,
  transactionBatch,
  transactionBody,
} from './transaction.ts';

const hash = 'ab'.repeat(32);
const signer = createSigner(new Uint8Array(32).fill(7));
const body: TransactionBody = {
  chain: hash,
  publicKey: signer.publicKey,
  nonce: 3,
  validFromUs: 1,
  validUntilUs: 2 ** 50,
  fuelLimit: 100_000n,
  fuelPrice: 2n,
  calls: [{ contract: 'token', method: 'transfer', args: Uint8Array.of(0xa0) }],
};

describe('transactions', () => {
  it('are identified by their unsigned body, whatever the signature', () => {
    const { id, bodyBytes, bytes } = signTransaction(signer, body);
    expect(bodyBytes).toEqual(encodeWith(transactionBody, body));
    expect(id).toBe(hashOf(TRANSACTION_DOMAIN, encodeWith(transactionBody, body)));
    for (const length of [0, 23, 24, 64, 96]) {
      const foreign = {
        publicKey: signer.publicKey,
        account: signer.account,
        sign: () => new Uint8Array(length),
        signForeign: () => new Uint8Array(length),
      };
      const other = signTransaction(foreign, body);
      expect(other.id).toBe(id);
      expect(readTransaction(other.bytes)).toEqual(other);
      expect(hasValidSignature(other, verifySignature)).toBe(false);
    }
    expect(readTransaction(bytes).account).toBe(signer.account);
  });

  it('hold for the signer only: every changed byte is refused or breaks the signature', () => {
    const { bytes } = signTransaction(signer, body);
    expect(hasValidSignature(readTransaction(bytes), verifySignature)).toBe(true);
    expect(hasValidSignature(readTransaction(bytes), verifySignatureReference)).toBe(true);
    for (let i = 0; i < bytes.length; i++) {
      const changed = bytes.slice();
      changed[i] = (changed[i] as number) ^ (1 << (i % 8));
      let holds = false;
      try {
        holds = hasValidSignature(readTransaction(changed), verifySignature);
      } catch (error) {
        expect(isSeeleError(error)).toBe(true);
      }
      expect(holds).toBe(false);
    }
  });

  it('make one to sixteen calls and stay within their size', () => {
    const call = body.calls[0] as (typeof body.calls)[0];
    expect(() => signTransaction(signer, { ...body, calls: [] })).toThrow(
      expect.objectContaining({ code: 'LEDGER_TRANSACTION_INVALID' }),
    );
    expect(() => signTransaction(signer, { ...body, calls: Array(17).fill(call) })).toThrow(
      expect.objectContaining({ code: 'KERNEL_SHAPE' }),
    );
    const large = { ...call, args: new Uint8Array(60_000) };
    expect(() => signTransaction(signer, { ...body, calls: [large, large, large] })).toThrow(
      expect.objectContaining({ code: 'LEDGER_TRANSACTION_INVALID' }),
    );
  });
});

const header = {
  chain: hash,
  height: 4,
  parent: hash,
  timeUs: 5,
  transactionsRoot: hash,
  receiptsRoot: hash,
  stateRoot: hash,
  fuelUsed: 6n,
};
const certificate = { kind: 'solo', signature: new Uint8Array(64) } as const;
const { bytes: transactionBytes } = signTransaction(signer, body);
const receiptBytes = encodeReceipt({
  transaction: hash,
  status: 'reverted',
  code: 'TOKEN_BALANCE_TOO_LOW',
  message: 'no',
  failedCall: 0,
  fuelUsed: 5n,
  fee: 5n,
  results: [],
  events: [{ contract: 'token', topic: 'transferred', data: Uint8Array.of(0xa0) }],
});
const path = { depths: new Uint8Array([1]), siblings: new Uint8Array(32) };

/** Every decoder of the ledger that reads foreign bytes, with bytes it accepts. */
const decoders: readonly [name: string, valid: Bytes, decode: (bytes: Bytes) => unknown][] = [
  ['transaction', transactionBytes, readTransaction],
  ['batch', encodeWith(transactionBatch, [transactionBytes]), decodeTransactionBatch],
  ['receipt', receiptBytes, decodeReceipt],
  ['block', encodeBlock({ header, certificate, transactions: [transactionBytes] }), decodeBlock],
  ['block with receipts', Uint8Array.of(0xa0), decodeBlockWithReceipts],
  [
    'genesis',
    encodeGenesis({
      chainName: 'x',
      timeUs: 1,
      ordering: { kind: 'solo', sequencer: signer.publicKey },
      parameters: { allocations: [{ account: hash, amount: 1n }], settings: [] },
    }),
    decodeGenesis,
  ],
  [
    'state proof',
    encodeStateProof({ contract: 'c', key: Uint8Array.of(1), path, header, certificate }),
    decodeStateProof,
  ],
  ['packed list', packList([transactionBytes, receiptBytes]), unpackList],
  ['receipt place', new Uint8Array(20), decodePlace],
];

describe.each(decoders)('decoding a %s', (_name, valid, decode) => {
  const check = (bytes: Bytes): void => {
    try {
      decode(bytes);
    } catch (error) {
      if (!isSeeleError(error)) throw error;
      expect(error.code).not.toBe('KERNEL_INVARIANT');
    }
  };

  it('never fails but with a SeeleError on random bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => check(bytes)),
      { numRuns: 100 },
    );
  });

  it('never fails but with a SeeleError on mutated valid bytes', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        fc.nat(valid.length),
        fc.boolean(),
        (changes, cut, truncate) => {
          const bytes = valid.slice(0, truncate ? cut : valid.length);
          for (const [at, value] of changes) if (bytes.length > 0) bytes[at % bytes.length] = value;
          check(bytes);
        },
      ),
      { numRuns: 100 },
    );
  });
});
