/** Content of a deal, read back from whoever keeps its shards. */
import type { DealRecord, ShardRecord } from '#contracts';
import type { Bytes } from '#libs/kernel';
import type { BlobStore } from '#libs/storage';
import { openFile, parseCid } from '#libs/storage';
import type { OpenDeal } from './descriptor.ts';
import { dealsError } from './errors.ts';
import { gatewayReader } from './gateway.ts';
import { type ShardLayout, type UnitReader, contentOf, createMask, stripesFrom } from './shards.ts';

export interface ReadableDeal {
  readonly deal: DealRecord;
  readonly shards: readonly ShardRecord[];
  readonly content: OpenDeal;
  /** Gateway of a provider, from its offer. */
  readonly gatewayOf: (provider: string) => string | undefined;
}

export const layoutOf = (
  { needed, shards }: Pick<DealRecord, 'needed' | 'shards'>,
  { sizeBytes }: Pick<OpenDeal, 'sizeBytes'>,
): ShardLayout => ({ needed, shards, sizeBytes });

async function collect(parts: AsyncIterable<Bytes>): Promise<Bytes> {
  const all: Bytes[] = [];
  for await (const part of parts) all.push(part);
  return all.length === 1 ? (all[0] as Bytes) : Buffer.concat(all);
}

/** Reads one shard in order, decrypted. */
function shardReader(
  gateway: string,
  cid: string,
  mask: (bytes: Bytes) => Bytes,
  signal?: AbortSignal,
): UnitReader {
  const read = gatewayReader(gateway);
  const root = parseCid(cid);
  let next = 0;
  return async (offset, length) => {
    // The mask runs along with the shard: what another shard gave in its place is passed over.
    if (offset > next) mask(new Uint8Array(offset - next));
    const options = { offset, length, ...(signal && { signal }) };
    const bytes = await collect((await openFile(read, root, options)).content);
    next = offset + bytes.length;
    return mask(bytes);
  };
}

/** Readers of every shard that somebody holds and can be asked for. */
export function shardReaders(
  { shards, content, gatewayOf }: ReadableDeal,
  signal?: AbortSignal,
): ReadonlyMap<number, UnitReader> {
  const readers = new Map<number, UnitReader>();
  for (const [index, { state, provider, cid }] of shards.entries()) {
    if (state !== 'held' || provider === undefined || cid === undefined) continue;
    const gateway = gatewayOf(provider);
    if (gateway === undefined) continue;
    const mask = createMask(content.secret, index, provider);
    readers.set(index, shardReader(gateway, cid, mask, signal));
  }
  return readers;
}

export type Lost = (index: number, error: unknown) => void;

/** The stored file, from any shards that answer. @throws DEALS_TOO_FEW_SHARDS */
export function readDealFile(
  deal: ReadableDeal,
  lost?: Lost,
  signal?: AbortSignal,
): AsyncGenerator<Bytes> {
  const layout = layoutOf(deal.deal, deal.content);
  return contentOf(stripesFrom(shardReaders(deal, signal), layout, lost), layout);
}

/**
 * Puts the content of a deal back into the own storage, unpinned, and gives its CID. It is checked: what
 * comes out is what was stored, or nothing.
 *
 * @throws DEALS_TOO_FEW_SHARDS, DEALS_CONTENT_WRONG, and what `BlobStore` throws
 */
export async function restoreDeal(
  blobs: BlobStore,
  deal: ReadableDeal,
  options: {
    readonly lost?: Lost;
    readonly signal?: AbortSignal;
    readonly progress?: (bytes: number) => void;
  } = {},
): Promise<string> {
  const { lost, signal, progress } = options;
  async function* counted(): AsyncGenerator<Bytes> {
    let bytes = 0;
    for await (const part of readDealFile(deal, lost, signal)) {
      bytes += part.length;
      progress?.(bytes);
      yield part;
    }
  }
  const { cid, file, envelope } = deal.content;
  const put = await blobs.put(counted(), { pin: false, ...(signal && { signal }) });
  if (put.cid !== file)
    throw dealsError('DEALS_CONTENT_WRONG', `the shards give ${put.cid} where ${file} was stored`);
  if (envelope !== undefined) {
    const block = await blobs.putBlock(envelope, { codec: 'dag-cbor', pin: false });
    if (block.cid !== cid)
      throw dealsError('DEALS_CONTENT_WRONG', `the envelope is ${block.cid}, not ${cid}`);
  }
  return cid;
}
