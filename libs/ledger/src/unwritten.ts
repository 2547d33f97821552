/**
 * What follows from blocks and is written to the store behind them: nodes of the state tree and the
 * places of receipts. Both change at places all over the store, and what one block changes the next ones
 * mostly change again, so they go there once per some blocks. Every block leaves the keys it changed;
 * an opening does with them what a node that ended had still to do.
 */
import { sha256 } from '#libs/crypto';
import { HASH_BYTES, type NodeReader, type NodeWrites } from '#libs/merkle';
import {
  type Bytes,
  type KeyValueReader,
  type KeyValueSnapshot,
  type KeyValueStore,
  type KeyValueWrite,
  concatBytes,
  equalBytes,
  isSeeleError,
} from '#libs/kernel';
import { type Receipt, decodeReceipt } from './block.ts';
import { ledgerError } from './errors.ts';
import {
  HEAD_KEY,
  TREE_PREFIX,
  type ReceiptPlace,
  changedKey,
  decodeHeight,
  encodeHeight,
  indexEntries,
  packList,
  packedListHead,
  readStateKey,
  receiptsKey,
  unpackList,
} from './layout.ts';
import { keyText } from './journal.ts';
import { openStateTree } from './state-store.ts';
import { stateTreeKeyText, stateValueHashText } from './state-keys.ts';

/** Blocks after which everything is written; an opening catches up with as many. */
const BLOCKS_MAX = 16;
/** The same in nodes, where blocks change many: what is written at once holds the next block up. */
const NODES_MAX = 65_536;

/** Receipts of one block, as they are looked for. */
interface Listed {
  readonly height: number;
  /** Undefined for an invalid transaction: it did not happen, and may still be made valid later. */
  readonly transactions: readonly (string | undefined)[];
  /** Of the receipts' bytes. */
  readonly lengths: readonly number[];
}

function listed(height: number, receipts: readonly Receipt[], bytes: readonly Bytes[]): Listed {
  return {
    height,
    transactions: receipts.map(({ transaction, status }) =>
      status === 'invalid' ? undefined : transaction,
    ),
    lengths: bytes.map(({ length }) => length),
  };
}

type Places = readonly (readonly [transaction: string, place: ReceiptPlace])[];

function placesOf({ height, transactions, lengths }: Listed): Places {
  let offset = packedListHead(lengths.length);
  const places: [string, ReceiptPlace][] = [];
  for (let index = 0; index < lengths.length; index++) {
    const length = lengths[index] as number;
    const transaction = transactions[index];
    if (transaction !== undefined) places.push([transaction, { height, index, offset, length }]);
    offset += length;
  }
  return places;
}

/** What one block changed. */
interface Layer {
  readonly height: number;
  readonly nodes: NodeWrites;
  readonly receipts: Listed;
  /** Made when somebody asks. */
  places: ReadonlyMap<string, ReceiptPlace> | undefined;
}

export interface BlockChanges {
  readonly height: number;
  readonly nodes: NodeWrites;
  /** Store keys of the state entries that the block changed. */
  readonly stateKeys: readonly Bytes[];
  readonly receipts: readonly Receipt[];
  readonly receiptBytes: readonly Bytes[];
}

function nodeIn(layers: readonly Layer[], key: Bytes): Bytes | null | undefined {
  for (let i = layers.length - 1; i >= 0; i--) {
    const found = layers[i]?.nodes.get(key);
    if (found !== undefined) return found;
  }
  return undefined;
}

export class Unwritten {
  readonly #store: KeyValueStore;
  /** Stored blocks, oldest first; never changed in place. */
  #layers: readonly Layer[] = [];
  /** Of the block that is being stored. */
  #staged: Layer | undefined;
  #isWriting = false;
  /** Tree and index are those of this height in the store. */
  #writtenHeight: number;

  /** @param height of a store in which everything is written (`catchUp`) */
  constructor(store: KeyValueStore, height: number) {
    this.#store = store;
    this.#writtenHeight = height;
  }

  /** Nodes of the tree after the last stored block. */
  get nodes(): NodeReader {
    return { get: (key) => this.#read(this.#layers, this.#store, key) };
  }

  #read(layers: readonly Layer[], reader: KeyValueReader, key: Bytes): Bytes | undefined {
    const found = nodeIn(layers, key);
    return found === undefined ? reader.get(key) : (found ?? undefined);
  }

  /** What goes into the store with a block. */
  stage(block: BlockChanges): KeyValueWrite[] {
    const { height, nodes, stateKeys, receipts, receiptBytes } = block;
    const places = undefined;
    this.#staged = { height, nodes, receipts: listed(height, receipts, receiptBytes), places };
    const layers = [...this.#layers, this.#staged];
    const count = layers.reduce((sum, layer) => sum + layer.nodes.count, 0);
    this.#isWriting = layers.length >= BLOCKS_MAX || count >= NODES_MAX;
    if (!this.#isWriting)
      return [
        {
          key: changedKey(height),
          value: encodeChanged({ height, written: this.#writtenHeight, stateKeys }),
        },
      ];
    const writes: KeyValueWrite[] = [];
    const seen = new Set<string>();
    for (const layer of layers.reverse()) {
      writes.push(...layer.nodes.writes(seen));
      writes.push(...indexEntries(placesOf(layer.receipts)));
    }
    return writes;
  }

  /** What was staged last is stored. */
  stored(): void {
    const staged = this.#staged as Layer;
    this.#staged = undefined;
    this.#layers = this.#isWriting ? [] : [...this.#layers, staged];
    if (this.#isWriting) this.#writtenHeight = staged.height;
  }

  /** Where a receipt lies that the store's index does not name yet. */
  place(transaction: string): ReceiptPlace | undefined {
    for (const layer of this.#layers) {
      layer.places ??= new Map(placesOf(layer.receipts));
      const place = layer.places.get(transaction);
      if (place) return place;
    }
    return undefined;
  }

  /** The store as it is now, with the tree that belongs to its last block. */
  snapshot(): KeyValueSnapshot {
    const inner = this.#store.snapshot();
    const height = decodeHeight(inner.get(HEAD_KEY) ?? new Uint8Array());
    // The store may be one commit ahead of what has been announced.
    const staged = this.#staged?.height === height ? this.#staged : undefined;
    const layers = staged ? [...this.#layers, staged] : this.#layers;
    const [prefix] = TREE_PREFIX;
    return {
      get: (key) => (key[0] === prefix ? this.#read(layers, inner, key) : inner.get(key)),
      range: (range) => inner.range(range),
      close: () => inner.close(),
    };
  }
}

/** What a block leaves in the store for an opening. */
interface Changed {
  readonly height: number;
  /** Tree and index in the store are those of this height. */
  readonly written: number;
  /** Store keys of the state entries that the block changed. */
  readonly stateKeys: readonly Bytes[];
}

/** With its hash in front: nothing else says that a key is missing. */
function encodeChanged({ height, written, stateKeys }: Changed): Bytes {
  const list = packList([encodeHeight(height), encodeHeight(written), ...stateKeys]);
  return concatBytes(sha256(list), list);
}

/** Undefined when nothing is left to do for this block. @throws LEDGER_DATA_CORRUPT */
function readChanged(store: KeyValueReader, height: number): Changed | undefined {
  const bytes = store.get(changedKey(height));
  if (bytes === undefined) return undefined;
  const list = bytes.subarray(HASH_BYTES);
  const [stored, behind, ...stateKeys] = unpackList(list) ?? [];
  const written = behind && decodeHeight(behind);
  if (!stored || written === undefined || !equalBytes(sha256(list), bytes.subarray(0, HASH_BYTES)))
    throw corrupt(height, 'the list of what a block changed is damaged');
  return decodeHeight(stored) === height ? { height, written, stateKeys } : undefined;
}

const corrupt = (height: number, what: string, cause?: unknown) =>
  ledgerError('LEDGER_DATA_CORRUPT', `block ${height}: ${what}`, { cause });

/** Store keys that the blocks (from, to] changed. */
function changedKeys(store: KeyValueReader, from: number, to: number): Map<string, Bytes> {
  const keys = new Map<string, Bytes>();
  for (let height = from + 1; height <= to; height++) {
    const changed = readChanged(store, height);
    if (!changed) throw corrupt(height, 'what it changed is not in the store');
    for (const key of changed.stateKeys) keys.set(keyText(key), key);
  }
  return keys;
}

function treeWrites(
  store: KeyValueReader,
  keys: Iterable<Bytes>,
  stateRoot: string,
  height: number,
) {
  const tree = openStateTree(store);
  for (const key of keys) {
    const parts = readStateKey(key);
    if (!parts) throw corrupt(height, 'what it changed cannot be read');
    const value = store.get(key);
    tree.updateText(
      stateTreeKeyText(new TextDecoder().decode(parts.contractName), parts.key),
      value === undefined ? null : stateValueHashText(value),
    );
  }
  const { root, writes } = tree.commit();
  if (root !== stateRoot) throw corrupt(height, 'the stored state is not the one it names');
  return writes;
}

/**
 * Writes the tree and the index up to the last block, where the store's are behind.
 * @throws LEDGER_DATA_CORRUPT, storage errors
 */
export async function catchUp(
  store: KeyValueStore,
  head: { readonly height: number; readonly stateRoot: string },
): Promise<void> {
  const { height, stateRoot } = head;
  const last = readChanged(store, height);
  if (!last) return;
  const { written } = last;
  const writes: KeyValueWrite[] = [];
  try {
    const keys = changedKeys(store, written, height);
    writes.push(...treeWrites(store, keys.values(), stateRoot, height));
    for (let h = written + 1; h <= height; h++) {
      const receipts = unpackList(store.get(receiptsKey(h)) ?? new Uint8Array());
      if (!receipts) throw corrupt(h, 'its receipts are missing or cut short');
      writes.push(...indexEntries(placesOf(listed(h, receipts.map(decodeReceipt), receipts))));
      writes.push({ key: changedKey(h), value: null });
    }
  } catch (error) {
    if (!isSeeleError(error) || error.code === 'LEDGER_DATA_CORRUPT') throw error;
    throw corrupt(height, `its state cannot be read (${error.message})`, error);
  }
  await store.commit(writes);
}
