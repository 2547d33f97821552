/** `add`: files and directories from a multipart stream, cut, stored, pinned. */
import { declareFailpoints, failpoint } from '#libs/platform';
import { storageError } from '#libs/storage';
import { importer, type ImportCandidate } from 'ipfs-unixfs-importer';
import { balanced } from 'ipfs-unixfs-importer/layout';
import type { CID } from 'multiformats/cid';

import { isPlainName } from '../../dag/directories.ts';
import { rpcError } from '../../errors.ts';
import type { Session } from '../../node.ts';
import type { Call } from '../call.ts';
import type { Part } from '../multipart.ts';
import type { Parameters } from '../parameters.ts';
import { cutInto } from './chunks.ts';

declareFailpoints('storage.add.before', 'storage.add.during', 'storage.add.after');

interface AddOptions {
  readonly pin: boolean;
  readonly onlyHash: boolean;
  readonly progress: boolean;
  readonly wrapWithDirectory: boolean;
  readonly pinName: string;
  readonly cidVersion: 0 | 1;
  readonly rawLeaves: boolean;
  readonly chunkBytes: number;
  readonly maxFileLinks: number;
}

interface Added {
  readonly Name: string;
  readonly Hash: string;
  readonly Size: string;
}

const MAX_CHUNK_BYTES = 2 * 1024 * 1024 - 256; // a leaf in dag-pb must stay within a block
const DEFAULT_CHUNK_BYTES = 256 * 1024;
const DEFAULT_FILE_LINKS = 174;
const MAX_SEGMENTS = 64;
const PROGRESS_EVERY_BYTES = 256 * 1024;

function chunkBytesOf(parameters: Parameters): number {
  const chunker = parameters.text('chunker') ?? 'default';
  if (chunker === 'default' || chunker === '') return DEFAULT_CHUNK_BYTES;
  const size = Number(/^size-(\d{1,9})$/.exec(chunker)?.[1] ?? NaN);
  if (size >= 1 && size <= MAX_CHUNK_BYTES) return size;
  throw rpcError(
    'STORAGE_RPC_ARGUMENT',
    `chunker ${JSON.stringify(chunker.slice(0, 40))} is not size-N with N up to ${MAX_CHUNK_BYTES}`,
  );
}

function readOptions(parameters: Parameters): AddOptions {
  parameters.refuse('trickle', 'nocopy', 'inline', 'to-files', 'dereference-args', 'mhlen');
  parameters.oneOf('hash', ['sha2-256'], 'sha2-256');
  // Kubo's defaults: version 0 without raw leaves; raw leaves ask for version 1.
  const rawLeavesGiven = parameters.text('raw-leaves');
  const cidVersion = parameters.integer('cid-version', { min: 0, max: 1 }) ?? 0;
  const rawLeaves = parameters.flag('raw-leaves', cidVersion === 1);
  const onlyHash = parameters.flag('only-hash', false);
  return {
    pin: parameters.flag('pin', true) && !onlyHash,
    onlyHash,
    progress: parameters.flag('progress', false),
    wrapWithDirectory: parameters.flag('wrap-with-directory', false),
    pinName: parameters.text('pin-name') ?? '',
    cidVersion: cidVersion === 1 || (rawLeavesGiven !== undefined && rawLeaves) ? 1 : 0,
    rawLeaves,
    chunkBytes: chunkBytesOf(parameters),
    maxFileLinks: parameters.integer('max-file-links', { min: 2, max: 8192 }) ?? DEFAULT_FILE_LINKS,
  };
}

/** Segments that mean the same everywhere: these names come back out as tar and as folders. */
export function checkedPath(filename: string): string {
  const segments = filename.replace(/^\/+/, '').split('/');
  const isPlain = (name: string) => isPlainName(name) && !name.endsWith('\\');
  if (segments.length <= MAX_SEGMENTS && segments.every(isPlain)) return segments.join('/');
  throw rpcError(
    'STORAGE_RPC_ARGUMENT',
    `${JSON.stringify(filename.slice(0, 100))} is not a plain relative path`,
  );
}

/** Mode and time as kubo-rpc-client sends them: in the field name, `file?mode=0644&mtime=1`. */
function metadataOf(part: Part): { mode?: number; mtime?: { secs: bigint; nsecs?: number } } {
  const query = new URLSearchParams(part.name.split('?')[1] ?? '');
  const mode = /^[0-7]{1,6}$/.exec(query.get('mode') ?? '')?.[0];
  const secs = /^-?\d{1,15}$/.exec(query.get('mtime') ?? '')?.[0];
  const nsecs = /^\d{1,9}$/.exec(query.get('mtime-nsecs') ?? '')?.[0];
  return {
    ...(mode === undefined ? {} : { mode: parseInt(mode, 8) }),
    ...(secs === undefined
      ? {}
      : {
          mtime: { secs: BigInt(secs), ...(nsecs === undefined ? {} : { nsecs: Number(nsecs) }) },
        }),
  };
}

/** Tells the client how far each file is, not more often than every 256 KiB. */
async function* counted(call: Call, part: Part, path: string | undefined): AsyncGenerator<Buffer> {
  let bytes = 0;
  let told = 0;
  for await (const chunk of part.body) {
    bytes += chunk.length;
    yield chunk;
    if (bytes - told < PROGRESS_EVERY_BYTES) continue;
    told = bytes;
    await call.reply.line({ Name: path ?? '', Bytes: bytes });
  }
  if (told < bytes) await call.reply.line({ Name: path ?? '', Bytes: bytes });
}

async function* candidates(call: Call, options: AddOptions): AsyncGenerator<ImportCandidate> {
  for await (const part of call.parts()) {
    const path = part.filename === undefined ? undefined : checkedPath(part.filename);
    const metadata = metadataOf(part);
    if (part.contentType.startsWith('application/x-directory')) {
      if (path !== undefined) yield { path, ...metadata };
      continue;
    }
    if (part.contentType.startsWith('application/symlink'))
      throw rpcError('STORAGE_RPC_ARGUMENT', 'symbolic links are not stored');
    const content = options.progress ? counted(call, part, path) : part.body;
    yield { content, ...metadata, ...(path === undefined ? {} : { path }) };
  }
}

function blocksOf(session: Session, onlyHash: boolean) {
  return {
    async put(cid: CID, bytes: Uint8Array) {
      if (!onlyHash) await session.put(cid, bytes);
      return cid;
    },
    has: async () => false,
    async *get(cid: CID) {
      yield await session.read(cid);
    },
  };
}

export async function add(call: Call): Promise<void> {
  const options = readOptions(call.parameters);
  const session = call.node.session();
  try {
    const added: Added[] = [];
    const roots: CID[] = [];
    const entries = importer(candidates(call, options), blocksOf(session, options.onlyHash), {
      cidVersion: options.cidVersion,
      rawLeaves: options.rawLeaves,
      wrapWithDirectory: options.wrapWithDirectory,
      chunker: cutInto(options.chunkBytes),
      layout: balanced({ maxChildrenPerNode: options.maxFileLinks }),
      blockWriteConcurrency: 1, // the session writes behind
      fileImportConcurrency: 1, // the parts of one stream come one after another
    });
    for await (const { cid, path = '', size } of entries) {
      const Hash = cid.toString();
      const isRoot = options.wrapWithDirectory ? path === '' : !path.includes('/');
      if (isRoot) roots.push(cid);
      added.push({
        Name: path === '' && !options.wrapWithDirectory ? Hash : path,
        Hash,
        Size: String(size),
      });
    }
    if (added.length === 0) throw rpcError('STORAGE_RPC_ARGUMENT', 'the body has no file to add');
    // Nothing is told as added before it is durable and, if asked, pinned.
    failpoint('storage.add.before');
    await session.commit();
    failpoint('storage.add.during');
    if (options.pin)
      for (const cid of roots)
        await session.commit({ cid, type: 'recursive', name: options.pinName });
    failpoint('storage.add.after');
    for (const line of added) await call.reply.line(line);
    call.reply.endLines();
  } catch (error) {
    throw importFailure(error);
  } finally {
    await session.end();
  }
}

/** The importer's own refusals are about the caller's input. */
function importFailure(error: unknown): unknown {
  if (error instanceof Error && /^Invalid(Content|Parameters)Error$/.test(error.name))
    return storageError('STORAGE_MALFORMED', error.message);
  return error;
}
