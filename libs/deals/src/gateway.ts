/** Reads from another storage's gateway, every block checked; measures how it answers. */
import type { Bytes } from '#libs/kernel';
import {
  type BlockReader,
  MAX_BLOCK_BYTES,
  RAW_CODE,
  openFile,
  parseCid,
  storageError,
  verifyBlock,
} from '#libs/storage';

const TIMEOUT_MS = 15_000;
/** Inner nodes of a file, so that reading piece by piece asks for each once. */
const NODES_KEPT = 64;

async function boundedBody(response: Response, source: string): Promise<Bytes> {
  const parts: Uint8Array[] = [];
  let length = 0;
  if (response.body === null) return new Uint8Array();
  for await (const part of response.body) {
    length += part.length;
    if (length > MAX_BLOCK_BYTES)
      throw storageError('STORAGE_MALFORMED', `${source} answered more than a block`);
    parts.push(part);
  }
  return Buffer.concat(parts);
}

/** Blocks of a gateway. @throws STORAGE_NOT_FOUND, STORAGE_CORRUPT, STORAGE_UNAVAILABLE */
export function gatewayReader(source: string, timeoutMs = TIMEOUT_MS): BlockReader {
  const base = source.replace(/\/+$/, '');
  const nodes = new Map<string, Bytes>();
  return async (cid, signal) => {
    const text = cid.toString();
    const known = nodes.get(text);
    if (known !== undefined) return known;
    const limit = AbortSignal.timeout(timeoutMs);
    let bytes: Bytes;
    try {
      const response = await fetch(`${base}/ipfs/${text}?format=raw`, {
        signal: signal ? AbortSignal.any([signal, limit]) : limit,
        redirect: 'error',
      });
      if (response.status === 404)
        throw storageError('STORAGE_NOT_FOUND', `${base} does not have ${text}`);
      if (!response.ok)
        throw storageError('STORAGE_UNAVAILABLE', `${base} answered ${response.status}`);
      bytes = await boundedBody(response, base);
    } catch (error) {
      if (error instanceof Error && 'fix' in error) throw error;
      throw storageError('STORAGE_UNAVAILABLE', `${base} did not answer for ${text}`, {
        cause: error,
      });
    }
    await verifyBlock(cid, bytes);
    if (cid.code !== RAW_CODE && nodes.size < NODES_KEPT) nodes.set(text, bytes);
    return bytes;
  };
}

/** A piece of a file. */
export async function readPiece(
  read: BlockReader,
  cid: string,
  offset: number,
  length: number,
): Promise<Bytes> {
  const { content } = await openFile(read, parseCid(cid), { offset, length });
  const parts: Bytes[] = [];
  for await (const part of content) parts.push(part);
  return parts.length === 1 ? (parts[0] as Bytes) : Buffer.concat(parts);
}

export interface RetrievalFigures {
  readonly reads: number;
  readonly failed: number;
  /** Of the reads that worked; absent when none did. */
  readonly msP50?: number;
  readonly msMax?: number;
  readonly bytesPerSecond?: number;
  readonly error?: string;
}

/** Reads pieces of a kept shard as anybody can, at places that `random` (0 to below 1) chooses. */
export async function checkRetrieval(
  shard: { readonly gateway: string; readonly cid: string; readonly sizeBytes: number },
  options: { readonly reads: number; readonly random: () => number; readonly pieceBytes?: number },
): Promise<RetrievalFigures> {
  const { pieceBytes = 65_536 } = options;
  const took: number[] = [];
  let bytes = 0;
  let failed = 0;
  let last: string | undefined;
  for (let i = 0; i < options.reads; i++) {
    const startedMs = performance.now();
    const offset = Math.floor(options.random() * shard.sizeBytes);
    try {
      // A reader of its own each time: nothing comes from memory.
      const read = gatewayReader(shard.gateway);
      const piece = await readPiece(read, shard.cid, offset, pieceBytes);
      if (piece.length === 0) throw new Error('nothing was read');
      bytes += piece.length;
      took.push(performance.now() - startedMs);
    } catch (error) {
      failed++;
      last = (error as Error).message;
    }
  }
  took.sort((a, b) => a - b);
  const seconds = took.reduce((sum, ms) => sum + ms, 0) / 1000;
  return {
    ...{ reads: options.reads, failed },
    ...(took.length > 0 && {
      msP50: took[Math.floor(took.length / 2)] as number,
      msMax: took.at(-1) as number,
      bytesPerSecond: Math.round(bytes / Math.max(seconds, 1e-6)),
    }),
    ...(last !== undefined && { error: last }),
  };
}
