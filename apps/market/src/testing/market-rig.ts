/** A whole market for tests: real HTTP, WebSocket, PostgreSQL, queue and chain; storage in memory. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Order, ORDER_DOMAIN, orderBytes, orderId, ordersCalls } from '#contracts';
import { type Signer, createSigner, generateKeyPair, signRequest } from '#libs/crypto';
import { bytesToHex } from '#libs/kernel';
import { DEFAULT_JOB_LIMITS, type Manifest, manifestCid } from '#libs/market';
import {
  type EmbeddedPostgres,
  type RunningService,
  createHealth,
  createLogger,
  createMetrics,
  createSystemClock,
  createSystemRandomness,
  freePort,
  removePostgresCluster,
  startEmbeddedPostgres,
} from '#libs/platform';
import { type BlobStore, createMemoryBlobStore } from '#libs/storage';
import { createPostgresQueue } from '../queue/bullmq-queue.ts';
import { type MarketParts, startMarket } from '../start-market.ts';
import { FakeAgent, type FakeAgentOptions } from './fake-agent.ts';
import { type InProcessChain, createInProcessChain } from './in-process-chain.ts';

const clock = createSystemClock();
const randomness = createSystemRandomness();

export const newSigner = (): Signer => createSigner(generateKeyPair(randomness).seed);

/** Any CID of a raw block. */
export const SOME_CID = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy';

export function someManifest(change: Partial<Manifest> = {}): Manifest {
  return {
    version: 1,
    name: 'test job',
    kind: 'js',
    code: SOME_CID,
    inputs: [],
    params: '{}',
    limits: { ...DEFAULT_JOB_LIMITS, wallMs: 5_000, cpuMs: 5_000 },
    minIsolation: 'S0',
    tier: 'A',
    resources: { cores: 1, memoryBytes: 2 ** 28 },
    ...change,
  };
}

export interface MarketRig {
  readonly url: string;
  readonly chain: InProcessChain;
  readonly blobs: BlobStore;
  readonly market: Signer;
  readonly consumer: Signer;
  readonly fatal: unknown[];
  signOrder(
    manifest: Manifest,
    change?: Partial<Order>,
  ): { id: string; body: object; order: Order };
  /** A signed request; `tamper` changes what is sent after signing. */
  request(method: string, path: string, body?: unknown, signer?: Signer): Promise<Response>;
  agent(options?: Partial<FakeAgentOptions>): FakeAgent;
  /** Stops the market and starts it again on the same database. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

interface Base {
  readonly home: string;
  readonly postgres: EmbeddedPostgres;
  readonly chain: InProcessChain;
  readonly blobs: BlobStore;
  readonly market: Signer;
  readonly fatal: unknown[];
}

async function startOn(
  base: Base,
  change: Partial<MarketParts>,
  port: number,
): Promise<RunningService> {
  const logger = createLogger({ name: 'market', level: process.env['TEST_LOG'] ?? 'silent' });
  return startMarket({
    name: 'test market',
    chain: base.chain.id,
    signer: base.market,
    node: base.chain.node,
    blobs: base.blobs,
    queue: await createPostgresQueue({ url: base.postgres.url, logger }),
    databaseUrl: base.postgres.url,
    clock,
    randomness,
    logger,
    health: createHealth(),
    metrics: createMetrics('market'),
    host: '127.0.0.1',
    port,
    requestsPerSecond: 10_000,
    bodyLimitBytes: 512 * 1024,
    times: { anchorMs: 50 },
    fuelPrice: 1n,
    onFatal: (error, why) => void base.fatal.push(error, why),
    ...change,
  });
}

function documentOf(order: Order, signer: Signer): object {
  return {
    order: { ...order, priceCap: order.priceCap.toString() },
    publicKey: signer.publicKey,
    signature: bytesToHex(signer.sign(ORDER_DOMAIN, orderBytes(order))),
  };
}

export async function startMarketRig(change: Partial<MarketParts> = {}): Promise<MarketRig> {
  const home = await mkdtemp(join(tmpdir(), 'seele-market-'));
  const postgres = await startEmbeddedPostgres({ directory: join(home, 'postgres') });
  const [market, consumer] = [newSigner(), newSigner()];
  const chain = await createInProcessChain(newSigner(), [market, consumer], clock);
  await chain.execute(consumer, [
    ordersCalls.deposit({ account: consumer.account, amount: 10n ** 11n }),
  ]);
  const base = { home, postgres, chain, blobs: createMemoryBlobStore(), market, fatal: [] };
  // It is started again there: no port that the system gives to a connection meanwhile.
  const port = await freePort();
  let service = await startOn(base, change, port);
  const { url } = service;
  const agents: FakeAgent[] = [];
  return {
    ...base,
    url,
    consumer,
    signOrder: (manifest, orderChange = {}) => {
      const nowUs = clock.nowUs();
      const order: Order = {
        chain: chain.id,
        consumer: consumer.account,
        market: market.account,
        salt: randomBytes(16).toString('hex'),
        manifest: manifestCid(manifest),
        priceCap: 10n ** 8n,
        placeByUs: nowUs + 60_000_000,
        completeByUs: nowUs + 600_000_000,
        ...orderChange,
      };
      return { id: orderId(order), order, body: { order: documentOf(order, consumer), manifest } };
    },
    request: (method, path, body, signer = consumer) => {
      const bytes = body === undefined ? undefined : new TextEncoder().encode(JSON.stringify(body));
      const parts = { method, url: url + path, ...(bytes && { body: bytes }) };
      const nonce = randomBytes(16).toString('hex');
      const nowS = Math.floor(Date.now() / 1000);
      const headers = signRequest(parts, signer, { nowS, nonce });
      return fetch(url + path, {
        method,
        headers: { ...headers, ...(bytes && { 'content-type': 'application/json' }) },
        ...(bytes && { body: bytes }),
      });
    },
    agent: (options = {}) => {
      const agent = new FakeAgent({ url, chain: chain.id, signer: newSigner(), ...options });
      agents.push(agent);
      return agent;
    },
    restart: async () => {
      await service.stop();
      service = await startOn(base, change, port);
    },
    stop: async () => {
      await Promise.all(agents.map((agent) => agent.close()));
      await service.stop();
      await postgres.stop();
      await removePostgresCluster(join(home, 'postgres'));
      await rm(home, { recursive: true, force: true });
    },
  };
}
