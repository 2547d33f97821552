/** Real processes of a solo node, their homes, and transfers for them: what the specs of the node share. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { genesisSettings, tokenCalls } from '#contracts';
import { createSigner, keyPairFromSeed, sealKeystore } from '#libs/crypto';
import { createSeededRandomness, isSeeleError } from '#libs/kernel';
import { type Genesis, encodeGenesis, genesisId, signTransaction } from '#libs/ledger';
import { type NodeClient, createNodeClient, writePrivateFile } from '#libs/platform';

const root = join(import.meta.dirname, '..', '..');
const main = join(root, 'dist/apps/node/src/main.js');
const PASSPHRASE = 'test';
export const FUNDS = 10n ** 12n;
const randomness = createSeededRandomness(42);
export const sequencer = keyPairFromSeed(randomness.bytes(32));
export const signers = Array.from({ length: 8 }, () => createSigner(randomness.bytes(32)));
export const genesis: Genesis = {
  chainName: 'system-test',
  timeUs: 1_700_000_000_000_000,
  ordering: { kind: 'solo', sequencer: sequencer.publicKey },
  parameters: {
    allocations: signers.map(({ account }) => ({ account, amount: FUNDS })),
    settings: genesisSettings,
  },
};
export const chain = genesisId(genesis);

const homes: string[] = [];
const children = new Set<ChildProcess>();

/** A home with a genesis and the sequencer's key; `clearStage` removes it. */
export async function newHome(): Promise<string> {
  const home = mkdtempSync(join(tmpdir(), 'seele-node-'));
  homes.push(home);
  writeFileSync(join(home, 'genesis.cbor'), encodeGenesis(genesis));
  // Cheap to open: the tests start many nodes.
  const sealed = sealKeystore(sequencer.seed, PASSPHRASE, randomness, { n: 2 ** 14, r: 8, p: 1 });
  await writePrivateFile(join(home, 'keys', 'sequencer.json'), sealed);
  return home;
}

export const nodeEnv = (home: string): Record<string, string> => ({
  PATH: process.env['PATH'] ?? '',
  SEELE_HOME: home,
  SEELE_NODE_PORT: '0',
  SEELE_PASSPHRASE: PASSPHRASE,
  SEELE_LOG_LEVEL: 'silent',
  NODE_COMPILE_CACHE: join(root, 'node_modules/.cache/compiled'),
});

export function spawnNode(home: string, env: Record<string, string> = {}): ChildProcess {
  const child = spawn(process.execPath, [main], {
    env: { ...nodeEnv(home), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

export const exitOf = (child: ChildProcess) =>
  new Promise<number | null>((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve(child.exitCode);
    else child.once('exit', (code) => resolve(code));
  });

/** Reads the ready line. */
export async function ready(child: ChildProcess): Promise<NodeClient> {
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
  const line = await new Promise<string>((resolve, reject) => {
    lines.once('line', resolve);
    lines.once('close', () => reject(new Error('the node ended before it was ready')));
  });
  return createNodeClient((JSON.parse(line) as { url: string }).url, { timeoutMs: 20_000 });
}

/** Starts a node that cannot start: its exit code and what it said on stderr. */
export async function failure(home: string, env: Record<string, string> = {}) {
  const child = spawnNode(home, env);
  let text = '';
  child.stderr?.on('data', (chunk: Buffer) => (text += chunk.toString()));
  // Not at its exit: what it said may be read after that.
  await new Promise((resolve) => child.once('close', resolve));
  const code = child.exitCode;
  return { code, lines: text.trim().split('\n') };
}

/** Ends every process that was started here and removes every home. */
export async function clearStage(): Promise<void> {
  for (const child of children) {
    child.kill('SIGKILL');
    await exitOf(child);
  }
  for (const home of homes) rmSync(home, { recursive: true, force: true });
}

/** Sends transfers round the signers until the node dies; notes which became final, and where. */
export async function load(client: NodeClient, nonces: number[], final: Map<string, number>) {
  const sendFor = async (index: number): Promise<void> => {
    const signer = signers[index] as (typeof signers)[0];
    for (;;) {
      const to = (signers[(index + 1) % signers.length] as typeof signer).account;
      const transaction = signTransaction(signer, {
        chain,
        publicKey: signer.publicKey,
        nonce: nonces[index] as number,
        validUntilUs: (Date.now() + 600_000) * 1000,
        fuelLimit: 400_000n,
        fuelPrice: 1n,
        calls: [tokenCalls.transfer({ to, amount: 7n })],
      });
      const { height, receipt } = await client.execute(transaction);
      expect(receipt.status).toBe('ok');
      final.set(transaction.id, height);
      nonces[index] = (nonces[index] as number) + 1;
    }
  };
  const ends = await Promise.allSettled(signers.map((_, i) => sendFor(i)));
  for (const end of ends)
    if (end.status === 'rejected' && !isSeeleError(end.reason)) throw end.reason;
}

/** Whatever was done, money was neither made nor lost. */
export async function checkMoney(client: NodeClient): Promise<void> {
  let total = 0n;
  for (const account of [...signers.map((s) => s.account), sequencer.account])
    total += (await client.account(account)).balance;
  expect(total).toBe(FUNDS * BigInt(signers.length));
}

/** Where a node is killed: each with the failpoints that do it, or at any time. */
export const KILLS = {
  'at any time': '',
  'before a block is stored': 'node.commit.before=kill@20',
  'while a block is stored': 'node.commit.in=kill@20',
  'after a block was stored': 'node.commit.after=kill@20',
  'after a block was announced': 'node.block.after-publish=kill@20',
  'before transactions are taken': 'node.submit.before-admit=kill@20',
} as const;

/** Kills a node under load, twice, then starts it with every check: nothing final may be missing. */
export async function killUnderLoad(when: keyof typeof KILLS): Promise<void> {
  const failpoints = KILLS[when];
  const home = await newHome();
  const final = new Map<string, number>();
  const nonces = signers.map(() => 0);
  for (let round = 0; round < 2; round++) {
    const child = spawnNode(home, failpoints === '' ? {} : { SEELE_FAILPOINTS: failpoints });
    const client = await ready(child);
    for (const [i, { account }] of signers.entries())
      nonces[i] = (await client.account(account)).nonce;
    const before = final.size;
    const loaded = load(client, nonces, final);
    if (failpoints === '') {
      // In the midst of work, however fast the machine is.
      while (final.size === before && child.exitCode === null) await sleep(5);
      setTimeout(() => child.kill('SIGKILL'), 200 + 200 * round);
    }
    await loaded;
    await exitOf(child);
    expect(child.signalCode).toBe('SIGKILL');
  }
  const child = spawnNode(home, { SEELE_NODE_CHECK: 'full' });
  const client = await ready(child);
  expect(final.size).toBeGreaterThan(0);
  for (const [id, height] of final)
    expect(await client.receipt(id)).toMatchObject({ height, receipt: { status: 'ok' } });
  await checkMoney(client);
  child.kill('SIGTERM');
  await exitOf(child);
  expect([child.exitCode, child.signalCode]).toEqual([0, null]);
}
