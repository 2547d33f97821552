/** Files and directories as a tar stream. */
import type { Bytes } from '#libs/kernel';
import { fileSize, readFile, storageError } from '#libs/storage';
import type { CID } from 'multiformats/cid';

import { isPlainName, listDirectory, unixfsNode } from '../dag/directories.ts';
import type { StorageNode } from '../node.ts';
import { tarEnd, tarHeader, tarPadding } from './tar.ts';

const MAX_DEPTH = 64;

export interface ArchiveSource {
  readonly node: StorageNode;
  readonly readAhead: number;
  readonly signal: AbortSignal;
}

async function* entriesOf(
  source: ArchiveSource,
  cid: CID,
  path: string,
  depth: number,
): AsyncGenerator<Bytes> {
  const { node, signal, readAhead } = source;
  const { kind } = unixfsNode(cid, await node.read(cid, signal));
  if (kind === 'file') {
    const sizeBytes = await fileSize(node.read, cid, signal);
    yield tarHeader({ path, type: 'file', sizeBytes });
    yield* readFile(node.read, cid, { signal, readAhead });
    yield tarPadding(sizeBytes);
    return;
  }
  if (kind !== 'directory' || depth > MAX_DEPTH)
    throw storageError('STORAGE_UNSUPPORTED', `${cid.toString()} (${kind}) cannot go into a tar`);
  yield tarHeader({ path, type: 'directory', sizeBytes: 0 });
  const names = new Set<string>();
  for await (const entry of listDirectory(node.read, cid, signal)) {
    // A hostile directory must not write outside of where its tar is unpacked, nor over itself.
    if (!isPlainName(entry.name) || names.has(entry.name))
      throw storageError(
        'STORAGE_MALFORMED',
        `${cid.toString()} has an entry named ${JSON.stringify(entry.name.slice(0, 100))}`,
      );
    names.add(entry.name);
    yield* entriesOf(source, entry.cid, `${path}/${entry.name}`, depth + 1);
  }
}

/** Everything below a CID under the path `name`. @throws STORAGE_UNSUPPORTED, STORAGE_MALFORMED */
export async function* contentArchive(
  source: ArchiveSource,
  cid: CID,
  name: string,
): AsyncGenerator<Bytes> {
  yield* entriesOf(source, cid, name, 0);
  yield tarEnd;
}
