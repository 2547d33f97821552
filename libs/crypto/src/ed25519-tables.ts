/**
 * Many signatures at once, of keys that sign again and again: with a table per key the equation
 * encode([S]B − [k]A) = R takes a fifth of the time that libsodium needs for it. The rule is that of
 * `ed25519.ts`, to the bit: nothing is added up over signatures, each stands for itself.
 *
 * A key's table is made when it is seen for the second time. What comes for the first time goes to
 * libsodium, and so does everything that would be refused: nobody is called a liar by one opinion.
 */
import { hash } from 'node:crypto';
import type { Bytes } from '#libs/kernel';
import { KEY_TYPE_ED25519 } from './accounts.ts';
import { acceptableKey, hasAcceptableForm } from './ed25519.ts';
import { EdwardsLanes, PAIRS_MAX, scalarWords } from './edwards-lanes.ts';
import { type Limbs, limbsOf } from './edwards-limbs.ts';
import { domainPrefix } from './hashes.ts';
import { type SignatureVerifier, verifySignature } from './signatures.ts';
import { sodium } from './sodium.ts';

export interface SignedMessage {
  /** Tagged public key, hex. */
  readonly publicKey: string;
  readonly message: Bytes;
  readonly signature: Bytes;
}

/** Whether each of the messages is signed, in that domain, by its key; never throws. */
export type BatchVerifier = (domain: string, signed: readonly SignedMessage[]) => boolean[];

/** 4.2 KB each. */
const DEFAULT_TABLES_MAX = 4_096;
/** While signatures are computed together, no table of theirs may give way to another. */
const TABLES_MIN = 8 * PAIRS_MAX;
const SEEN_MAX = 65_536;
const KEY_BYTES = 32;
/** An inversion is shared by those that are computed together; fewer go to libsodium. */
const TOGETHER_MIN = 3;

const L = 2n ** 252n + 27742317777372353535851937790883648493n;
const L_WORDS = Uint32Array.from({ length: 8 }, (_, i) =>
  Number((L >> BigInt(32 * i)) & 0xffff_ffffn),
);

const wordAt = (bytes: Bytes, at: number): number =>
  ((bytes[at] as number) |
    ((bytes[at + 1] as number) << 8) |
    ((bytes[at + 2] as number) << 16) |
    ((bytes[at + 3] as number) << 24)) >>>
  0;

/** Reads S as an odd number that is the same mod L; false when it is not below L. */
function readS(signature: Bytes, out: Uint32Array): boolean {
  let isLess = false;
  for (let i = 7; i >= 0; i--) {
    const word = wordAt(signature, KEY_BYTES + 4 * i);
    const limit = L_WORDS[i] as number;
    out[i] = word;
    if (!isLess && word > limit) return false;
    isLess ||= word < limit;
  }
  if (!isLess) return false;
  if (((out[0] as number) & 1) === 1) return true;
  let carry = 0;
  for (let i = 0; i < 8; i++) {
    const sum = (out[i] as number) + (L_WORDS[i] as number) + carry;
    out[i] = sum;
    carry = sum >= 2 ** 32 ? 1 : 0;
  }
  return true;
}

/** Limbs of 21 bits: 2^252 = 12 of them, and mod L that is minus these six (as in SUPERCOP's ref10). */
const FOLD = [666_643, 470_296, 654_183, -997_805, 136_657, -683_901] as const;
const SCALAR_LIMB = 2 ** 21;
const wide = new Float64Array(24);

/** Adds what is in limb `from`, 12 places too high, to where it belongs. */
function fold(from: number): void {
  const limb = wide[from] as number;
  for (let j = 0; j < FOLD.length; j++)
    wide[from - 12 + j] = (wide[from - 12 + j] as number) + limb * (FOLD[j] as number);
  wide[from] = 0;
}

/** Carries from limb `from` and every second after it, up to `to`; to the nearest when `half` is ½. */
function carry(from: number, to: number, step: number, half: number): void {
  for (let i = from; i <= to; i += step) {
    const over = Math.floor((wide[i] as number) / SCALAR_LIMB + half);
    wide[i] = (wide[i] as number) - over * SCALAR_LIMB;
    wide[i + 1] = (wide[i + 1] as number) + over;
  }
}

/** 64 bytes, little-endian, mod L, as words of 32 bits. */
export function reduceWide(bytes: Bytes, out: Uint32Array): void {
  for (let i = 0; i < 23; i++)
    wide[i] = (wordAt(bytes, (21 * i) >> 3) >>> ((21 * i) & 7)) & (SCALAR_LIMB - 1);
  wide[23] = wordAt(bytes, 60) >>> 3;
  for (let i = 23; i >= 18; i--) fold(i);
  carry(6, 16, 2, 0.5);
  carry(7, 15, 2, 0.5);
  for (let i = 17; i >= 12; i--) fold(i);
  carry(0, 10, 2, 0.5);
  carry(1, 11, 2, 0.5);
  fold(12);
  carry(0, 11, 1, 0);
  fold(12);
  carry(0, 10, 1, 0);
  for (let word = 0; word < 8; word++) {
    const limb = Math.floor((32 * word) / 21);
    const shift = 32 * word - 21 * limb;
    const low = (wide[limb] as number) >>> shift;
    const middle = (wide[limb + 1] as number) << (21 - shift);
    // Two limbs from this place on may be all there is room for.
    const high = shift > 10 ? (wide[limb + 2] as number) << (42 - shift) : 0;
    out[word] = low | middle | high;
  }
}

const digest = new Uint8Array(64);
const INPUT_MAX = 2_048;
const input = new Uint8Array(INPUT_MAX);
const views: (Bytes | undefined)[] = [];

/** k = SHA-512(R ‖ A ‖ what is signed) mod L */
function readK(key: Bytes, prefix: Bytes, { message, signature }: SignedMessage, out: Uint32Array) {
  const head = 2 * KEY_BYTES + prefix.length;
  const length = head + message.length;
  const whole =
    length > INPUT_MAX ? new Uint8Array(length) : (views[length] ??= input.subarray(0, length));
  for (let i = 0; i < KEY_BYTES; i++) whole[i] = signature[i] as number;
  whole.set(key, KEY_BYTES);
  whole.set(prefix, 2 * KEY_BYTES);
  whole.set(message, head);
  if (sodium) sodium.crypto_hash_sha512(digest, whole);
  else digest.set(hash('sha512', whole, 'buffer'));
  reduceWide(digest, out);
}

const equalLimbs = (a: Limbs, b: Limbs): boolean =>
  a[0] === b[0] && a[1] === b[1] && a[2] === b[2] && a[3] === b[3] && a[4] === b[4];

interface KeyTable {
  /** Its number in `EdwardsLanes`. */
  readonly table: number;
  readonly key: Bytes;
}

/** Tables of the keys used last, in two generations (as `GenerationCache`). */
class KeyTables {
  readonly #lanes: EdwardsLanes;
  readonly #half: number;
  #young = new Map<string, KeyTable>();
  #old = new Map<string, KeyTable>();
  #seen = new Set<string>();
  readonly #free: number[] = [];
  #made = 0;

  constructor(lanes: EdwardsLanes, max: number) {
    this.#lanes = lanes;
    this.#half = Math.max(TABLES_MIN, max) >> 1;
  }

  /** The table of a key that was seen before; undefined for a new one and for what is no point. */
  of(publicKey: string): KeyTable | undefined {
    const young = this.#young.get(publicKey);
    if (young !== undefined) return young;
    const old = this.#old.get(publicKey);
    if (old !== undefined) {
      this.#old.delete(publicKey);
      return this.#keep(publicKey, old);
    }
    if (!this.#seen.delete(publicKey)) {
      if (this.#seen.size >= SEEN_MAX) this.#seen.clear();
      this.#seen.add(publicKey);
      return undefined;
    }
    return this.#make(publicKey);
  }

  #make(publicKey: string): KeyTable | undefined {
    if (!publicKey.startsWith(KEY_TYPE_ED25519)) return undefined;
    const key = acceptableKey(publicKey.slice(KEY_TYPE_ED25519.length));
    if (key === null) return undefined;
    const table = this.#free.pop() ?? this.#made++;
    this.#lanes.reserve(this.#made);
    if (this.#lanes.build(table, key)) return this.#keep(publicKey, { table, key });
    this.#free.push(table);
    return undefined;
  }

  #keep(publicKey: string, table: KeyTable): KeyTable {
    if (this.#young.size >= this.#half) {
      for (const old of this.#old.values()) this.#free.push(old.table);
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(publicKey, table);
    return table;
  }
}

class TableVerifier {
  readonly #lanes: EdwardsLanes;
  readonly #tables: KeyTables;
  readonly #s = scalarWords();
  readonly #k = scalarWords();
  readonly #r: Limbs = new Float64Array(5);
  readonly #together: { readonly table: number; readonly key: Bytes; readonly index: number }[] =
    [];

  readonly #alone: SignatureVerifier;

  constructor(lanes: EdwardsLanes, { tablesMax, alone }: BatchOptions) {
    this.#lanes = lanes;
    this.#alone = alone ?? verifySignature;
    this.#tables = new KeyTables(lanes, tablesMax ?? DEFAULT_TABLES_MAX);
  }

  verify(domain: string, signed: readonly SignedMessage[]): boolean[] {
    const results = signed.map(() => false);
    const alone: number[] = [];
    for (const [index, { publicKey, signature }] of signed.entries()) {
      const found = hasAcceptableForm(signature) ? this.#tables.of(publicKey) : undefined;
      if (found === undefined) alone.push(index);
      else this.#together.push({ ...found, index });
      if (this.#together.length === 2 * PAIRS_MAX) this.#settle(domain, signed, results);
    }
    this.#settle(domain, signed, results);
    for (const index of alone)
      results[index] = single(domain, signed[index] as SignedMessage, this.#alone);
    return results;
  }

  #settle(domain: string, signed: readonly SignedMessage[], results: boolean[]): void {
    const together = this.#together;
    const count = together.length;
    if (count >= TOGETHER_MIN) {
      const prefix = domainPrefix(domain);
      // Of an odd number the last one is computed in both lanes.
      for (let at = 0; at < count + (count & 1); at++) {
        const { table, key, index } = together[Math.min(at, count - 1)] as (typeof together)[0];
        const item = signed[index] as SignedMessage;
        // An S that is too large leaves an odd number behind that means nothing; libsodium refuses it.
        results[index] = readS(item.signature, this.#s);
        readK(key, prefix, item, this.#k);
        this.#lanes.choose((at & 1) as 0 | 1, table, this.#s, this.#k);
        if ((at & 1) === 1) this.#lanes.compute(at >> 1);
      }
      this.#lanes.affine((count + 1) >> 1, (pair, lane, x, y) => {
        const index = together[2 * pair + lane]?.index;
        if (index === undefined) return;
        const { signature } = signed[index] as SignedMessage;
        limbsOf(signature, 0, this.#r);
        const sign = (signature[31] as number) >> 7;
        results[index] =
          results[index] === true && equalLimbs(y, this.#r) && (x[0] as number) % 2 === sign;
      });
    }
    for (const { index } of together)
      results[index] ||= single(domain, signed[index] as SignedMessage, this.#alone);
    together.length = 0;
  }
}

const single = (
  domain: string,
  { publicKey, message, signature }: SignedMessage,
  verify: SignatureVerifier,
): boolean => verify(publicKey, domain, message, signature);

export interface BatchOptions {
  /** Keys that have a table, 4.2 KB each; at least 512, by default 4 096. */
  readonly tablesMax?: number;
  /** Decides about what has no table and about what tables would refuse; `verifySignature`. */
  readonly alone?: SignatureVerifier;
}

/**
 * A verifier of many signatures, with tables of its own. Where the processor or the runtime has no fused
 * multiply-add for two numbers at a time, each signature is checked alone.
 */
export function createBatchVerifier(options: BatchOptions = {}): BatchVerifier {
  let lanes: EdwardsLanes;
  try {
    lanes = new EdwardsLanes();
  } catch {
    const { alone = verifySignature } = options;
    return (domain, signed) => signed.map((item) => single(domain, item, alone));
  }
  const verifier = new TableVerifier(lanes, options);
  return (domain, signed) => verifier.verify(domain, signed);
}
