/** Questions about what is final: state, proofs, receipts, blocks. All read the last commit. */
import { type NodeReader, createStateTree } from '#libs/merkle';
import {
  type AccountId,
  type Bytes,
  type KeyValueReader,
  type KeyValueSnapshot,
  type KeyValueStore,
  type TimeUs,
  bytesToHex,
  encodeWith,
  hash32,
  optional,
  record,
  equalBytes,
  isSeeleError,
} from '#libs/kernel';
import {
  type Block,
  type CertifiedHeader,
  type FinalReceipt,
  type LedgerEvent,
  decodeReceipt,
} from './block.ts';
import type { ContractMethod } from './contract.ts';
import { ledgerError } from './errors.ts';
import { fuelPriceOn, nonceOf } from './execute-transaction.ts';
import type { FeePort } from './fees.ts';
import { createFuelMeter } from './fuel.ts';
import type { ChainLimits } from './genesis.ts';
import { type StateReader, createStateJournal } from './journal.ts';
import {
  STATE_RANGE,
  TREE_PREFIX,
  decodePlace,
  firstHeightOf,
  indexKey,
  readStateKey,
  receiptsKey,
  stateReaderOf,
} from './layout.ts';
import type { CallOutcome, MachineRun } from './frames.ts';
import type { Machine } from './machine.ts';
import { type ChainHead, checkBlock, readHeader, readPacked } from './open-chain.ts';
import { type Call, call } from './transaction.ts';
import { UserRun } from './frames.ts';
import { stateTreeKeyBytes, stateValueHashBytes } from './state-keys.ts';
import { withHandovers } from './handovers.ts';
import { type StateProof } from './state-proof.ts';
import type { Unwritten } from './unwritten.ts';

export interface ScanOptions {
  /** Only entries after this key. */
  readonly cursor?: Bytes;
  readonly limit: number;
}

export interface ChainReads {
  account(account: AccountId): { readonly balance: bigint; readonly nonce: number };
  /** Transactions the account has made. */
  nonce(account: AccountId): number;
  /** Least fuel price in a block of that time that follows the head. */
  fuelPrice(timeUs: TimeUs): bigint;
  get(contract: string, key: Bytes): Bytes | undefined;
  scan(
    contract: string,
    prefix: Bytes,
    options: ScanOptions,
  ): readonly (readonly [key: Bytes, value: Bytes])[];
  /** Value and proof of one moment. @throws LEDGER_NOT_FOUND while only block 0 exists */
  prove(contract: string, key: Bytes): StateProof;
  /** The store of one moment, the state tree of its last block included. Must be closed. */
  snapshot(): KeyValueSnapshot;
  /** Runs a method on the last state and forgets its changes; free, with a bounded amount of fuel. */
  view<A, R>(
    contract: string,
    method: ContractMethod<A, R>,
    args: A,
    origin?: AccountId,
  ): CallOutcome;
  /** The same for any call in its encoded form, of system and user contracts. */
  viewCall(
    request: Call,
    origin?: AccountId,
    fuel?: bigint,
  ): {
    readonly outcome: CallOutcome;
    readonly fuelUsed: bigint;
    readonly events: readonly LedgerEvent[];
  };
  /** The first block that is here; above 0 where the state before it was copied from others. */
  readonly firstHeight: number;
  /** Undefined above the head. @throws LEDGER_DATA_CORRUPT */
  header(height: number): CertifiedHeader | undefined;
  /** Undefined above the head and below `firstHeight`. */
  block(height: number): Block | undefined;
  /** Canonical bytes of the block's receipts. */
  receipts(height: number): readonly Bytes[] | undefined;
  receipt(transactionId: string): FinalReceipt | undefined;
  /** Checks one stored block. @throws LEDGER_DATA_CORRUPT */
  checkBlock(height: number): void;
  /** Checks every state entry against the tree; yields now and then so that others may run. */
  checkState(): Generator<number, void>;
}

/** What a node is asked to run without a transaction. */
export const viewRequest = record({ call, origin: optional(hash32) });

const VIEW_FUEL = 100_000_000n;
const NOBODY = '00'.repeat(32);
const ENTRIES_PER_STEP = 256;

function* checkStateEntries(
  store: KeyValueReader,
  nodes: NodeReader,
  height: number,
): Generator<number, void> {
  const tree = createStateTree({ reader: nodes, keyPrefix: TREE_PREFIX });
  let checked = 0;
  for (const [stored, value] of store.range(STATE_RANGE)) {
    const parts = readStateKey(stored);
    const where = `block ${height}: state entry ${bytesToHex(stored)}`;
    if (parts === undefined) throw ledgerError('LEDGER_DATA_CORRUPT', `${where} is malformed`);
    const name = new TextDecoder().decode(parts.contractName);
    const expected = tree.get(stateTreeKeyBytes(name, parts.key));
    if (expected === undefined || !equalBytes(expected, stateValueHashBytes(value)))
      throw ledgerError('LEDGER_DATA_CORRUPT', `${where} does not match the state tree`);
    if (++checked % ENTRIES_PER_STEP === 0) yield checked;
  }
}

/** What questions about a chain are answered from. */
export interface ChainSources {
  readonly store: KeyValueStore;
  /** Committed state in the store. */
  readonly state: StateReader;
  readonly unwritten: Unwritten;
  readonly machine: Machine;
  readonly id: string;
  readonly limits: ChainLimits;
}

export function createChainReads(
  { store, state, unwritten, machine, id, limits }: ChainSources,
  fees: FeePort,
  head: () => ChainHead,
  era: () => number,
): ChainReads {
  let priced:
    | { readonly timeUs: number; readonly head: ChainHead; readonly price: bigint }
    | undefined;
  const viewRun = (origin: AccountId, fuel: bigint): MachineRun => {
    const { height, parent, timeUs } = head().header;
    return {
      journal: createStateJournal(state),
      meter: createFuelMeter(fuel),
      block: { chain: id, height, parent, timeUs, era: era() },
      origin,
      transactionId: NOBODY,
      events: [] as LedgerEvent[],
      user: new UserRun(),
    };
  };
  const firstHeight = firstHeightOf(store);
  const feeStorage = { get: (key: Bytes) => state.get(fees.contract, key) };
  return {
    account: (account) => ({
      balance: fees.balanceOf(feeStorage, account),
      nonce: nonceOf(state, account),
    }),
    nonce: (account) => nonceOf(state, account),
    fuelPrice(timeUs) {
      // Every transaction of a batch is asked about with one time.
      const now = head();
      if (priced?.timeUs !== timeUs || priced.head !== now)
        priced = { timeUs, head: now, price: fuelPriceOn(state, limits, timeUs) };
      return priced.price;
    },
    get: (contract, key) => state.get(contract, key),
    scan(contract, prefix, { cursor, limit }) {
      const found: (readonly [Bytes, Bytes])[] = [];
      if (limit <= 0) return found;
      for (const entry of state.scan(contract, prefix, cursor)) {
        found.push(entry);
        if (found.length >= limit) break;
      }
      return found;
    },
    prove(contract, key) {
      const snapshot = unwritten.snapshot();
      try {
        const { height } = head().header;
        // The store may be one commit ahead of what has been announced.
        const next = readHeader(snapshot, height + 1);
        const certified = next ?? (readHeader(snapshot, height) as CertifiedHeader);
        if (certified.header.height === 0)
          throw ledgerError(
            'LEDGER_NOT_FOUND',
            'block 0 has no certificate to prove anything with',
          );
        const value = stateReaderOf(snapshot).get(contract, key);
        const tree = createStateTree({ reader: snapshot, keyPrefix: TREE_PREFIX });
        const path = tree.prove(stateTreeKeyBytes(contract, key));
        const certificate = withHandovers(snapshot, certified.certificate);
        const { header } = certified;
        return { contract, key, ...(value && { value }), path, header, certificate };
      } finally {
        snapshot.close();
      }
    },
    snapshot: () => unwritten.snapshot(),
    view: (contract, method, args, origin = NOBODY) =>
      machine.run(viewRun(origin, VIEW_FUEL), {
        contract,
        method: method.name,
        args: encodeWith(method.args, args),
      }),
    viewCall(request, origin = NOBODY, fuel = VIEW_FUEL) {
      const run = viewRun(origin, fuel < VIEW_FUEL ? fuel : VIEW_FUEL);
      const outcome = machine.run(run, request);
      return { outcome, fuelUsed: run.meter.used, events: run.events };
    },
    firstHeight,
    header: (height) => (height > head().header.height ? undefined : readHeader(store, height)),
    block(height) {
      if (height > head().header.height || height < firstHeight) return undefined;
      const certified = readHeader(store, height);
      return certified && { ...certified, transactions: readPacked(store, height, 'transactions') };
    },
    receipts(height) {
      if (height > head().header.height || height < firstHeight) return undefined;
      return readPacked(store, height, 'receipts');
    },
    receipt(transactionId) {
      const bytes = store.get(indexKey(transactionId));
      const place = bytes ? decodePlace(bytes) : unwritten.place(transactionId);
      if (place === undefined || place.height > head().header.height) return undefined;
      const { height, index, offset, length } = place;
      const packed = store.get(receiptsKey(height));
      const certified = readHeader(store, height);
      try {
        if (packed === undefined || certified === undefined) throw new RangeError('missing');
        const receipt = decodeReceipt(packed.subarray(offset, offset + length));
        return { receipt, height, index, timeUs: certified.header.timeUs };
      } catch (cause) {
        if (!isSeeleError(cause) && !(cause instanceof RangeError)) throw cause;
        throw ledgerError('LEDGER_DATA_CORRUPT', `block ${height}: receipt ${index} is damaged`, {
          cause,
        });
      }
    },
    checkBlock: (height) => checkBlock(store, height),
    checkState: () => checkStateEntries(store, unwritten.nodes, head().header.height),
  };
}
