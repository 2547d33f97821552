/**
 * From a change of a watched file to its version on the chain, with real processes: validators and
 * `seele data watch`, which is killed at its most delicate places and started again. Each change adds a
 * row, and versions say how many rows there are: so it shows which changes got a version, and how often.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { appendFileSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { METADATA_CONTRACT, datasetRecord, metadataKeys, versionRecord } from '#contracts';
import { decodeWith, parseAccount, utf8Decode } from '#libs/kernel';
import type { NodeClient } from '#libs/platform';
import { createCluster } from '../support/cluster.ts';
import { seele } from '../support/local-machine.ts';
import { percentile } from './harness.ts';

export interface WatchFigures {
  readonly changeToRecordMsP95: number;
  readonly changeToRecordMsP50: number;
  /** Median time between two blocks while changes were made. */
  readonly changeBlockMs: number;
  readonly changesTried: number;
  readonly killsTried: number;
  readonly lostChanges: number;
  readonly duplicatedVersions: number;
}

const PATH = 'data/rows';
const FUNDS = 10n ** 12n;
const WAIT_MS = 60_000;
const POLL_MS = 20;
const VALIDATORS = 4;
const CLI = join(process.cwd(), 'dist/apps/cli/src/main.js');
/** Where the process dies; '' is any moment, from outside. */
const PLACES = [
  ...['data.record.after', 'data.prepare.after', '', 'data.store.after', 'data.watch.taken'],
  ...['data.prepare.before', 'data.watch.published', 'data.watch.noticed'],
] as const;

/** `seele data watch`, started again whenever it ends. */
class Watcher {
  readonly #args: readonly string[];
  readonly #points: string;
  #child: ChildProcess | undefined;
  #stopped = false;
  deaths = 0;

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

  async stop(): Promise<void> {
    this.#stopped = true;
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    await Promise.race([ended, sleep(5_000).then(() => child.kill('SIGKILL'))]);
  }
}

async function latestOf(node: NodeClient, owner: string): Promise<number> {
  const found = await node.state(METADATA_CONTRACT, metadataKeys.dataset(owner, PATH));
  return found === undefined ? 0 : decodeWith(datasetRecord, found).latest;
}

/** The number of rows that each version on the chain says, and the times of their blocks. */
async function versionsOf(node: NodeClient, owner: string) {
  const rows: number[] = [];
  const timesUs: number[] = [];
  for await (const [, value] of node.scan(
    METADATA_CONTRACT,
    metadataKeys.versionsOf(owner, PATH),
  )) {
    const { document, timeUs } = decodeWith(versionRecord, value);
    const text = document.kind === 'inline' ? utf8Decode(document.bytes) : '';
    rows.push(Number(/ns#rowCount> "(\d+)"/.exec(text)?.[1] ?? -1));
    timesUs.push(timeUs);
  }
  return { rows, timesUs };
}

export async function measureWatch(options: {
  readonly changes: number;
  readonly kills: number;
  readonly note: (text: string) => void;
}): Promise<WatchFigures> {
  const { changes, kills, note } = options;
  const home = mkdtempSync(join(tmpdir(), 'seele-bench-'));
  const [csv, say, points] = ['rows.csv', 'say.yaml', 'points'].map((name) => join(home, name)) as [
    string,
    string,
    string,
  ];
  let watcher: Watcher | undefined;
  let stopCluster: (() => Promise<void>) | undefined;
  const run = async (...args: string[]): Promise<Record<string, unknown>> => {
    const { code, stdout, stderr } = await seele([...args, '--home', home, '--json']);
    if (code !== 0) throw new Error(`seele ${args.join(' ')}: ${stderr}`);
    return JSON.parse(stdout) as Record<string, unknown>;
  };
  try {
    const { address } = await run('account', 'new', 'default');
    const owner = parseAccount(String(address));
    const allocations = [{ account: owner, amount: FUNDS }];
    const cluster = await createCluster({ nodes: VALIDATORS, allocations });
    stopCluster = () => cluster.stop();
    await Promise.all(Array.from({ length: VALIDATORS }, (_, i) => cluster.start(i)));
    const node = cluster.client(0);
    writeFileSync(csv, 'id,value\n1,a\n');
    writeFileSync(say, 'publish: [rowCount]\n');
    const where = ['--node', node.url];
    await run(
      ...['data', 'add', csv, '--describe', say, '--mode', 'metadata-only', '--yes', ...where],
    );
    watcher = new Watcher(['data', 'watch', 'rows', '--home', home, ...where], points);
    const waits: number[] = [];
    let blocks = (await node.status()).height;
    const beganMs = performance.now();
    const killAt = new Map(
      Array.from({ length: kills }, (_, k) => [
        Math.floor(((k + 1) * changes) / (kills + 1)),
        PLACES[k % PLACES.length] ?? '',
      ]),
    );
    // The first start takes longer; a change before it would measure the start.
    await sleep(2_000);
    for (let i = 1; i <= changes; i++) {
      const place = killAt.get(i);
      if (place !== undefined && place !== '') watcher.kill(place);
      const atMs = performance.now();
      appendFileSync(csv, `${i + 1},v${i}\n`);
      if (place === '') await sleep(250).then(() => watcher?.kill(''));
      while ((await latestOf(node, owner)) < i + 1 && performance.now() - atMs < WAIT_MS)
        await sleep(POLL_MS);
      if (place === undefined) waits.push(performance.now() - atMs);
      // What was to die after the record may not have yet; the next change waits for a new process.
      for (let n = 0; place && existsSync(points) && n < 100; n++) await sleep(POLL_MS);
      if (place !== undefined) await sleep(1_500);
      if (i % 10 === 0) note(`${i} changes, ${watcher.deaths} deaths`);
    }
    blocks = (await node.status()).height - blocks;
    const spentMs = performance.now() - beganMs;
    const { rows } = await versionsOf(node, owner);
    const wanted = Array.from({ length: changes + 1 }, (_, i) => i + 1);
    return {
      changeToRecordMsP95: Math.round(percentile(waits, 0.95)),
      changeToRecordMsP50: Math.round(percentile(waits, 0.5)),
      changeBlockMs: Math.round(spentMs / Math.max(1, blocks)),
      changesTried: changes,
      killsTried: watcher.deaths,
      lostChanges: wanted.filter((count) => !rows.includes(count)).length,
      duplicatedVersions: rows.length - new Set(rows).size,
    };
  } finally {
    await watcher?.stop();
    await stopCluster?.();
    rmSync(home, { recursive: true, force: true });
  }
}
