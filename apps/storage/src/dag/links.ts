/** Codecs of blocks, their links, and the walk over everything that a root reaches. */
import type { Bytes } from '#libs/kernel';
import { RAW_CODE, storageError } from '#libs/storage';
import * as dagCbor from '@ipld/dag-cbor';
import * as dagJson from '@ipld/dag-json';
import * as dagPb from '@ipld/dag-pb';
import { createUnsafe } from 'multiformats/block';
import { CID } from 'multiformats/cid';
import * as json from 'multiformats/codecs/json';
import * as raw from 'multiformats/codecs/raw';

export interface Codec {
  readonly name: string;
  readonly code: number;
  encode(value: unknown): Bytes;
  decode(bytes: Bytes): unknown;
}

const codecs = [raw, dagPb, dagCbor, dagJson, json] as unknown as readonly Codec[];

/** Other names under which Kubo and its clients know the codecs. */
const aliases: Readonly<Record<string, string>> = {
  protobuf: 'dag-pb',
  cbor: 'dag-cbor',
};

/** @throws STORAGE_UNSUPPORTED */
export function codecNamed(name: string): Codec {
  const found = codecs.find((codec) => codec.name === (aliases[name] ?? name));
  if (found !== undefined) return found;
  throw storageError(
    'STORAGE_UNSUPPORTED',
    `codec ${JSON.stringify(name.slice(0, 40))} is not one of ` +
      codecs.map((codec) => codec.name).join(', '),
  );
}

/** @throws STORAGE_UNSUPPORTED */
export function codecOf(cid: CID): Codec {
  const found = codecs.find((codec) => codec.code === cid.code);
  if (found !== undefined) return found;
  throw storageError(
    'STORAGE_UNSUPPORTED',
    `${cid.toString()} has codec 0x${cid.code.toString(16)}, which is not known here`,
  );
}

/** @throws STORAGE_MALFORMED, STORAGE_UNSUPPORTED */
export function decodeBlock(cid: CID, bytes: Bytes): unknown {
  const codec = codecOf(cid);
  try {
    return codec.decode(bytes);
  } catch (error) {
    throw storageError(
      'STORAGE_MALFORMED',
      `${cid.toString()} is not valid ${codec.name}: ${(error as Error).message}`,
    );
  }
}

/** The CIDs that a block links to, in order. @throws STORAGE_MALFORMED */
export function linksOf(cid: CID, bytes: Bytes): CID[] {
  if (cid.code === RAW_CODE || cid.code === json.code) return [];
  const value = decodeBlock(cid, bytes);
  if (cid.code === dagPb.code) return (value as dagPb.PBNode).Links.map((link) => link.Hash);
  return [...createUnsafe({ bytes, cid, value, codec: codecOf(cid) }).links()].map(
    ([, link]) => link,
  );
}

export interface DagReader {
  readonly read: (cid: CID, signal?: AbortSignal) => Promise<Bytes>;
  /** Whether a leaf is there; reading it whole would cost more. */
  readonly require: (cid: CID, signal?: AbortSignal) => Promise<void>;
}

const READ_AHEAD = 8;

/**
 * Every CID reachable from a root, each once, parents before children. Raw leaves are looked up but
 * not read. @throws STORAGE_NOT_FOUND
 */
export async function* walkDag(
  reader: DagReader,
  root: CID,
  signal?: AbortSignal,
): AsyncGenerator<CID> {
  const seen = new Set<string>([root.toString()]);
  let level: CID[] = [root];
  while (level.length > 0) {
    const next: CID[] = [];
    for (let at = 0; at < level.length; at += READ_AHEAD) {
      signal?.throwIfAborted();
      const batch = level.slice(at, at + READ_AHEAD);
      const children = await Promise.all(
        batch.map(async (cid) => {
          if (cid.code !== RAW_CODE) return linksOf(cid, await reader.read(cid, signal));
          await reader.require(cid, signal);
          return [];
        }),
      );
      yield* batch;
      for (const cid of children.flat()) {
        const key = cid.toString();
        if (seen.has(key)) continue;
        seen.add(key);
        next.push(cid);
      }
    }
    level = next;
  }
}
