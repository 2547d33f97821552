/**
 * Structured values on their way from guest to host: a shape text and the primitives that fill it,
 * in order. The guest flattens, so the host only ever reads primitives and never walks an object
 * that the guest could have booby-trapped.
 *
 * Shape: `i` integer, `s` text, `b` bytes (each takes one leaf); `t` true, `f` false, `z` null;
 * `[n;` and n shapes for a list; `{n;` and n shapes for a map, each taking its key as a leaf first.
 */
import type { CborValue } from '#libs/kernel';
import { GuestAbort } from '../wasm/metered-instance.ts';

export const FLATTENED_DEPTH_MAX = 32;
export const FLATTENED_LEAVES_MAX = 8_192;

type ReadLeaf = (kind: 's' | 'i' | 'b') => unknown;

class Unflattener {
  readonly #shape: string;
  readonly #read: ReadLeaf;
  #at = 0;
  #leaves = 0;

  constructor(shape: string, read: ReadLeaf) {
    this.#shape = shape;
    this.#read = read;
  }

  whole(): CborValue {
    const value = this.#value(0);
    if (this.#at !== this.#shape.length) throw new GuestAbort('malformed value shape');
    return value;
  }

  #leaf(kind: 's' | 'i' | 'b'): CborValue {
    if (++this.#leaves > FLATTENED_LEAVES_MAX) throw new GuestAbort('value with too many parts');
    return this.#read(kind) as CborValue;
  }

  #count(): number {
    const end = this.#shape.indexOf(';', this.#at);
    const digits = end < 0 ? '' : this.#shape.slice(this.#at, end);
    if (!/^\d{1,5}$/.test(digits)) throw new GuestAbort('malformed value shape');
    this.#at = end + 1;
    return Number(digits);
  }

  #value(depth: number): CborValue {
    if (depth > FLATTENED_DEPTH_MAX) throw new GuestAbort('value nested too deep');
    const kind = this.#shape[this.#at++];
    switch (kind) {
      case 'i':
      case 's':
      case 'b':
        return this.#leaf(kind);
      case 't':
        return true;
      case 'f':
        return false;
      case 'z':
        return null;
      case '[': {
        const list: CborValue[] = [];
        for (let n = this.#count(); n > 0; n--) list.push(this.#value(depth + 1));
        return list;
      }
      case '{': {
        const map = Object.create(null) as Record<string, CborValue>;
        for (let n = this.#count(); n > 0; n--) {
          const key = this.#leaf('s') as string;
          if (Object.hasOwn(map, key)) throw new GuestAbort('value with a key twice');
          map[key] = this.#value(depth + 1);
        }
        return map;
      }
      default:
        throw new GuestAbort('malformed value shape');
    }
  }
}

/** Rebuilds a value from its shape, asking for each leaf by kind. @throws GuestAbort */
export function unflatten(shape: string, read: ReadLeaf): CborValue {
  return new Unflattener(shape, read).whole();
}
