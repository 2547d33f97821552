/**
 * From a change of a watched file to its version on the chain, with real processes: validators and
 * `seele data watch`, which is killed at its most delicate places and started again. Each change adds a
 * row, and versions say how many rows there are. Under `--full` several owners change their files side
 * by side, each watched by a process of its own.
 */
import { appendFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { temporaryFolder } from '../support/started.ts';
import { parseAccount } from '#libs/kernel';
import type { NodeClient } from '#libs/platform';
import { createCluster } from '../support/cluster.ts';
import { seele } from '../support/local-machine.ts';
import { WATCH_PLACES, Watcher, rowsOfVersions, versionCount } from '../support/watched-dataset.ts';
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
/** A process that was killed is there again. */
const RESTART_MS = 1_500;

interface Owner {
  readonly home: string;
  readonly account: string;
}

async function inHome(home: string, ...args: string[]): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await seele([...args, '--home', home, '--json']);
  if (code !== 0) throw new Error(`seele ${args.join(' ')}: ${stderr}`);
  return JSON.parse(stdout) as Record<string, unknown>;
}

async function createOwner(folder: string, index: number): Promise<Owner> {
  const home = join(folder, `owner-${index}`);
  const { address } = await inHome(home, 'account', 'new', 'default');
  return { home, account: parseAccount(String(address)) };
}

interface Lane {
  readonly waits: readonly number[];
  readonly deaths: number;
  readonly lost: number;
  readonly duplicated: number;
}

/** One owner's changes, one after another, with deaths between. */
async function runLane(
  node: NodeClient,
  { home, account }: Owner,
  options: { changes: number; places: readonly string[]; onChange(): void },
): Promise<Lane> {
  const { changes, places, onChange } = options;
  const [csv, say, points] = ['rows.csv', 'say.yaml', 'points'].map((name) => join(home, name)) as [
    string,
    string,
    string,
  ];
  writeFileSync(csv, 'id,value\n1,a\n');
  writeFileSync(say, 'publish: [rowCount]\n');
  const where = ['--node', node.url];
  const how = ['--describe', say, '--mode', 'metadata-only', '--yes'];
  await inHome(home, 'data', 'add', csv, ...how, ...where);
  const watcher = new Watcher(['data', 'watch', 'rows', '--home', home, ...where], points);
  try {
    const killAt = new Map(
      places.map((place, k) => [Math.floor(((k + 1) * changes) / (places.length + 1)), place]),
    );
    const waits: number[] = [];
    // The first start takes longer; a change before it would measure the start.
    await sleep(2_000);
    for (let i = 1; i <= changes; i++) {
      const place = killAt.get(i);
      if (place !== undefined && place !== '') watcher.kill(place);
      const atMs = performance.now();
      appendFileSync(csv, `${i + 1},v${i}\n`);
      if (place === '') await sleep(250).then(() => watcher.kill(''));
      while (
        (await versionCount(node, account, PATH)) < i + 1 &&
        performance.now() - atMs < WAIT_MS
      )
        await sleep(POLL_MS);
      if (place === undefined) waits.push(performance.now() - atMs);
      // What was to die after the record may not have yet; the next change waits for a new process.
      else await watcher.died(2_000).then(() => sleep(RESTART_MS));
      onChange();
    }
    const rows = await rowsOfVersions(node, account, PATH);
    const wanted = Array.from({ length: changes + 1 }, (_, i) => i + 1);
    return {
      ...{ waits, deaths: watcher.deaths },
      lost: wanted.filter((count) => !rows.includes(count)).length,
      duplicated: rows.length - new Set(rows).size,
    };
  } finally {
    await watcher.stop();
  }
}

const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);

export async function measureWatch(options: {
  readonly changes: number;
  readonly kills: number;
  /** Owners whose files change side by side. */
  readonly lanes: number;
  readonly note: (text: string) => void;
}): Promise<WatchFigures> {
  const { changes, kills, lanes, note } = options;
  const folder = temporaryFolder('seele-bench-');
  let stopCluster: (() => Promise<void>) | undefined;
  try {
    const owners = await Promise.all(
      Array.from({ length: lanes }, (_, i) => createOwner(folder, i)),
    );
    const allocations = owners.map(({ account }) => ({ account, amount: FUNDS }));
    const cluster = await createCluster({ nodes: VALIDATORS, allocations });
    stopCluster = () => cluster.stop();
    await Promise.all(Array.from({ length: VALIDATORS }, (_, i) => cluster.start(i)));
    const node = cluster.client(0);
    const beganMs = performance.now();
    const blocksBefore = (await node.status()).height;
    const places = Array.from({ length: kills }, (_, k) => WATCH_PLACES[k % WATCH_PLACES.length]);
    let done = 0;
    const onChange = () => {
      if (++done % 50 === 0) note(`${done} changes`);
    };
    const share = (count: number, lane: number) =>
      Math.floor((count * (lane + 1)) / lanes) - Math.floor((count * lane) / lanes);
    const ran = await Promise.all(
      owners.map((owner, lane) =>
        runLane(node, owner, {
          changes: share(changes, lane),
          places: places.filter((_, k) => k % lanes === lane) as string[],
          onChange,
        }),
      ),
    );
    const blocks = (await node.status()).height - blocksBefore;
    const spentMs = performance.now() - beganMs;
    const waits = ran.flatMap((lane) => lane.waits);
    return {
      changeToRecordMsP95: Math.round(percentile(waits, 0.95)),
      changeToRecordMsP50: Math.round(percentile(waits, 0.5)),
      changeBlockMs: Math.round(spentMs / Math.max(1, blocks)),
      changesTried: changes,
      killsTried: sum(ran.map(({ deaths }) => deaths)),
      lostChanges: sum(ran.map(({ lost }) => lost)),
      duplicatedVersions: sum(ran.map(({ duplicated }) => duplicated)),
    };
  } finally {
    await stopCluster?.();
    rmSync(folder, { recursive: true, force: true });
  }
}
