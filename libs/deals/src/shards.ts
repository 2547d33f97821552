/**
 * Content in shards: cut into stripes, coded, and encrypted for whoever is to keep each one.
 *
 * A stripe is one MiB of every shard, so shards are written and read stripe by stripe, with a few MiB of
 * memory, and a piece of a shard is one leaf block. With one data shard every shard is a copy.
 *
 * The mask: shard `i` kept by provider P is AES-256-CTR under a key made of the deal's secret, `i` and P.
 * No two providers hold equal bytes, none can make its own from another's without the secret; so one copy
 * answers for one provider only.
 */
import { type Cipheriv, createCipheriv } from 'node:crypto';
import { hkdfSha256 } from '#libs/crypto';
import { createErasureCode } from '#libs/erasure';
import { type AccountId, type Bytes, concatBytes, hexToBytes, utf8 } from '#libs/kernel';
import { dealsError } from './errors.ts';

/** One leaf block of the storage profile. */
const UNIT_BYTES = 1024 * 1024;
const MASK_DOMAIN = 'seele/shard-mask/1';

export interface ShardLayout {
  /** As many shards as are needed to get the content back. */
  readonly needed: number;
  readonly shards: number;
  /** Of the content. */
  readonly sizeBytes: number;
}

/** Unit of each stripe in bytes: a MiB, the last one what is left. */
function unitOf({ needed, sizeBytes }: ShardLayout, stripe: number): number {
  const left = sizeBytes - stripe * needed * UNIT_BYTES;
  return Math.min(UNIT_BYTES, Math.ceil(left / needed));
}

const stripeCount = ({ needed, sizeBytes }: ShardLayout): number =>
  Math.ceil(sizeBytes / (needed * UNIT_BYTES));

export function shardSize(layout: ShardLayout): number {
  const last = stripeCount(layout) - 1;
  return last * UNIT_BYTES + unitOf(layout, last);
}

/** Encrypts or decrypts a shard from its beginning on. */
export function createMask(
  secret: Bytes,
  index: number,
  provider: AccountId,
): (bytes: Bytes) => Bytes {
  const info = concatBytes(
    utf8(MASK_DOMAIN),
    Uint8Array.of(0, index >> 8, index & 255),
    hexToBytes(provider) as Bytes,
  );
  const key = hkdfSha256(secret, new Uint8Array(), info, 32);
  const cipher: Cipheriv = createCipheriv('aes-256-ctr', key, new Uint8Array(16));
  return (bytes) => cipher.update(bytes);
}

/** All shards of a stripe. */
type Stripe = readonly Bytes[];

function codeOf({ needed, shards }: ShardLayout) {
  const parityShards = shards - needed;
  return needed === 1 || parityShards === 0
    ? undefined
    : createErasureCode({ dataShards: needed, parityShards });
}

/** Cuts content into stripes and codes them. Each is good until the next is asked for. */
export async function* stripesOf(
  source: AsyncIterable<Bytes>,
  layout: ShardLayout,
): AsyncGenerator<Stripe> {
  const { needed, shards, sizeBytes } = layout;
  const code = codeOf(layout);
  const buffer = new Uint8Array(needed * UNIT_BYTES);
  let filled = 0;
  let stripe = 0;
  let seen = 0;
  const close = (): Stripe => {
    const unit = unitOf(layout, stripe++);
    buffer.fill(0, filled);
    filled = 0;
    const data = Array.from({ length: needed }, (_, i) =>
      buffer.subarray(i * unit, (i + 1) * unit),
    );
    if (code) return [...data, ...code.encode(data)];
    return needed === 1 ? Array.from({ length: shards }, () => data[0] as Bytes) : data;
  };
  for await (const chunk of source)
    for (let at = 0; at < chunk.length;) {
      const part = chunk.subarray(at, at + buffer.length - filled);
      buffer.set(part, filled);
      filled += part.length;
      at += part.length;
      seen += part.length;
      if (seen > sizeBytes) break;
      if (filled === buffer.length) yield close();
    }
  if (seen !== sizeBytes)
    throw dealsError('DEALS_CONTENT_WRONG', `it has other than ${sizeBytes} bytes`);
  if (filled > 0) yield close();
}

/** Reads a unit of one shard, decrypted. */
export type UnitReader = (offset: number, length: number) => Promise<Bytes>;

/**
 * The stripes again, from any shards that answer: who fails is not asked again.
 * @throws DEALS_TOO_FEW_SHARDS
 */
export async function* stripesFrom(
  readers: ReadonlyMap<number, UnitReader>,
  layout: ShardLayout,
  lost: (index: number, error: unknown) => void = () => {},
): AsyncGenerator<Stripe> {
  const { needed, shards } = layout;
  const code = codeOf(layout);
  const alive = new Map([...readers].sort(([a], [b]) => a - b));
  for (let stripe = 0; stripe < stripeCount(layout); stripe++) {
    const unit = unitOf(layout, stripe);
    const units = new Map<number, Bytes>();
    while (units.size < needed) {
      const next = [...alive].filter(([index]) => !units.has(index)).slice(0, needed - units.size);
      if (units.size + next.length < needed)
        throw dealsError(
          'DEALS_TOO_FEW_SHARDS',
          `${units.size + next.length} of ${shards} shards can be read, ${needed} are needed`,
        );
      await Promise.all(
        next.map(async ([index, read]) => {
          try {
            const bytes = await read(stripe * UNIT_BYTES, unit);
            if (bytes.length !== unit)
              throw dealsError('DEALS_CONTENT_WRONG', `shard ${index} is too short`);
            units.set(index, bytes);
          } catch (error) {
            alive.delete(index);
            lost(index, error);
          }
        }),
      );
    }
    const held = Array.from({ length: shards }, (_, index) => units.get(index));
    if (code) yield code.rebuild(held);
    else if (needed === 1) yield held.map(() => [...units.values()][0] as Bytes);
    else yield held as Bytes[];
  }
}

/** The content from its stripes. */
export async function* contentOf(
  stripes: AsyncIterable<Stripe>,
  { needed, sizeBytes }: ShardLayout,
): AsyncGenerator<Bytes> {
  let left = sizeBytes;
  for await (const stripe of stripes)
    for (const unit of stripe.slice(0, needed)) {
      if (left <= 0) return;
      yield left < unit.length ? unit.subarray(0, left) : unit;
      left -= unit.length;
    }
}

/** Hands one value over at a time; `push` waits until the one before was taken. */
function createHandover() {
  let offered = Promise.withResolvers<Bytes | undefined>();
  let taken = Promise.withResolvers<void>();
  let failure: { readonly error: unknown } | undefined;
  async function* stream(): AsyncGenerator<Bytes> {
    for (;;) {
      if (failure !== undefined) throw failure.error;
      const value = await offered.promise;
      if (value === undefined) return;
      offered = Promise.withResolvers();
      taken.resolve();
      taken = Promise.withResolvers();
      yield value;
    }
  }
  return {
    stream,
    async push(value: Bytes | undefined): Promise<void> {
      const done = taken.promise;
      offered.resolve(value);
      if (value !== undefined) await done;
    },
    fail(reason: unknown): void {
      failure = { error: reason };
      offered.promise.catch(() => {});
      offered.reject(reason);
    },
  };
}

/**
 * Gives chosen shards of the stripes to `take`, each as a stream of its own, all at once.
 * @param prepare what becomes of a unit before it is given (its mask); must copy
 */
export async function shardsTo<T>(
  stripes: AsyncIterable<Stripe>,
  wanted: readonly number[],
  prepare: (index: number, unit: Bytes) => Bytes,
  take: (index: number, stream: AsyncIterable<Bytes>) => Promise<T>,
): Promise<readonly T[]> {
  const handovers = wanted.map(createHandover);
  const stopped = Promise.withResolvers<never>();
  const taking = wanted.map((index, i) => {
    const result = take(index, (handovers[i] as ReturnType<typeof createHandover>).stream());
    result.catch((error: unknown) => stopped.reject(error));
    return result;
  });
  stopped.promise.catch(() => {});
  const toAll = (value: (i: number) => Bytes | undefined) =>
    Promise.race([Promise.all(handovers.map((one, i) => one.push(value(i)))), stopped.promise]);
  try {
    for await (const stripe of stripes) {
      const units = wanted.map((index) => prepare(index, stripe[index] as Bytes));
      await toAll((i) => units[i]);
    }
    await toAll(() => undefined);
  } catch (error) {
    for (const one of handovers) one.fail(error);
    await Promise.allSettled(taking);
    throw error;
  }
  return Promise.all(taking);
}
