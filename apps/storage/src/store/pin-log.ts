/**
 * The pins, durable: an append-only file of checksummed lines, read whole at start and compacted
 * when most of it is history. A change is acknowledged after fdatasync; many changes share one.
 *
 * Line: `<crc32 hex> <JSON>\n`. A torn last line (power cut) is dropped; a damaged line elsewhere
 * stops the start, since forgetting a pin would let its content be collected.
 */
import { open, readFile, rename, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { crc32 } from 'node:zlib';

import type { CID } from 'multiformats/cid';
import { z } from 'zod';

import { declareFailpoints, failpoint } from '#libs/platform';

import { diskError, writeFailure } from './disk.ts';

declareFailpoints('storage.pin.before', 'storage.pin.during', 'storage.pin.after');

export type PinType = 'recursive' | 'direct';

export interface Pin {
  /** As it was pinned; version 0 and 1 of one CID are one pin. */
  readonly cid: string;
  readonly type: PinType;
  readonly name: string;
}

export interface PinLog {
  readonly pins: ReadonlyMap<string, Pin>;
  get(cid: CID): Pin | undefined;
  /** Durable when it resolves. */
  set(cid: CID, type: PinType, name: string): Promise<void>;
  remove(cid: CID): Promise<void>;
  close(): Promise<void>;
}

const line = z.union([
  z.object({ add: z.string(), type: z.enum(['recursive', 'direct']), name: z.string() }),
  z.object({ remove: z.string() }),
]);

const pinKey = (cid: CID): string => cid.toV1().toString();

function encodeLine(value: z.infer<typeof line>): string {
  const text = JSON.stringify(value);
  return `${crc32(text).toString(16).padStart(8, '0')} ${text}\n`;
}

function decodeLine(text: string): z.infer<typeof line> | undefined {
  const body = text.slice(9);
  if (crc32(body).toString(16).padStart(8, '0') !== text.slice(0, 8)) return undefined;
  return line.parse(JSON.parse(body));
}

async function readPins(
  path: string,
  parse: (text: string) => CID,
): Promise<{ pins: Map<string, Pin>; lines: number; goodBytes: number }> {
  const pins = new Map<string, Pin>();
  const content = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw writeFailure(error, path);
  });
  const parts = content.split('\n');
  const torn = parts.pop() ?? ''; // after the last newline: nothing, or a line cut short
  for (const [index, text] of parts.entries()) {
    const change = decodeLine(text);
    if (change === undefined)
      throw diskError(
        'STORAGE_DISK',
        `line ${index + 1} of ${path} is damaged; restore the file from a copy`,
      );
    if ('add' in change)
      pins.set(pinKey(parse(change.add)), {
        cid: change.add,
        type: change.type,
        name: change.name,
      });
    else pins.delete(pinKey(parse(change.remove)));
  }
  const goodBytes = Buffer.byteLength(content) - Buffer.byteLength(torn);
  return { pins, lines: parts.length, goodBytes };
}

/** Opens (and creates) the log. @throws STORAGE_DISK when it is damaged or cannot be written */
export async function openPinLog(path: string, parse: (text: string) => CID): Promise<PinLog> {
  const { pins, lines, goodBytes } = await readPins(path, parse);
  let file: FileHandle;
  let length = goodBytes;
  try {
    if (lines > 1000 && lines > 2 * pins.size) length = await compact(path, pins);
    file = await open(path, 'a');
    await file.truncate(length);
    await file.sync();
    await syncFolderOf(path);
  } catch (error) {
    throw writeFailure(error, path);
  }

  let queue: { readonly text: string; readonly apply: () => void }[] = [];
  let flushing: Promise<void> | undefined;
  let unsettled = 0;
  let broken: Error | undefined;

  async function flush(): Promise<void> {
    const batch = queue;
    queue = [];
    flushing = undefined;
    const bytes = Buffer.from(batch.map(({ text }) => text).join(''));
    try {
      if (broken !== undefined) throw broken;
      failpoint('storage.pin.before');
      let at = 0;
      while (at < bytes.length) at += (await file.write(bytes, at)).bytesWritten;
      failpoint('storage.pin.during');
      await file.datasync();
      failpoint('storage.pin.after');
    } catch (error) {
      // What was not acknowledged must not come back; if that fails too, nothing more is written.
      await file.truncate(length).catch((failure: Error) => (broken = failure));
      throw writeFailure(error, path);
    }
    length += bytes.length;
    for (const { apply } of batch) apply();
  }

  let last: Promise<void> = Promise.resolve();
  async function append(text: string, apply: () => void): Promise<void> {
    queue.push({ text, apply });
    flushing ??= last = last.catch(() => {}).then(flush);
    unsettled++;
    try {
      await flushing;
    } finally {
      unsettled--;
    }
  }

  return {
    pins,
    get: (cid) => pins.get(pinKey(cid)),
    async set(cid, type, name) {
      const key = pinKey(cid);
      const pin = { cid: cid.toString(), type, name };
      const old = pins.get(key);
      // A removal that is under way may not have shown yet.
      if (unsettled === 0 && old?.type === type && old.name === name) return;
      await append(encodeLine({ add: pin.cid, type, name }), () => void pins.set(key, pin));
    },
    async remove(cid) {
      const key = pinKey(cid);
      await append(encodeLine({ remove: cid.toString() }), () => void pins.delete(key));
    },
    async close() {
      await last.catch(() => {});
      await file.close();
    },
  };
}

async function compact(path: string, pins: ReadonlyMap<string, Pin>): Promise<number> {
  const fresh = await open(`${path}.new`, 'w');
  let length = 0;
  try {
    for (const { cid, type, name } of pins.values())
      length += (await fresh.write(encodeLine({ add: cid, type, name }))).bytesWritten;
    await fresh.sync();
  } finally {
    await fresh.close();
  }
  await rename(`${path}.new`, path);
  return length;
}

async function syncFolderOf(path: string): Promise<void> {
  const folder = await open(dirname(path));
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
