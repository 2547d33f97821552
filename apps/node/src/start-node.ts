/** Puts a node together: data directory, chain, ordering, HTTP. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createUserContracts, systemContracts, tokenFees } from '#contracts';
import { type Signer, createSigner, verifySignature } from '#libs/crypto';
import { type Bytes, type Clock, type KeyValueStore, isSeeleError } from '#libs/kernel';
import {
  type Chain,
  type CommittedBlock,
  type Genesis,
  type Mempool,
  type Producer,
  createChain,
  createMempool,
  createProducer,
  createSoloOrdering,
  decodeGenesis,
  ledgerError,
} from '#libs/ledger';
import {
  type Logger,
  type Metrics,
  type RunningService,
  type SettingsOf,
  createHealth,
  createHttpServer,
  createMetrics,
  createSystemClock,
  describeSystemError,
  endProcess,
  homePassphrase,
  keystorePath,
  listenHttp,
  readKeystoreFile,
} from '#libs/platform';
import { lockDirectory, openLmdbStore } from '#libs/store';
import { createBlockStreams } from './block-stream.ts';
import { createContractEngine } from './contract-engine.ts';
import { watchDiskSpace } from './disk-space.ts';
import { observeStages } from './eda/finality-stages.ts';
import { observeForwarded, observeLinks } from './eda/link-metrics.ts';
import { copyState, isCopyBegun, mayBeBehind } from './eda/state-copy.ts';
import { edaNotice, startValidator } from './eda/start-validator.ts';
import type { NodeContext } from './http/node-context.ts';
import { addRoutes } from './http/routes.ts';
import { ChainNode } from './node-service.ts';
import { observeStore } from './observed-store.ts';
import type { nodeSettings } from './settings.ts';
import { type SignaturePool, createSignaturePool } from './signature-pool.ts';

export type NodeSettings = SettingsOf<typeof nodeSettings>;

/** Enough for a full batch of transactions. */
const BODY_MAX_BYTES = 8 * 1024 * 1024;

async function readGenesis(path: string): Promise<Genesis> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (error) {
    throw describeSystemError(error, path);
  }
  try {
    return decodeGenesis(bytes);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw ledgerError('LEDGER_DATA_CORRUPT', `${path} is not a genesis: ${why}`, { cause });
  }
}

/** The key of this node: the sequencer's, or a validator's. @throws LEDGER_GENESIS_MISMATCH */
async function openKey(settings: NodeSettings, genesis: Genesis): Promise<NodeKey> {
  const passphrase = await homePassphrase(settings.home, settings.passphrase);
  const { seed } = await readKeystoreFile(keystorePath(settings.home, settings.key), passphrase);
  const signer = createSigner(seed);
  const { ordering } = genesis;
  if (ordering.kind === 'solo' && signer.publicKey !== ordering.sequencer)
    throw ledgerError(
      'LEDGER_GENESIS_MISMATCH',
      `key ${settings.key} is not the sequencer that the genesis names`,
    );
  return { seed, signer };
}

interface NodeKey {
  readonly seed: Bytes;
  readonly signer: Signer;
}

/** Every block and every state entry, for `SEELE_NODE_CHECK=full`. @throws LEDGER_DATA_CORRUPT */
function checkEverything(chain: Chain, logger: Logger): void {
  const { height } = chain.head.header;
  for (let h = Math.max(1, chain.firstHeight); h <= height; h++) chain.checkBlock(h);
  for (const _progress of chain.checkState()) void _progress;
  logger.info({ height }, 'every block and state entry checked');
}

function observe(metrics: Metrics, chain: Chain, pool: () => ChainNode['mempool']['metrics']) {
  metrics.gauge('seele_node_height', 'Height of the last block', () => chain.head.header.height);
  metrics.gauge('seele_node_pool_transactions', 'Waiting transactions', () => pool().transactions);
  metrics.gauge('seele_node_pool_bytes', 'Bytes of waiting transactions', () => pool().bytes);
  for (const what of ['admitted', 'refused', 'replaced', 'evicted', 'expired'] as const)
    metrics.gauge(
      `seele_node_pool_${what}`,
      `Transactions ${what} since start`,
      () => pool()[what],
    );
  const commitSeconds = metrics.histogram('seele_node_commit_seconds', 'Time to store a block');
  const executed = metrics.counter('seele_node_transactions_total', 'Executed transactions', [
    'status',
  ]);
  return {
    onCommit: (seconds: number) => commitSeconds.observe(seconds),
    onBlock({ receipts }: CommittedBlock) {
      for (const { status } of receipts) executed.inc({ status });
    },
  };
}

async function openStore(settings: NodeSettings, path: string) {
  const release = lockDirectory(path);
  try {
    const refusal = watchDiskSpace(path, settings.reserveBytes);
    const full = refusal();
    if (full) throw full;
    return { store: openLmdbStore({ path }), refusal, release };
  } catch (error) {
    release();
    throw error;
  }
}

/** @throws one SeeleError that says what is wrong: data, genesis, key, port */
export async function startNode(settings: NodeSettings, logger: Logger): Promise<RunningService> {
  const path = settings.data ?? join(settings.home, 'node');
  const genesis = await readGenesis(settings.genesis ?? join(settings.home, 'genesis.cbor'));
  const { store, refusal, release } = await openStore(settings, path);
  try {
    const key = await openKey(settings, genesis);
    return await serve({ settings, logger, genesis, store, refusal, release, key, path });
  } catch (error) {
    await store.close().catch(() => undefined);
    release();
    throw damagedFile(error, path);
  }
}

/** Chain data that is damaged, with the file it lies in; anything else as it is. */
function damagedFile(error: unknown, path: string): unknown {
  if (!isSeeleError(error)) return error;
  if (error.code !== 'LEDGER_DATA_CORRUPT' && error.code !== 'MERKLE_NODE_CORRUPT') return error;
  const where = `${join(path, 'data.mdb')}: ${error.message}`;
  return ledgerError('LEDGER_DATA_CORRUPT', where, { cause: error });
}

interface Parts {
  readonly settings: NodeSettings;
  readonly logger: Logger;
  readonly genesis: Genesis;
  readonly store: KeyValueStore;
  readonly refusal: ReturnType<typeof watchDiskSpace>;
  readonly release: () => void;
  readonly key: NodeKey;
  readonly path: string;
}

/** For tests of skewed clocks: wall time this far off. */
function createNodeClock(offsetMs: number): Clock {
  const clock = createSystemClock();
  return offsetMs === 0 ? clock : { ...clock, nowUs: () => clock.nowUs() + offsetMs * 1_000 };
}

/** The chain in the store, after the state was copied if it was far behind. */
async function openOrCopy(
  { settings, logger, genesis, store, key }: Parts,
  clock: Clock,
  open: () => Promise<Chain>,
): Promise<Chain> {
  const { ordering } = genesis;
  const { listen, peers, advertised, copyBehind: behind } = settings;
  if (ordering.kind === 'solo') return open();
  const isBegun = isCopyBegun(store);
  const chain = isBegun ? undefined : await open();
  const head = chain?.head.header;
  if (chain && !mayBeBehind(head?.timeUs ?? 0, clock.nowUs(), behind)) return chain;
  const copied = await copyState(
    {
      store,
      genesis,
      ordering,
      signer: key.signer,
      listen,
      peers,
      ...(advertised === undefined ? {} : { advertised }),
      behind,
      clock,
      logger,
    },
    head?.height ?? 0,
  );
  return chain && copied === undefined ? chain : open();
}

interface Ordered {
  readonly kind: string;
  readonly notice: string;
  readonly producer: Producer;
  readonly consensus: NodeContext['consensus'];
  readonly facts: Readonly<Record<string, string>>;
}

/** The ordering that the genesis names. */
async function startOrdering(
  { settings, logger, genesis, store, key, path }: Parts,
  parts: {
    readonly chain: Chain;
    readonly mempool: Mempool;
    readonly signatures: SignaturePool;
    readonly clock: Clock;
  },
  metrics: Metrics,
): Promise<Ordered> {
  const { chain, mempool } = parts;
  const { ordering } = genesis;
  if (ordering.kind === 'solo') {
    const solo = createSoloOrdering(key.signer);
    const producer = createProducer({ chain, mempool, ordering: solo });
    return { kind: 'solo', notice: solo.notice, producer, consensus: undefined, facts: {} };
  }
  const { listen, peers, advertised } = settings;
  const started = await startValidator({
    ...parts,
    ...key,
    ordering,
    store,
    logger,
    observeStage: observeStages(metrics),
    directory: path,
    listen,
    peers,
    journalBytes: settings.journalBytes,
    journalLost: settings.journalLost === 'auto' ? undefined : settings.journalLost === 'true',
    ...(advertised === undefined ? {} : { advertised }),
  });
  const { producer, address, transport } = started;
  observeLinks(metrics, transport);
  observeForwarded(metrics, () => producer.forwarded);
  const { publicKey } = key.signer;
  return {
    kind: 'eda',
    notice: edaNotice(ordering),
    producer,
    consensus: producer,
    facts: { address, publicKey },
  };
}

async function serve(parts: Parts): Promise<RunningService> {
  const { settings, logger, genesis, store, refusal, release } = parts;
  const metrics = createMetrics('node');
  let onCommit = (_seconds: number): void => undefined;
  const userContracts = createUserContracts(createContractEngine(settings.contractCacheBytes));
  const clock = createNodeClock(settings.clockOffsetMs);
  const open = (): Promise<Chain> =>
    createChain({
      genesis,
      contracts: [...systemContracts, userContracts.contract],
      userContracts: userContracts.port,
      fees: tokenFees,
      store: observeStore(store, (seconds) => onCommit(seconds)),
      verifySignature,
    });
  const chain = await openOrCopy(parts, clock, open);
  if (settings.check === 'full') checkEverything(chain, logger);
  const onFatal = (error: unknown): never =>
    endProcess(logger, error, 'the chain cannot go on; restart the node');
  const signatures = createSignaturePool(settings.signatureThreads, onFatal);
  const mempool = createMempool({
    chain: chain.id,
    limits: chain.limits,
    accounts: chain,
    pool: { transactions: settings.poolTransactions, perAccount: settings.poolPerAccount },
    onDropped: (id, reason) => node.noteDropped(id, reason),
  });
  const observed = observe(metrics, chain, () => mempool.metrics);
  ({ onCommit } = observed);
  const ordered = await startOrdering(parts, { chain, mempool, signatures, clock }, metrics);
  const { producer, consensus, facts, ...ordering } = ordered;
  const { onBlock } = observed;
  const options = { chain, mempool, producer, signatures, clock, refusal, onFatal, onBlock };
  const node = new ChainNode(options);
  const streams = createBlockStreams(node, settings.streams);
  const health = createHealth();
  health.add('disk', () => {
    const full = refusal();
    if (full) throw full;
  });
  const app = await createHttpServer(
    { logger, health, metrics, bodyLimitBytes: BODY_MAX_BYTES },
    (routes) => addRoutes(routes, { node, streams, ordering, consensus }),
  );
  const stop = async (): Promise<void> => {
    health.stopping();
    streams.close();
    await node.stop();
    await app.close();
    await signatures.close();
    await store.close();
    release();
  };
  try {
    const url = await listenHttp(app, settings);
    logger.warn({ ordering: ordering.kind }, ordering.notice);
    const { height } = chain.head.header;
    logger.info({ url, chain: chain.id, height }, 'node serves');
    return { url, facts: { genesis: chain.id, height, ...facts }, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
