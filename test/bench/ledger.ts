/**
 * Figures of a node: signed, durable transfers per second over HTTP with the load generator in another
 * process, and the time from starting a node whose data survived SIGKILL to its ready line.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { genesisSettings } from '#contracts';
import { keyPairFromSeed, sha256 } from '#libs/crypto';
import { utf8 } from '#libs/kernel';
import { type Genesis, encodeGenesis } from '#libs/ledger';
import { writeKeystoreFile } from '#libs/platform';
import { type Bench, percentile, significant } from './harness.ts';
import { type LoadReport, benchSigner } from './ledger-load.ts';
import { mustEnd, temporaryFolder } from '../support/started.ts';

const PASSPHRASE = 'bench';
const ACCOUNTS = 100_000;
const START_LIMIT_MS = 60_000;
const dist = join(import.meta.dirname, '..', '..').replace(/\/dist$/, '') + '/dist';

interface Started {
  readonly child: ChildProcess;
  readonly url: string;
  readonly startMs: number;
}

/** Starts a node and waits for its ready line. */
async function startNode(home: string): Promise<Started> {
  const began = performance.now();
  const child = spawn(process.execPath, [join(dist, 'apps/node/src/main.js')], {
    env: {
      ...process.env,
      SEELE_HOME: home,
      SEELE_NODE_PORT: '0',
      SEELE_PASSPHRASE: PASSPHRASE,
      SEELE_LOG_LEVEL: 'error',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), START_LIMIT_MS);
  try {
    for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
      const { url } = JSON.parse(line) as { url: string };
      return { child, url, startMs: performance.now() - began };
    }
  } finally {
    clearTimeout(timer);
  }
  throw new Error('the node did not start');
}

const ended = (child: ChildProcess) =>
  child.exitCode !== null || child.signalCode !== null
    ? Promise.resolve()
    : new Promise<void>((resolve) => child.once('exit', () => resolve()));

async function kill(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  child.kill(signal);
  await ended(child);
}

async function generateLoad(order: object, onReady: () => void): Promise<LoadReport> {
  const child = spawn(
    process.execPath,
    [join(dist, 'test/bench/ledger-load.js'), JSON.stringify(order)],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  const end = mustEnd(() => kill(child, 'SIGKILL'));
  try {
    for await (const line of createInterface({ input: child.stdout })) {
      if (line !== 'ready') return JSON.parse(line) as LoadReport;
      onReady();
      child.stdin.write('go\n');
    }
  } finally {
    await end();
  }
  throw new Error('the load generator ended without a report');
}

async function prepareHome(home: string, seed: number, senders: number): Promise<void> {
  mkdirSync(home, { recursive: true });
  const sequencer = keyPairFromSeed(sha256(utf8(`sequencer ${seed}`)));
  await writeKeystoreFile(join(home, 'keys', 'sequencer.json'), sequencer, PASSPHRASE);
  const allocations = Array.from({ length: ACCOUNTS }, (_, i) => ({
    account:
      i < senders
        ? benchSigner(seed, i).account
        : Buffer.from(sha256(utf8(`receiver ${seed} ${i - senders}`))).toString('hex'),
    amount: 1_000_000_000n,
  }));
  const genesis: Genesis = {
    chainName: 'bench',
    timeUs: Date.now() * 1000,
    ordering: { kind: 'solo', sequencer: sequencer.publicKey },
    parameters: { allocations, settings: genesisSettings },
  };
  writeFileSync(join(home, 'genesis.cbor'), encodeGenesis(genesis));
}

/** CPU time the node has used, from its metrics. */
async function cpuSecondsOf(url: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(/^process_cpu_seconds\S* (\S+)$/m.exec(text)?.[1] ?? Number.NaN);
}

export const bench: Bench = async ({ full, seed, note }) => {
  const home = temporaryFolder('seele-bench-ledger-');
  const transactions = full ? 200_000 : 40_000;
  const senders = 20_000;
  const children: ChildProcess[] = [];
  const end = mustEnd(async () => {
    for (const child of children) await kill(child, 'SIGKILL');
    rmSync(home, { recursive: true, force: true });
  });
  const start = async (): Promise<Started> => {
    const started = await startNode(home);
    children.push(started.child);
    return started;
  };
  try {
    await prepareHome(home, seed, senders);
    let node = await start();
    note(`${ACCOUNTS} accounts, first start ${Math.round(node.startMs)} ms`);
    const order = { url: node.url, accounts: senders, transactions, seed };
    const cpuBefore = await cpuSecondsOf(node.url);
    const load = await generateLoad(order, () => note(`${transactions} transfers signed`));
    const cpu = (await cpuSecondsOf(node.url)) - cpuBefore;
    note(`${load.final} final in ${load.seconds.toFixed(2)} s, ${load.refused} refused`);
    const restarts: number[] = [];
    for (let i = 0; i < (full ? 5 : 3); i++) {
      await kill(node.child, 'SIGKILL');
      node = await start();
      restarts.push(node.startMs);
    }
    await kill(node.child, 'SIGTERM');
    return {
      figures: {
        transfersPerSecond: significant(load.final / load.seconds),
        transfersTried: load.sent,
        /** All threads of the node: transactions, blocks, signatures, disk. */
        cpuMicrosPerTransfer: significant((cpu * 1e6) / load.final),
        transfersRefused: load.refused,
        restartMs: Math.round(percentile(restarts, 0.5)),
        restartsTried: restarts.length,
        accounts: ACCOUNTS,
      },
    };
  } finally {
    await end();
  }
};
