/**
 * A folder that is encrypted whole: its files one after another in one sealed stream, their names,
 * places and lengths in a second one, so that storage sees neither names nor how many files there
 * are. A file (a column of a table, say) may have readers of its own; it is then sealed by itself and
 * the list only says where: who opens the folder does not thereby open that file.
 */
import {
  cid,
  concatBytes,
  decodeWith,
  encodeWith,
  list,
  optional,
  record,
  text,
  uint,
  type Bytes,
  type CodecValue,
} from '#libs/kernel';

import type { BlobSource, BlobStore, CallOptions, GetOptions } from '../blob-store.ts';
import { storageError } from '../errors.ts';
import { encodeEnvelope, SEALED_DOMAIN } from './envelope.ts';
import { CONTENT_KEY_BYTES, type KeyUnwrap, type KeyWrap } from './key-wrap.ts';
import {
  chunkKeyOf,
  openedBlob,
  putEnvelope,
  putSealedStream,
  readEnvelope,
  readSealedStream,
  sealBlob,
  type SealedBlob,
  type SealedRef,
  type SealOptions,
} from './sealed-blob.ts';

export interface FileToSeal {
  /** Relative, of plain names: `data/2026.csv`. */
  readonly path: string;
  /** Called once, when its turn comes. */
  open(): BlobSource;
  /** Readers of this file alone. Default: whoever reads the folder. */
  readonly recipients?: readonly KeyWrap[];
}

const MAX_FILES = 100_000;
const MAX_MANIFEST_BYTES = 64 * 1024 * 1024;

const manifestCodec = record({
  files: list(
    record({
      path: text(1024),
      sizeBytes: uint(),
      /** Where it begins in the folder's stream; absent when it has a key of its own. */
      offset: optional(uint()),
      /** Its own envelope. */
      sealed: optional(cid),
    }),
    MAX_FILES,
  ),
});
export type SealedEntry = CodecValue<typeof manifestCodec>['files'][number];

export interface SealedFolder {
  readonly kind: 'folder';
  readonly context: string;
  readonly files: readonly SealedEntry[];
  /** A file or a range of it. @throws STORAGE_NOT_FOUND, STORAGE_SEALED, STORAGE_SEAL_BROKEN */
  read(path: string, options?: GetOptions): AsyncGenerator<Bytes>;
}

/** Names that stay inside the folder they are written to, on every system. */
function isPlainPath(path: string): boolean {
  const isPlain = (name: string) => !/^\.{0,2}$|[\\\0]/.test(name);
  return path.length <= 1024 && path.split('/').every(isPlain);
}

function requirePlain(files: readonly { readonly path: string }[]): void {
  const seen = new Set<string>();
  if (files.length > MAX_FILES)
    throw storageError('STORAGE_TOO_LARGE', `a folder has at most ${MAX_FILES} files`);
  for (const { path } of files) {
    if (!isPlainPath(path) || seen.has(path))
      throw storageError(
        'STORAGE_MALFORMED',
        `${JSON.stringify(path.slice(0, 100))} is not a plain relative path, or is there twice`,
      );
    seen.add(path);
  }
}

/** @throws STORAGE_MALFORMED for a path that is not plain, and what `sealBlob` throws */
export async function sealFolder(
  store: BlobStore,
  files: readonly FileToSeal[],
  options: SealOptions,
): Promise<SealedRef> {
  requirePlain(files);
  const { recipients, randomness, context = '' } = options;
  const entries: SealedEntry[] = [];
  // First those with keys of their own: the folder's stream must not stand still while they are put.
  for (const { path, open, recipients: own } of files) {
    if (own === undefined) continue;
    const sealed = await sealBlob(store, open(), { ...options, recipients: own, pin: false });
    entries.push({ path, sizeBytes: sealed.sizeBytes, sealed: sealed.cid });
  }
  const ownKeys = entries.flatMap(({ sealed }) => (sealed === undefined ? [] : [sealed]));
  async function* packed(): AsyncGenerator<Bytes> {
    let offset = 0;
    for (const { path, open, recipients: own } of files) {
      if (own !== undefined) continue;
      const start = offset;
      const source = open();
      for await (const chunk of source instanceof Uint8Array ? [source] : source) {
        offset += chunk.length;
        yield chunk;
      }
      entries.push({ path, sizeBytes: offset - start, offset: start });
    }
  }
  const contentKey = randomness.bytes(CONTENT_KEY_BYTES);
  const keyOf = (purpose: 'content' | 'manifest') => chunkKeyOf(contentKey, purpose, context);
  const stream = await putSealedStream(store, packed(), keyOf('content'), options);
  const { signal } = options;
  const manifest = await putSealedStream(
    store,
    encodeWith(manifestCodec, { files: entries }),
    keyOf('manifest'),
    { maxBytes: MAX_MANIFEST_BYTES, ...(signal ? { signal } : {}) },
  );
  const header = { type: SEALED_DOMAIN, context, ...stream, manifest } as const;
  const envelope = await encodeEnvelope(
    ownKeys.length === 0 ? header : { ...header, ownKeys },
    contentKey,
    recipients,
  );
  return { cid: await putEnvelope(store, envelope, options), ...stream };
}

/**
 * Opens what `sealBlob` or `sealFolder` stored, for whichever of the readers it was encrypted to.
 *
 * @throws STORAGE_SEALED when for none of them; STORAGE_MALFORMED, STORAGE_SEAL_BROKEN
 */
export async function openSealed(
  store: BlobStore,
  cid: string,
  readers: readonly KeyUnwrap[],
  options: CallOptions = {},
): Promise<SealedBlob | SealedFolder> {
  const opened = await readEnvelope(store, cid, readers, options);
  const { envelope, contentKey } = opened;
  if (envelope.manifest === undefined) return openedBlob(store, opened);
  const { context, content, sizeBytes } = envelope;
  const parts: Bytes[] = [];
  const manifestKey = chunkKeyOf(contentKey, 'manifest', context);
  for await (const part of readSealedStream(store, envelope.manifest, manifestKey, {
    ...options,
    maxBytes: MAX_MANIFEST_BYTES,
  }))
    parts.push(part);
  const files = decodeManifest(concatBytes(...parts), sizeBytes);
  const key = chunkKeyOf(contentKey, 'content', context);
  return {
    kind: 'folder',
    context,
    files,
    async *read(path, range = {}) {
      const entry = files.find((file) => file.path === path);
      if (entry === undefined)
        throw storageError('STORAGE_NOT_FOUND', `the folder has no file ${JSON.stringify(path)}`);
      const { offset = 0, length = Infinity, maxBytes = Infinity, signal } = range;
      if (entry.sizeBytes > maxBytes)
        throw storageError('STORAGE_TOO_LARGE', `${path} has ${entry.sizeBytes} bytes`);
      if (entry.sealed !== undefined) {
        const own = await openSealed(store, entry.sealed, readers, signal ? { signal } : {});
        if (own.kind !== 'blob') throw storageError('STORAGE_MALFORMED', `${path} is a folder`);
        yield* own.read(range);
        return;
      }
      yield* readSealedStream(store, { content, sizeBytes }, key, {
        offset: (entry.offset ?? 0) + Math.min(offset, entry.sizeBytes),
        length: Math.max(0, Math.min(length, entry.sizeBytes - offset)),
        ...(signal ? { signal } : {}),
      });
    },
  };
}

/** The publisher may be hostile: names must be plain, and files must lie within the stream. */
function decodeManifest(bytes: Bytes, sizeBytes: number): readonly SealedEntry[] {
  let files: readonly SealedEntry[];
  try {
    ({ files } = decodeWith(manifestCodec, bytes, { maxBytes: MAX_MANIFEST_BYTES }));
  } catch (error) {
    throw storageError('STORAGE_MALFORMED', `not a list of files: ${(error as Error).message}`, {
      cause: error,
    });
  }
  requirePlain(files);
  for (const file of files)
    if (
      (file.offset === undefined) === (file.sealed === undefined) ||
      (file.offset ?? 0) + (file.sealed === undefined ? file.sizeBytes : 0) > sizeBytes
    )
      throw storageError('STORAGE_MALFORMED', `the file ${JSON.stringify(file.path)} is nowhere`);
  return files;
}
