/**
 * The journal of consensus: an append-only file, synced before anything that follows from it leaves the
 * process. One frame per batch: length, CRC-32, records. A frame cut short by a crash stands at the end
 * and was never acted upon; damage before the end means that votes may be forgotten, which is reported
 * as `lost` and must keep the node from voting.
 */
import { constants } from 'node:fs';
import { type FileHandle, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { crc32 } from 'node:zlib';
import { type JournalRecord, decodeJournalRecord, encodeJournalRecord } from '#libs/eda';
import {
  type Bytes,
  type CodecValue,
  byteString,
  bytesToHex,
  decodeWith,
  encodeWith,
  equalBytes,
  isSeeleError,
  list,
  record,
  text,
} from '#libs/kernel';
import { declareFailpoints, failpoint } from '#libs/platform';

declareFailpoints('node.journal.before-sync', 'node.journal.after-sync', 'node.journal.rotate');

const FILE = 'consensus.journal';
const HEAD_BYTES = 8;
const FRAME_MAX_BYTES = 256 * 1024 * 1024;
const FORMAT = 'seele/consensus-journal/1';

/**
 * On Linux a write returns when it is durable, as if `datasync` followed: one turn through Node's thread pool
 * instead of two. Elsewhere that flag promises less.
 */
const WRITES_SYNCED = process.platform === 'linux';
const SYNCED = WRITES_SYNCED ? constants.O_DSYNC : 0;
const CREATE = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | SYNCED;

const headShape = record({ format: text(64), id: byteString(16) });
const frameShape = list(byteString(FRAME_MAX_BYTES), 1_000_000);
type Head = CodecValue<typeof headShape>;

export interface OpenedJournal {
  readonly journal: JournalFile;
  readonly records: readonly JournalRecord[];
  /** `lost`: there was another journal, or it is damaged. */
  readonly state: 'fresh' | 'intact' | 'lost';
}

function frameOf(content: Bytes): Bytes {
  const frame = new Uint8Array(HEAD_BYTES + content.length);
  const view = new DataView(frame.buffer);
  view.setUint32(0, content.length);
  view.setUint32(4, crc32(content));
  frame.set(content, HEAD_BYTES);
  return frame;
}

const batchBytes = (records: readonly JournalRecord[]): Bytes =>
  frameOf(encodeWith(frameShape, records.map(encodeJournalRecord)));

/** Frames from the start; `isTorn` when what follows them is what a crash leaves. */
function readFrames(file: Bytes): {
  readonly frames: readonly Bytes[];
  readonly endBytes: number;
  readonly isTorn: boolean;
} {
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  const frames: Bytes[] = [];
  let at = 0;
  while (at + HEAD_BYTES <= file.length) {
    const length = view.getUint32(at);
    const end = at + HEAD_BYTES + length;
    // Length 0 is what a file holds that was made longer and not written.
    if (length === 0)
      return { frames, endBytes: at, isTorn: file.subarray(at).every((b) => b === 0) };
    if (end > file.length) return { frames, endBytes: at, isTorn: true };
    const content = file.subarray(at + HEAD_BYTES, end);
    if (crc32(content) !== view.getUint32(at + 4))
      return { frames, endBytes: at, isTorn: end === file.length };
    frames.push(content);
    at = end;
  }
  return { frames, endBytes: at, isTorn: true };
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

export class JournalFile {
  readonly id: Bytes;
  readonly #path: string;
  #file: FileHandle;
  #sizeBytes: number;

  constructor(path: string, id: Bytes, file: FileHandle, sizeBytes: number) {
    this.#path = path;
    this.id = id;
    this.#file = file;
    this.#sizeBytes = sizeBytes;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Durable when it resolves. One call at a time. @throws what the disk says; the process must end */
  async append(records: readonly JournalRecord[]): Promise<void> {
    await this.#write(batchBytes(records));
  }

  async #write(bytes: Bytes): Promise<void> {
    let written = 0;
    while (written < bytes.length) {
      const { bytesWritten } = await this.#file.write(
        bytes,
        written,
        bytes.length - written,
        this.#sizeBytes + written,
      );
      written += bytesWritten;
    }
    failpoint('node.journal.before-sync');
    if (!WRITES_SYNCED) await this.#file.datasync();
    this.#sizeBytes += bytes.length;
    failpoint('node.journal.after-sync');
  }

  /** Begins anew with the records that still count: a file beside this one takes its place. */
  async rotate(records: readonly JournalRecord[]): Promise<void> {
    const next = await createFile(this.#path, this.id, records);
    failpoint('node.journal.rotate');
    await this.#file.close();
    this.#file = next.file;
    this.#sizeBytes = next.sizeBytes;
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}

async function createFile(path: string, id: Bytes, records: readonly JournalRecord[]) {
  const beside = `${path}.next`;
  await rm(beside, { force: true });
  const file = await open(beside, CREATE, 0o600);
  const head: Head = { format: FORMAT, id };
  const parts = [frameOf(encodeWith(headShape, head))];
  if (records.length > 0) parts.push(batchBytes(records));
  await file.writev(parts);
  await file.sync();
  await rename(beside, path);
  await syncDirectory(dirname(path));
  return { file, sizeBytes: parts.reduce((sum, { length }) => sum + length, 0) };
}

async function readIfThere(path: string): Promise<Bytes | undefined> {
  try {
    return new Uint8Array(await readFile(path));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function decodeFile(file: Bytes) {
  const { frames, endBytes, isTorn } = readFrames(file);
  const [first, ...batches] = frames;
  if (first === undefined || !isTorn) return undefined;
  try {
    const { id, format } = decodeWith(headShape, first);
    if (format !== FORMAT) return undefined;
    const records = batches.flatMap((batch) =>
      decodeWith(frameShape, batch, { maxBytes: FRAME_MAX_BYTES }).map(decodeJournalRecord),
    );
    return { id, records, endBytes };
  } catch (error) {
    if (isSeeleError(error)) return undefined;
    throw error;
  }
}

/**
 * Opens the journal in a directory.
 * @param expected number that the chain's store names as this node's journal; absent before the first
 * @param freshId number of a new journal
 */
export async function openJournal(
  directory: string,
  expected: Bytes | undefined,
  freshId: Bytes,
): Promise<OpenedJournal> {
  const path = join(directory, FILE);
  const bytes = await readIfThere(path);
  const found = bytes && decodeFile(bytes);
  const isExpected = found && (expected === undefined || equalBytes(found.id, expected));
  if (!found || !isExpected) {
    const isFresh = bytes === undefined && expected === undefined;
    if (bytes !== undefined) await rename(path, `${path}.lost-${bytesToHex(freshId)}`);
    const id = expected ?? freshId;
    const { file, sizeBytes } = await createFile(path, id, []);
    const journal = new JournalFile(path, id, file, sizeBytes);
    return { journal, records: [], state: isFresh ? 'fresh' : 'lost' };
  }
  const file = await open(path, constants.O_RDWR | SYNCED);
  if (found.endBytes < (bytes as Bytes).length) {
    await file.truncate(found.endBytes);
    await file.sync();
  }
  const journal = new JournalFile(path, found.id, file, found.endBytes);
  return { journal, records: found.records, state: 'intact' };
}
