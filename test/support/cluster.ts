/**
 * Validators of one EDA chain as real processes on loopback, for tests and benches: started, killed and
 * started again by number. `stop` leaves no process and no file behind.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { genesisSettings } from '#contracts';
import { type KeyPair, keyPairFromSeed, sealKeystore, sha256 } from '#libs/crypto';
import { type Profile, deriveBlsSigner } from '#libs/eda';
import { createSeededRandomness, utf8 } from '#libs/kernel';
import { type Genesis, encodeGenesis, genesisId, provenBlsKey } from '#libs/ledger';
import { type NodeClient, createNodeClient, freePorts, writePrivateFile } from '#libs/platform';
import { mustEnd, temporaryFolder } from './started.ts';

/** The compiled nodes, whether this file is compiled or not. */
const dist = join(import.meta.dirname, '..', '..').replace(/\/dist$/, '') + '/dist';
const main = join(dist, 'apps/node/src/main.js');
const PASSPHRASE = 'test';
const VALIDATOR_FUNDS = 10n ** 9n;

export interface ClusterOptions {
  readonly nodes: number;
  readonly allocations: Genesis['parameters']['allocations'];
  readonly profile?: Profile;
  readonly deltaUs?: number;
  readonly eraUs?: number;
  readonly seed?: number;
  readonly settings?: Genesis['parameters']['settings'];
  /** How many of the nodes validate from genesis on, the first ones; all by default. */
  readonly validators?: number;
  /** Further settings of every node. */
  readonly env?: Readonly<Record<string, string>>;
  readonly onLog?: (node: number, text: string) => void;
}

export interface Cluster {
  readonly genesis: Genesis;
  readonly chain: string;
  readonly keys: readonly KeyPair[];
  /** Client of a node that runs. */
  client(node: number): NodeClient;
  pid(node: number): number | undefined;
  home(node: number): string;
  /** Where the others reach a node, and all of them as settings name them. */
  address(node: number): string;
  readonly peers: string;
  start(node: number, env?: Readonly<Record<string, string>>): Promise<NodeClient>;
  kill(node: number, signal?: NodeJS.Signals): Promise<void>;
  exited(node: number): Promise<number | null>;
  /** A second process with the key of a node, in a home of its own, linked to the same others. */
  twin(node: number): Promise<{ stop(): Promise<void> }>;
  stop(): Promise<void>;
}

interface Running {
  readonly child: ChildProcess;
  readonly exit: Promise<number | null>;
  client?: NodeClient;
}

/** Makes keys, genesis and homes; starts nothing. */
export async function createCluster(options: ClusterOptions): Promise<Cluster> {
  const { nodes, allocations, seed = 1, profile = 'seele-40' } = options;
  const randomness = createSeededRandomness(seed);
  const keys = Array.from({ length: nodes }, (_, i) =>
    keyPairFromSeed(sha256(utf8(`validator ${seed} ${i}`))),
  );
  // Enough to report what contradicts itself.
  const purses = keys
    .map(({ account }) => ({ account, amount: VALIDATOR_FUNDS }))
    .filter(({ account }) => allocations.every((given) => given.account !== account));
  const genesis: Genesis = {
    chainName: 'cluster-test',
    timeUs: (Date.now() - 1_000) * 1000,
    ordering: {
      kind: 'eda',
      validators: keys.slice(0, options.validators ?? nodes).map(({ publicKey, seed: secret }) => ({
        publicKey,
        stake: 10n ** 12n,
        bls: provenBlsKey(deriveBlsSigner(secret)),
      })),
      stakeUnit: 10n ** 12n,
      profile,
      deltaUs: options.deltaUs ?? 50_000,
      epsilonUs: 128,
      eraUs: options.eraUs ?? 2 ** 32,
      attestEveryUs: 1_000_000,
    },
    parameters: {
      allocations: [...allocations, ...purses],
      settings: options.settings ?? genesisSettings,
    },
  };
  const root = temporaryFolder('seele-cluster-');
  const ports = await freePorts(nodes);
  const peers = keys.map(({ publicKey }, i) => `${publicKey}@127.0.0.1:${ports[i]}`).join(',');
  const home = (node: number) => join(root, String(node));
  const running = new Map<number, Running>();
  const twins: (() => Promise<void>)[] = [];

  const launch = async (
    node: number,
    at: { readonly home: string; readonly port: number | undefined },
    env: Readonly<Record<string, string>>,
    keep: (entry: Running) => void,
  ): Promise<NodeClient> => {
    const child = spawn(process.execPath, [main], {
      env: {
        PATH: process.env['PATH'] ?? '',
        NODE_COMPILE_CACHE: join(dist, '../node_modules/.cache/compiled'),
        SEELE_HOME: at.home,
        SEELE_NODE_PORT: '0',
        SEELE_NODE_KEY: 'validator',
        SEELE_NODE_LISTEN: `127.0.0.1:${at.port}`,
        SEELE_NODE_PEERS: peers,
        SEELE_PASSPHRASE: PASSPHRASE,
        SEELE_LOG_LEVEL: options.onLog ? 'info' : 'error',
        ...options.env,
        ...env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const exit = new Promise<number | null>((resolve) => {
      child.once('exit', (code) => resolve(code));
    });
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-4_000);
      options.onLog?.(node, chunk.toString());
    });
    const entry: Running = { child, exit };
    keep(entry);
    const lines = createInterface({ input: child.stdout });
    const line = await new Promise<string>((resolve, reject) => {
      lines.once('line', resolve);
      void exit.then((code) => reject(new Error(`node ${node} ended with ${code}: ${said}`)));
    });
    const { url } = JSON.parse(line) as { url: string };
    entry.client = createNodeClient(url, { timeoutMs: 10_000 });
    return entry.client;
  };

  const start = (node: number, env: Readonly<Record<string, string>> = {}) =>
    launch(node, { home: home(node), port: ports[node] }, env, (entry) => running.set(node, entry));

  const makeHome = async (path: string, secret: Uint8Array): Promise<void> => {
    mkdirSync(path, { mode: 0o700 });
    writeFileSync(join(path, 'genesis.cbor'), encodeGenesis(genesis));
    // Cheap to open: tests start many nodes.
    const sealed = sealKeystore(secret, PASSPHRASE, randomness, { n: 2 ** 14, r: 8, p: 1 });
    await writePrivateFile(join(path, 'keys', 'validator.json'), sealed);
  };
  for (const [node, { seed: secret }] of keys.entries()) await makeHome(home(node), secret);

  const twin = async (node: number) => {
    const path = `${home(node)}-twin`;
    await makeHome(path, (keys[node] as KeyPair).seed);
    let entry: Running | undefined;
    const stop = async (): Promise<void> => {
      entry?.child.kill('SIGKILL');
      await entry?.exit;
    };
    twins.push(stop);
    // It does not know of the first one, nor ask whether the chain has begun.
    const env = { SEELE_NODE_JOURNAL_LOST: 'false' };
    await launch(node, { home: path, port: 0 }, env, (started) => {
      entry = started;
    });
    return { stop };
  };

  const kill = async (node: number, signal: NodeJS.Signals = 'SIGKILL') => {
    const entry = running.get(node);
    if (!entry) return;
    entry.child.kill(signal);
    await entry.exit;
    running.delete(node);
  };
  const stop = mustEnd(async () => {
    await Promise.all([...running.keys()].map((node) => kill(node)));
    for (const stopTwin of twins) await stopTwin();
    rmSync(root, { recursive: true, force: true });
  });

  return {
    genesis,
    chain: genesisId(genesis),
    keys,
    home,
    peers,
    address: (node) => `127.0.0.1:${ports[node]}`,
    start,
    twin,
    kill,
    client(node) {
      const client = running.get(node)?.client;
      if (!client) throw new Error(`node ${node} does not run`);
      return client;
    },
    pid: (node) => running.get(node)?.child.pid,
    exited: (node) => running.get(node)?.exit ?? Promise.resolve(null),
    stop,
  };
}
