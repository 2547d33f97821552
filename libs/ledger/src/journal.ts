/**
 * State as one block sees it while it executes: committed entries below, changes of the block above,
 * and an undo list that takes back any suffix of the changes (revert, trap, invalid transaction).
 */
import type { Bytes } from '#libs/kernel';
import { type ByteText, bytesToText } from '#libs/merkle';

/** Committed state, by contract and key. */
export interface StateReader {
  /** @param text the key as `keyText` gives it, where that is known */
  get(contract: string, key: Bytes, text?: ByteText): Bytes | undefined;
  /** Entries whose key begins with `prefix`, in key order, strictly after `cursor` when given. */
  scan(
    contract: string,
    prefix: Bytes,
    cursor: Bytes | undefined,
  ): Iterable<readonly [key: Bytes, value: Bytes]>;
}

export interface StateChange {
  readonly contract: string;
  readonly key: Bytes;
  /** The key as `keyText` gives it. */
  readonly text: ByteText;
  readonly before: Bytes | undefined;
  readonly after: Bytes | undefined;
}

export interface StateJournal {
  get(contract: string, key: Bytes): Bytes | undefined;
  /** Keeps `value` as it is: the caller must not change it afterwards. */
  put(contract: string, key: Bytes, value: Bytes): void;
  delete(contract: string, key: Bytes): void;
  scan(
    contract: string,
    prefix: Bytes,
    cursor: Bytes | undefined,
    limit: number,
  ): (readonly [key: Bytes, value: Bytes])[];
  /** A point to return to. */
  checkpoint(): number;
  /** Undoes every change made since the checkpoint. */
  revertTo(checkpoint: number): void;
  /** Changes made so far stay: earlier checkpoints hold no more. */
  settle(): void;
  /** Entries that differ from committed state, in no particular but a deterministic order. */
  changes(): StateChange[];
}

interface Entry {
  readonly key: Bytes;
  readonly text: ByteText;
  readonly before: Bytes | undefined;
  after: Bytes | undefined;
}

/** Changed and read entries of one contract. Text keys hold one byte per character. */
interface Layer {
  readonly entries: Map<string, Entry>;
  /** Text keys in order; made by the first scan, kept in order from then on. */
  sorted: string[] | undefined;
  /** The two entries asked for last: payer and payee are asked for again and again. */
  last: Entry | undefined;
  lastBut: Entry | undefined;
}

/** A key as text of one character per byte: what maps are keyed by. Keys are few bytes (`MAX_KEY_BYTES`). */
export const keyText = (bytes: Bytes): ByteText => bytesToText(bytes);

/** From the end: keys of one contract mostly begin alike. */
function sameKey(a: Bytes, b: Bytes): boolean {
  if (a.length !== b.length) return false;
  for (let i = a.length - 1; i >= 0; i--) if (a[i] !== b[i]) return false;
  return true;
}

/** Index of the first element that is not below `text`. */
function lowerBound(sorted: readonly string[], text: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] as string) < text) low = middle + 1;
    else high = middle;
  }
  return low;
}

export function sameBytes(a: Bytes | undefined, b: Bytes | undefined): boolean {
  if (a === b) return true;
  if (a === undefined || b === undefined || a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

class Journal implements StateJournal {
  readonly #base: StateReader;
  readonly #layers = new Map<string, Layer>();
  /** What changed, and what it held before, oldest first; used again by every transaction. */
  readonly #changed: Entry[] = [];
  readonly #held: (Bytes | undefined)[] = [];
  #changes = 0;

  constructor(base: StateReader) {
    this.#base = base;
  }

  #layer(contract: string): Layer {
    let layer = this.#layers.get(contract);
    if (layer === undefined) {
      layer = { entries: new Map(), sorted: undefined, last: undefined, lastBut: undefined };
      this.#layers.set(contract, layer);
    }
    return layer;
  }

  #entry(contract: string, key: Bytes): Entry {
    const layer = this.#layer(contract);
    const { last, lastBut } = layer;
    if (last !== undefined && sameKey(last.key, key)) return last;
    const entry =
      lastBut !== undefined && sameKey(lastBut.key, key)
        ? lastBut
        : this.#find(layer, contract, key);
    layer.lastBut = last;
    layer.last = entry;
    return entry;
  }

  #find(layer: Layer, contract: string, key: Bytes): Entry {
    const text = keyText(key);
    let entry = layer.entries.get(text);
    if (entry === undefined) {
      const before = this.#base.get(contract, key, text);
      entry = { key: key.slice(), text, before, after: before };
      layer.entries.set(text, entry);
      if (layer.sorted) layer.sorted.splice(lowerBound(layer.sorted, text), 0, text);
    }
    return entry;
  }

  #set(contract: string, key: Bytes, after: Bytes | undefined): void {
    const entry = this.#entry(contract, key);
    this.#changed[this.#changes] = entry;
    this.#held[this.#changes++] = entry.after;
    entry.after = after;
  }

  get(contract: string, key: Bytes): Bytes | undefined {
    return this.#entry(contract, key).after;
  }

  put(contract: string, key: Bytes, value: Bytes): void {
    this.#set(contract, key, value);
  }

  delete(contract: string, key: Bytes): void {
    this.#set(contract, key, undefined);
  }

  /** Merges two ordered lists: committed entries, and this block's entries, which win. */
  scan(
    contract: string,
    prefix: Bytes,
    cursor: Bytes | undefined,
    limit: number,
  ): (readonly [Bytes, Bytes])[] {
    const layer = this.#layer(contract);
    layer.sorted ??= [...layer.entries.keys()].sort();
    const { sorted } = layer;
    const prefixText = keyText(prefix);
    const cursorText = cursor && keyText(cursor);
    const out: (readonly [Bytes, Bytes])[] = [];
    let next = lowerBound(sorted, prefixText);
    if (cursorText !== undefined && cursorText >= prefixText) {
      next = lowerBound(sorted, cursorText);
      if (sorted[next] === cursorText) next++;
    }
    /** Takes own entries below `text`, or all that are left. */
    const takeOwn = (below: string | undefined): void => {
      for (; out.length < limit && next < sorted.length; next++) {
        const own = sorted[next] as string;
        if (!own.startsWith(prefixText) || (below !== undefined && own >= below)) return;
        const entry = layer.entries.get(own) as Entry;
        if (entry.after !== undefined) out.push([entry.key, entry.after]);
      }
    };
    if (limit <= 0) return out;
    for (const [key, value] of this.#base.scan(contract, prefix, cursor)) {
      const text = keyText(key);
      takeOwn(text);
      if (out.length >= limit) return out;
      const own = layer.entries.get(text);
      if (own !== undefined) continue; // Taken, or skipped as deleted, by the next takeOwn.
      out.push([key, value]);
      if (out.length >= limit) return out;
    }
    takeOwn(undefined);
    return out;
  }

  checkpoint(): number {
    return this.#changes;
  }

  revertTo(checkpoint: number): void {
    while (this.#changes > checkpoint) {
      const entry = this.#changed[--this.#changes] as Entry;
      entry.after = this.#held[this.#changes];
    }
  }

  settle(): void {
    this.#changes = 0;
  }

  changes(): StateChange[] {
    const out: StateChange[] = [];
    for (const [contract, { entries }] of this.#layers)
      for (const { key, text, before, after } of entries.values())
        if (!sameBytes(before, after)) out.push({ contract, key, text, before, after });
    return out;
  }
}

export function createStateJournal(base: StateReader): StateJournal {
  return new Journal(base);
}
