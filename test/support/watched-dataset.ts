/**
 * `seele data watch` as a process that is killed and started again, and what the chain says of a dataset
 * that it watches, for tests and benches. Each version says how many rows its source had: so it shows
 * which changes got a version, and how often.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { METADATA_CONTRACT, datasetRecord, metadataKeys, versionRecord } from '#contracts';
import { decodeWith, utf8Decode } from '#libs/kernel';
import type { NodeClient } from '#libs/platform';
import { type BlobStore, readBlob } from '#libs/storage';

const CLI = join(process.cwd(), 'dist/apps/cli/src/main.js');
const DOCUMENT_BYTES_MAX = 2 ** 24;

/** Where the process dies; '' is any moment, from outside. */
export const WATCH_PLACES = [
  ...['data.record.after', 'data.prepare.after', '', 'data.store.after', 'data.watch.taken'],
  ...['data.prepare.before', 'data.watch.published', 'data.watch.noticed'],
] as const;

/** `seele data watch`, started again whenever it ends. */
export class Watcher {
  readonly #args: readonly string[];
  readonly #points: string;
  #child: ChildProcess | undefined;
  #stopped = false;
  deaths = 0;

  /**
   * @param args what follows `seele`
   * @param points a file that names where it is to die
   */
  constructor(args: readonly string[], points: string) {
    this.#args = args;
    this.#points = points;
    this.#start();
  }

  #start(): void {
    const env = { ...process.env, SEELE_FAILPOINTS_FILE: this.#points };
    const child = spawn(process.execPath, [CLI, ...this.#args], { env, stdio: 'ignore' });
    this.#child = child;
    child.once('exit', () => {
      if (this.#stopped) return;
      this.deaths++;
      this.#start();
    });
  }

  /** Dies at the next visit of the place, or now. */
  kill(place: string): void {
    if (place === '') this.#child?.kill('SIGKILL');
    else writeFileSync(this.#points, `${place}=kill`);
  }

  /** Until it died where it was to; false when it has not after a while. */
  async died(limitMs = 10_000): Promise<boolean> {
    const atMs = performance.now();
    while (existsSync(this.#points) && performance.now() - atMs < limitMs) await sleep(20);
    return !existsSync(this.#points);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    await Promise.race([ended, sleep(5_000).then(() => child.kill('SIGKILL'))]);
  }
}

/** How many versions the chain has. */
export async function versionCount(node: NodeClient, owner: string, path: string): Promise<number> {
  const found = await node.state(METADATA_CONTRACT, metadataKeys.dataset(owner, path));
  return found === undefined ? 0 : decodeWith(datasetRecord, found).latest;
}

/** The number of rows that each version on the chain says, in their order. */
export async function rowsOfVersions(
  node: NodeClient,
  owner: string,
  path: string,
  store?: BlobStore,
): Promise<readonly number[]> {
  const rows: number[] = [];
  for await (const [, value] of node.scan(
    METADATA_CONTRACT,
    metadataKeys.versionsOf(owner, path),
  )) {
    const { document } = decodeWith(versionRecord, value);
    const bytes =
      document.kind === 'inline'
        ? document.bytes
        : store && (await readBlob(store, document.cid, { maxBytes: DOCUMENT_BYTES_MAX }));
    rows.push(
      Number(/ns#rowCount> "(\d+)"/.exec(utf8Decode(bytes ?? new Uint8Array()))?.[1] ?? -1),
    );
  }
  return rows;
}
