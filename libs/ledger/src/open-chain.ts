/**
 * Opening: begins a chain by running its genesis, or checks what a store holds before anything is
 * built on it. Damage is reported with the height it was found at.
 */
import { hashOf } from '#libs/crypto';
import { EMPTY_STATE_ROOT } from '#libs/merkle';
import {
  type Bytes,
  type KeyValueReader,
  type KeyValueStore,
  decodeWith,
  encodeWith,
  isSeeleError,
} from '#libs/kernel';
import {
  type Certificate,
  type CertifiedHeader,
  type Header,
  certifiedHeader,
  entriesRoot,
} from './block.ts';
import { ledgerError } from './errors.ts';
import { genesisValidators } from './eda-ordering.ts';
import { eraOn } from './eras.ts';
import { createFuelMeter } from './fuel.ts';
import type { GenesisParameters } from './contract.ts';
import {
  GENESIS_DOMAIN,
  type Genesis,
  type OrderingRule,
  decodeGenesis,
  encodeGenesis,
} from './genesis.ts';
import { createStateJournal } from './journal.ts';
import {
  GENESIS_KEY,
  HEAD_KEY,
  ORDERING,
  decodeHeight,
  encodeHeight,
  firstHeightOf,
  headerKey,
  receiptsKey,
  stateReaderOf,
  transactionsKey,
  unpackList,
} from './layout.ts';
import type { VerifySignature } from './frames.ts';
import type { Machine } from './machine.ts';
import { headerHash } from './state-keys.ts';
import { genesisId, isCertifiedIn } from './state-proof.ts';
import { UserRun } from './frames.ts';
import { openStateTree, stateWrites, updateStateTree } from './state-store.ts';
import { catchUp } from './unwritten.ts';

export interface ChainHead extends CertifiedHeader {
  /** Hash of the header, hex. */
  readonly hash: string;
}

/** Headers checked at every opening; the whole chain is checked by `checkBlock` and `checkState`. */
const HEADERS_CHECKED = 64;
/** Blocks of which transactions and receipts are checked at every opening. */
const BLOCKS_CHECKED = 2;
const GENESIS_CERTIFICATE: Certificate = { kind: 'genesis' };
const NOBODY = '00'.repeat(32);
const GENESIS_FUEL = 1n << 62n;

const corrupt = (what: string, cause?: unknown) =>
  ledgerError('LEDGER_DATA_CORRUPT', what, { cause });

/** What contracts learn of the first validators. */
function genesisBonds(ordering: OrderingRule): Pick<GenesisParameters, 'validators'> {
  if (ordering.kind === 'solo') return {};
  genesisValidators(ordering); // Checks stakes and BLS keys.
  const { validators, stakeUnit } = ordering;
  const bonds = validators.map(({ publicKey, stake, bls }) => ({
    publicKey,
    stake,
    ...(bls && { bls: bls.publicKey }),
  }));
  return { validators: { bonds, stakeUnit } };
}

/** Runs the genesis and stores block 0. */
export async function storeGenesis(
  store: KeyValueStore,
  genesis: Genesis,
  id: string,
  machine: Machine,
): Promise<ChainHead> {
  const journal = createStateJournal(stateReaderOf(store));
  const { timeUs, parameters, ordering } = genesis;
  const era = eraOn(journal, genesis);
  machine.runGenesis(
    {
      journal,
      meter: createFuelMeter(GENESIS_FUEL),
      block: { chain: id, height: 0, parent: id, timeUs, era },
      origin: NOBODY,
      transactionId: id,
      events: [],
      user: new UserRun(),
    },
    { ...parameters, ...genesisBonds(ordering) },
  );
  const changes = journal.changes();
  const { root: stateRoot, writes } = updateStateTree(openStateTree(store), changes);
  const empty = entriesRoot([]);
  const header: Header = {
    chain: id,
    height: 0,
    parent: id,
    timeUs,
    transactionsRoot: empty,
    receiptsRoot: empty,
    stateRoot,
    fuelUsed: 0n,
  };
  const certificate = GENESIS_CERTIFICATE;
  await store.commit([
    ...stateWrites(changes),
    ...writes,
    { key: GENESIS_KEY, value: encodeGenesis(genesis) },
    { key: HEAD_KEY, value: encodeHeight(0) },
    { key: headerKey(0), value: encodeWith(certifiedHeader, { header, certificate }) },
  ]);
  return { header, certificate, hash: headerHash(header) };
}

/** Reads a stored header. @throws LEDGER_DATA_CORRUPT; undefined when there is none */
export function readHeader(store: KeyValueReader, height: number): CertifiedHeader | undefined {
  const bytes = store.get(headerKey(height));
  if (bytes === undefined) return undefined;
  try {
    const stored = decodeWith(certifiedHeader, bytes);
    if (stored.header.height === height) return stored;
  } catch (cause) {
    if (!isSeeleError(cause)) throw cause;
    throw corrupt(`block ${height}: its header cannot be read (${cause.message})`, cause);
  }
  throw corrupt(`block ${height}: another block's header lies in its place`);
}

/** Transactions or receipts of a block. @throws LEDGER_DATA_CORRUPT */
export function readPacked(
  store: KeyValueReader,
  height: number,
  what: 'transactions' | 'receipts',
): readonly Bytes[] {
  if (height === 0) return [];
  const bytes = store.get((what === 'receipts' ? receiptsKey : transactionsKey)(height));
  const items = bytes && unpackList(bytes);
  if (items === undefined) throw corrupt(`block ${height}: its ${what} are missing or cut short`);
  return items;
}

/** Checks one stored block against its header. @throws LEDGER_DATA_CORRUPT */
export function checkBlock(store: KeyValueReader, height: number): void {
  const stored = readHeader(store, height);
  if (stored === undefined) throw corrupt(`block ${height}: its header is missing`);
  const { transactionsRoot, receiptsRoot } = stored.header;
  if (entriesRoot(readPacked(store, height, 'transactions')) !== transactionsRoot)
    throw corrupt(`block ${height}: its transactions do not match its header`);
  if (entriesRoot(readPacked(store, height, 'receipts')) !== receiptsRoot)
    throw corrupt(`block ${height}: its receipts do not match its header`);
}

function checkGenesis(stored: Bytes, genesis: Genesis, id: string): void {
  // One value has one encoding: the same hash is the same genesis.
  if (hashOf(GENESIS_DOMAIN, stored) === id) return;
  let other: Genesis;
  try {
    other = decodeGenesis(stored);
  } catch (cause) {
    throw corrupt('block 0: the stored genesis cannot be read', cause);
  }
  throw ledgerError(
    'LEDGER_GENESIS_MISMATCH',
    `the data belong to chain ${genesisId(other)} (${other.chainName}), not to ${id} (${genesis.chainName})`,
  );
}

/** Follows the hashes down from the head. */
function checkHeaders(
  store: KeyValueReader,
  genesis: Genesis,
  head: ChainHead,
  verifySignature: VerifySignature,
): void {
  const state = stateReaderOf(store);
  let expected = head.hash;
  const first = Math.max(0, firstHeightOf(store) - 1);
  const lowest = Math.max(first, head.header.height - HEADERS_CHECKED + 1);
  for (let height = head.header.height; height >= lowest; height--) {
    const stored = readHeader(store, height);
    if (stored === undefined) throw corrupt(`block ${height}: its header is missing`);
    const { header, certificate } = stored;
    if (headerHash(header) !== expected)
      throw corrupt(`block ${height}: its header is not the one that block ${height + 1} follows`);
    if (height > 0 && !isCertifiedIn(state, genesis, header, certificate, verifySignature))
      throw corrupt(`block ${height}: its certificate does not hold`);
    expected = header.parent;
  }
}

/**
 * Checks the chain in a store: genesis, the last headers with their certificates, the last blocks, the
 * root of the state, after what the last blocks left to do was done. Undefined when the store is empty.
 * @throws LEDGER_GENESIS_MISMATCH, LEDGER_DATA_CORRUPT
 */
export async function checkStoredChain(
  store: KeyValueStore,
  genesis: Genesis,
  id: string,
  verifySignature: VerifySignature,
): Promise<ChainHead | undefined> {
  const storedGenesis = store.get(GENESIS_KEY);
  if (storedGenesis === undefined) {
    // What the ordering keeps may outlive a chain that begins anew.
    const others = [
      ...store.range({ start: Uint8Array.of(0), end: ORDERING.start, limit: 1 }),
      ...store.range({ start: ORDERING.end, end: Uint8Array.of(255), limit: 1 }),
    ];
    if (others.length > 0) throw corrupt('block 0: the store holds data but no genesis');
    return undefined;
  }
  checkGenesis(storedGenesis, genesis, id);
  const headBytes = store.get(HEAD_KEY);
  const height = headBytes && decodeHeight(headBytes);
  if (height === undefined) throw corrupt('the height of the last block cannot be read');
  const stored = readHeader(store, height);
  if (stored === undefined) throw corrupt(`block ${height}: its header is missing`);
  const head = { ...stored, hash: headerHash(stored.header) };
  checkHeaders(store, genesis, head, verifySignature);
  const below = Math.max(firstHeightOf(store) - 1, 0, height - BLOCKS_CHECKED);
  for (let h = height; h > below; h--) checkBlock(store, h);
  await catchUp(store, head.header);
  checkStateRoot(store, head);
  return head;
}

function checkStateRoot(store: KeyValueReader, { header: { height, stateRoot } }: ChainHead): void {
  let root = EMPTY_STATE_ROOT;
  try {
    const tree = openStateTree(store);
    ({ root } = tree);
    tree.get(new Uint8Array(32)); // Loads a path, which checks its nodes.
  } catch (cause) {
    if (!isSeeleError(cause)) throw cause;
    throw corrupt(`block ${height}: its state cannot be read (${cause.message})`, cause);
  }
  if (root !== stateRoot)
    throw corrupt(`block ${height}: the stored state is not the one it names`);
}
