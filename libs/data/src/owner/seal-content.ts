/**
 * Puts a source into storage, encrypted: one sealed folder of all its files, or of its columns, each of
 * which may then have readers of its own. Content that is no longer what was described is refused.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import type { Randomness } from '#libs/kernel';
import { type BlobStore, type FileToSeal, type KeyWrap, sealFolder } from '#libs/storage';
import { columnsOf } from '../describe/describe-source.ts';
import { dataError } from '../errors.ts';
import { columnValues } from '../extract/extraction-process.ts';
import { fileInSource, isUnchanged } from '../extract/extract-source.ts';
import type { OpenedSource } from '../extract/open-source.ts';

export interface SealContentOptions {
  readonly store: BlobStore;
  readonly randomness: Randomness;
  readonly recipients: readonly KeyWrap[];
  /** Readers of single columns; the owner is among them. */
  readonly columnRecipients: ReadonlyMap<string, readonly KeyWrap[]>;
  readonly perColumn: boolean;
  /** UAI and version. */
  readonly context: string;
}

async function* hashed(
  source: AsyncIterable<Uint8Array>,
  onHash: (hex: string) => void,
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256');
  for await (const chunk of source) {
    hash.update(chunk);
    yield chunk;
  }
  onHash(hash.digest('hex'));
}

const COLUMN_FILES = 'columns/';

function filesToSeal(
  { extracted, fileName }: OpenedSource,
  options: SealContentOptions,
  onHash: (hex: string) => void,
): readonly FileToSeal[] {
  const { perColumn, columnRecipients } = options;
  const { profile, files, path } = extracted;
  if (!perColumn)
    return files.map(({ name }) => ({
      path: name === '' ? fileName : name,
      open: () => hashed(createReadStream(fileInSource(extracted, name)), onHash),
    }));
  const [part] = profile.parts;
  if (profile.kind === 'folder' || part?.tables.length !== 1)
    throw dataError('DATA_DESCRIPTION', 'columns of their own need a file with one table');
  return columnsOf(part).map(([name]) => {
    const recipients = columnRecipients.get(name);
    return {
      path: `${COLUMN_FILES}${encodeURIComponent(name)}.jsonl`,
      open: () => columnValues(path, name),
      ...(recipients && { recipients }),
    };
  });
}

/**
 * @returns CID of the sealed folder, not pinned yet
 * @throws DATA_CHANGED when the source is another than the one extracted
 */
export async function sealContent(
  opened: OpenedSource,
  options: SealContentOptions,
): Promise<string> {
  const { store, randomness, recipients, context } = options;
  let sha256: string | undefined;
  const files = filesToSeal(opened, options, (hex) => (sha256 = hex));
  const sealed = await sealFolder(store, files, { recipients, randomness, context, pin: false });
  const { profile, path } = opened.extracted;
  const isSame = options.perColumn || profile.sha256 === undefined || sha256 === profile.sha256;
  if (!isSame || !(await isUnchanged(opened.extracted)))
    throw dataError('DATA_CHANGED', `${path} changed while it was encrypted`);
  return sealed.cid;
}
