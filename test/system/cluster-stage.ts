/** What the runs of clusters under faults share. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Signer } from '#libs/crypto';
import { type TransactionBody, signTransaction } from '#libs/ledger';
import { type Cluster, type ClusterOptions, createCluster } from '../support/cluster.ts';
import { divergences, loadSigners, sameHead } from '../support/cluster-load.ts';

export const PROGRESS_LIMIT_MS = 30_000;
export const EXIT_LIMIT_MS = 30_000;
export const FUNDS = 10n ** 15n;

export interface Outcome {
  readonly scenario: string;
  readonly divergences: number;
  /** What did not go as it should; absent when all did. */
  readonly wrong?: readonly string[];
  readonly [figure: string]: number | string | readonly string[] | undefined;
}

export const note = (text: string): void => void process.stderr.write(`${text}\n`);
export const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/** Starts `started` of the nodes (all by default), runs, and leaves nothing behind. */
export async function withCluster<T>(
  nodes: number,
  run: (cluster: Cluster) => Promise<T>,
  {
    isLogged = false,
    started = range(nodes),
    ...options
  }: Partial<ClusterOptions> & {
    readonly isLogged?: boolean;
    readonly started?: readonly number[];
  } = {},
): Promise<T> {
  const cluster = await createCluster({
    nodes,
    allocations: loadSigners(8).map(({ account }) => ({ account, amount: FUNDS })),
    // Ten processes and more share a few cores: a pace they can keep.
    deltaUs: nodes > 4 ? 100_000 : 50_000,
    ...(isLogged && { onLog: (node, text) => note(`[${node}] ${text.trim()}`) }),
    ...options,
  });
  const stop = (): void => void cluster.stop().then(() => process.exit(130));
  process.once('SIGINT', stop).once('SIGTERM', stop);
  try {
    await Promise.all(started.map((node) => cluster.start(node)));
    return await run(cluster);
  } finally {
    process.off('SIGINT', stop).off('SIGTERM', stop);
    await cluster.stop();
  }
}

/** Sends one call through a node and waits until it is final. @throws when it fails */
export async function order(
  cluster: Cluster,
  by: Signer,
  node: number,
  call: TransactionBody['calls'][number],
): Promise<void> {
  const client = cluster.client(node);
  const { nextNonce: nonce } = await client.account(by.account);
  const body = {
    chain: cluster.chain,
    publicKey: by.publicKey,
    nonce,
    validUntilUs: (Date.now() + 60_000) * 1000,
    fuelLimit: 4_000_000n,
    fuelPrice: 1n,
    calls: [call],
  };
  const { receipt } = await client.execute(signTransaction(by, body), PROGRESS_LIMIT_MS);
  if (receipt.status !== 'ok') throw new Error(`${receipt.code}: ${receipt.message}`);
}

/** Heights at which the first `nodes` nodes differ, once all of them are at least so high. */
export async function differences(
  cluster: Cluster,
  nodes: number | readonly number[],
  least: number,
): Promise<number> {
  const all = typeof nodes === 'number' ? range(nodes) : nodes;
  const height = await sameHead(cluster, all, least, PROGRESS_LIMIT_MS);
  return (await divergences(cluster, all, height)).length;
}

export const highestOf = (final: ReadonlyMap<string, number>): number =>
  Math.max(0, ...final.values());

/** @throws after `limitMs` */
export async function until(
  what: string,
  holds: () => Promise<boolean>,
  limitMs = PROGRESS_LIMIT_MS,
): Promise<void> {
  for (const limit = Date.now() + limitMs; !(await holds()); await sleep(100))
    if (Date.now() > limit) throw new Error(`${what}: not in ${limitMs} ms`);
}
