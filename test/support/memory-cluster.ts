/**
 * Validators of one EDA chain in this process, linked by a network in memory: the real consensus, execution
 * and stores, so many of them as no machine of tests holds as processes. The network's clock follows the
 * real one.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { genesisSettings, systemContracts, tokenFees } from '#contracts';
import { type KeyPair, createSigner, keyPairFromSeed, sha256, verifySignature } from '#libs/crypto';
import { deriveBlsSigner } from '#libs/eda';
import { createSeededRandomness, utf8 } from '#libs/kernel';
import {
  type Chain,
  type EdaOrdering,
  type Genesis,
  type Mempool,
  type TransactionEnvelope,
  createChain,
  createMempool,
  provenBlsKey,
} from '#libs/ledger';
import { type Transport, createMemoryNetwork } from '#libs/net';
import { createLogger, createSystemClock } from '#libs/platform';
import { createSimulatedDisk } from '#libs/store';
import { startValidator } from '../../apps/node/src/eda/start-validator.ts';
import type { ValidatorProducer } from '../../apps/node/src/eda/validator.ts';
import { PROTOCOLS } from '../../apps/node/src/eda/wire.ts';
import { createSignaturePool } from '../../apps/node/src/signature-pool.ts';

const STAKE = 1_000n;
const PUMP_MS = 4;

export interface MemoryClusterOptions {
  readonly nodes: number;
  /** So many validate from genesis on, the first ones; all by default. */
  readonly validators?: number;
  readonly ordering: Pick<EdaOrdering, 'deltaUs' | 'eraUs' | 'attestEveryUs'>;
  /** Whether the genesis names BLS keys. */
  readonly bls?: boolean;
  readonly allocations: Genesis['parameters']['allocations'];
}

export interface MemoryNode {
  readonly chain: Chain;
  readonly mempool: Mempool;
  readonly producer: ValidatorProducer;
  readonly transport: Transport;
}

export interface MemoryCluster {
  readonly genesis: Genesis;
  readonly keys: readonly KeyPair[];
  readonly nodes: ReadonlyMap<number, MemoryNode>;
  start(node: number): Promise<MemoryNode>;
  /** Cuts a node off, as when its process is killed; nothing of it is used again. */
  kill(node: number): Promise<void>;
  submit(node: number, transaction: TransactionEnvelope): void;
  stop(): Promise<void>;
}

export const validatorKey = (node: number): KeyPair =>
  keyPairFromSeed(sha256(utf8(`memory validator ${node}`)));

export async function createMemoryCluster(options: MemoryClusterOptions): Promise<MemoryCluster> {
  const { nodes: count, validators = count, bls = true, allocations } = options;
  const keys = Array.from({ length: count }, (_, node) => validatorKey(node));
  const ordering: EdaOrdering & { kind: 'eda' } = {
    kind: 'eda',
    validators: keys.slice(0, validators).map(({ publicKey, seed }) => ({
      publicKey,
      stake: STAKE,
      ...(bls && { bls: provenBlsKey(deriveBlsSigner(seed)) }),
    })),
    stakeUnit: STAKE,
    profile: 'seele-40',
    epsilonUs: 128,
    ...options.ordering,
  };
  const genesis: Genesis = {
    chainName: 'memory-cluster',
    timeUs: (Date.now() - 1_000) * 1_000,
    ordering,
    parameters: { allocations, settings: genesisSettings },
  };
  const root = mkdtempSync(join(tmpdir(), 'seele-memory-cluster-'));
  const network = createMemoryNetwork({ seed: 1, delayMs: [1, 4] });
  const clock = createSystemClock();
  const logger = createLogger({ name: 'memory', level: 'fatal' });
  const signatures = createSignaturePool(0, (error) => {
    throw error;
  });
  const nodes = new Map<number, MemoryNode>();
  const runs: Promise<void>[] = [];
  const errors: unknown[] = [];
  let isStopping = false;

  const pump = (async () => {
    let beforeMs = performance.now();
    while (!isStopping || nodes.size > 0) {
      await sleep(PUMP_MS);
      const nowMs = performance.now();
      await network.advance(nowMs - beforeMs);
      beforeMs = nowMs;
    }
  })();

  const start = async (node: number): Promise<MemoryNode> => {
    const { seed, publicKey } = keys[node] as KeyPair;
    const directory = join(root, String(node));
    mkdirSync(directory);
    const store = createSimulatedDisk(createSeededRandomness(node + 1)).open();
    const parts = { genesis, contracts: systemContracts, fees: tokenFees, verifySignature };
    const chain = await createChain({ ...parts, store, maxCachedNodes: 10_000 });
    const mempool = createMempool({ chain: chain.id, limits: chain.limits, accounts: chain });
    const signer = createSigner(seed);
    const known = new Set(keys.map((key) => key.publicKey));
    const transport = network.create(publicKey, {
      signer,
      network: chain.id,
      protocols: PROTOCOLS,
      admit: (peer) => known.has(peer),
    });
    const { producer } = await startValidator({
      ...{ chain, ordering, mempool, store, signer, seed, signatures, clock, logger, directory },
      listen: '127.0.0.1:0',
      peers: '',
      journalBytes: 64 * 1024 * 1024,
      journalLost: false,
      wrap: () => transport,
    });
    // One side of each pair dials.
    for (let other = 0; other < node; other++) {
      const peer = (keys[other] as KeyPair).publicKey;
      transport.dial(peer, peer);
    }
    const made = { chain, mempool, producer, transport };
    nodes.set(node, made);
    runs.push(
      (async () => {
        while (nodes.get(node) === made) await producer.step();
      })().catch((error: unknown) => void errors.push(error)),
    );
    return made;
  };

  const kill = async (node: number): Promise<void> => {
    const killed = nodes.get(node);
    nodes.delete(node);
    network.kill((keys[node] as KeyPair).publicKey);
    await killed?.producer.stop();
  };

  return {
    genesis,
    keys,
    nodes,
    start,
    kill,
    submit(node, transaction) {
      const to = nodes.get(node);
      to?.mempool.add(transaction, clock.nowUs());
      to?.producer.submitted();
    },
    async stop() {
      isStopping = true;
      await Promise.all([...nodes.keys()].map((node) => kill(node)));
      await Promise.all([pump, ...runs]);
      await signatures.close();
      rmSync(root, { recursive: true, force: true });
      if (errors.length > 0) throw new AggregateError(errors, 'a validator ended');
    },
  };
}
