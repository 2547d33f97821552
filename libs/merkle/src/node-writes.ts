/**
 * What one commit of a state tree changes in the store, behind each other in one buffer: thousands of
 * nodes per block that are looked at once, or never when a later block changes them again. As arrays of
 * their own they would be most of what the garbage collector has to do.
 *
 *   key length u16, value length u32 (all ones: the node goes), key, value; little endian
 */
import type { Bytes, KeyValueWrite } from '#libs/kernel';
import { bytesToText } from './byte-text.ts';

const HEAD_BYTES = 6;
const REMOVED = 0xffff_ffff;
const FIRST_CHUNK_BYTES = 4 * 1024;

export class NodeWrites {
  #bytes = new Uint8Array();
  #view = new DataView(this.#bytes.buffer);
  #used = 0;
  #count = 0;
  /** Where the last record of each key begins; made when somebody asks. */
  #places: Map<string, number> | undefined;

  /** @param roomBytes how much is likely to be written: growing copies it and touches new pages */
  constructor(roomBytes = 0) {
    if (roomBytes > FIRST_CHUNK_BYTES) this.#grow(roomBytes);
  }

  /** Where what was made room for is written; another one after the next `add`. */
  get buffer(): Bytes {
    return this.#bytes;
  }

  /** Bytes used. */
  get sizeBytes(): number {
    return this.#used;
  }

  /** How many nodes are written or removed. */
  get count(): number {
    return this.#count;
  }

  /**
   * Makes room for one node and says where in `buffer` its key goes, its value right behind; a
   * `valueBytes` of undefined removes the node.
   */
  add(keyBytes: number, valueBytes: number | undefined): number {
    const at = this.#used + HEAD_BYTES;
    const end = at + keyBytes + (valueBytes ?? 0);
    if (end > this.#bytes.length) this.#grow(end);
    this.#view.setUint16(this.#used, keyBytes, true);
    this.#view.setUint32(this.#used + 2, valueBytes ?? REMOVED, true);
    this.#used = end;
    this.#count++;
    this.#places = undefined;
    return at;
  }

  #grow(least: number): void {
    const grown = new Uint8Array(Math.max(least, 2 * this.#bytes.length, FIRST_CHUNK_BYTES));
    grown.set(this.#bytes.subarray(0, this.#used));
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }

  #record(start: number): { readonly keyEnd: number; readonly valueEnd: number | undefined } {
    const keyEnd = start + HEAD_BYTES + this.#view.getUint16(start, true);
    const valueBytes = this.#view.getUint32(start + 2, true);
    return { keyEnd, valueEnd: valueBytes === REMOVED ? undefined : keyEnd + valueBytes };
  }

  /** What a key holds after these writes; null when it is removed, undefined when it is not among them. */
  get(key: Bytes): Bytes | null | undefined {
    const start = this.#find().get(bytesToText(key));
    if (start === undefined) return undefined;
    const { keyEnd, valueEnd } = this.#record(start);
    return valueEnd === undefined ? null : this.#bytes.subarray(keyEnd, valueEnd);
  }

  #find(): ReadonlyMap<string, number> {
    if (this.#places) return this.#places;
    const places = new Map<string, number>();
    for (let start = 0; start < this.#used;) {
      const { keyEnd, valueEnd } = this.#record(start);
      places.set(bytesToText(this.#bytes, start + HEAD_BYTES, keyEnd), start);
      start = valueEnd ?? keyEnd;
    }
    this.#places = places;
    return places;
  }

  /** The writes for the store, in views of the buffer; without those of the keys in `but`, which then has all. */
  writes(but?: Set<string>): KeyValueWrite[] {
    const out: KeyValueWrite[] = [];
    for (const [text, start] of this.#find()) {
      if (but?.has(text)) continue;
      but?.add(text);
      const { keyEnd, valueEnd } = this.#record(start);
      const key = this.#bytes.subarray(start + HEAD_BYTES, keyEnd);
      out.push({
        key,
        value: valueEnd === undefined ? null : this.#bytes.subarray(keyEnd, valueEnd),
      });
    }
    return out;
  }
}
