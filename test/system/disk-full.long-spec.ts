/**
 * A disk that is full in the middle of a block's commit: a node process on a small file system of its
 * own, without the reserve that makes it refuse transactions in time.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { genesisSettings, tokenCalls } from '#contracts';
import { createSigner, keyPairFromSeed, sealKeystore } from '#libs/crypto';
import { createSeededRandomness, isSeeleError } from '#libs/kernel';
import { type Genesis, encodeGenesis, genesisId, signTransaction } from '#libs/ledger';
import { type NodeClient, createNodeClient, writePrivateFile } from '#libs/platform';

const main = join(process.cwd(), 'dist/apps/node/src/main.js');
const PASSPHRASE = 'test';
const FUNDS = 10n ** 12n;
const BATCH = 100;
const randomness = createSeededRandomness(7);
const sequencer = keyPairFromSeed(randomness.bytes(32));
const alice = createSigner(randomness.bytes(32));
const genesis: Genesis = {
  chainName: 'full-disk',
  timeUs: 1_700_000_000_000_000,
  ordering: { kind: 'solo', sequencer: sequencer.publicKey },
  parameters: {
    allocations: [{ account: alice.account, amount: FUNDS }],
    settings: genesisSettings,
  },
};
const chain = genesisId(genesis);

const home = mkdtempSync(join(tmpdir(), 'seele-full-'));
const data = join(home, 'node');
let child: ChildProcess | undefined;
let stderr = '';

/** Why no file system can be mounted here; undefined when it is. */
function mountSmallDisk(): string | undefined {
  mkdirSync(data);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=6m,mode=0700', 'tmpfs', data], {
      stdio: 'pipe',
    });
    return undefined;
  } catch (error) {
    return (error as Error).message.split('\n')[1] ?? 'mount failed';
  }
}
const obstacle = mountSmallDisk();
if (obstacle !== undefined)
  process.stderr.write(`full disk: skipped, a small tmpfs cannot be mounted (${obstacle})\n`);

afterAll(() => {
  child?.kill('SIGKILL');
  if (obstacle === undefined) execFileSync('umount', ['-l', data]);
  rmSync(home, { recursive: true, force: true });
});

async function startNode(env: Record<string, string> = {}): Promise<NodeClient> {
  stderr = '';
  const started = spawn(process.execPath, [main], {
    env: {
      PATH: process.env['PATH'] ?? '',
      SEELE_HOME: home,
      SEELE_NODE_PORT: '0',
      SEELE_NODE_RESERVE_BYTES: '0',
      SEELE_PASSPHRASE: PASSPHRASE,
      SEELE_LOG_LEVEL: 'fatal',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child = started;
  started.stderr.on('data', (bytes: Buffer) => (stderr += bytes.toString()));
  const lines = createInterface({ input: started.stdout });
  const line = await new Promise<string>((resolve, reject) => {
    lines.once('line', resolve);
    lines.once('close', () => reject(new Error(`the node did not start: ${stderr}`)));
  });
  return createNodeClient((JSON.parse(line) as { url: string }).url, { timeoutMs: 10_000 });
}

const exitCode = () =>
  new Promise<number | null>((resolve) => {
    if (child === undefined || child.exitCode !== null) resolve(child?.exitCode ?? null);
    else child.once('exit', resolve);
  });

/** Transfers to ever new accounts, from `nonce` on. */
const transfers = (nonce: number, count: number) =>
  Array.from({ length: count }, (_, i) =>
    signTransaction(alice, {
      chain,
      publicKey: alice.publicKey,
      nonce: nonce + i,
      validUntilUs: (Date.now() + 600_000) * 1000,
      fuelLimit: 400_000n,
      fuelPrice: 1n,
      calls: [
        tokenCalls.transfer({
          to: Buffer.from(randomness.bytes(32)).toString('hex'),
          amount: 1n,
        }),
      ],
    }),
  );

(obstacle === undefined ? describe : describe.skip)('a disk that is full during a commit', () => {
  it('ends the node with a clear error, loses nothing final, and with room it goes on', async () => {
    writeFileSync(join(home, 'genesis.cbor'), encodeGenesis(genesis));
    const cheap = { n: 2 ** 14, r: 8, p: 1 };
    const sealed = sealKeystore(sequencer.seed, PASSPHRASE, randomness, cheap);
    await writePrivateFile(join(home, 'keys', 'sequencer.json'), sealed);

    let client = await startNode({ SEELE_NODE_POOL_PER_ACCOUNT: String(BATCH) });
    const final = new Set<string>();
    let nonce = 0;
    try {
      for (; nonce < 200 * BATCH; nonce += BATCH) {
        const batch = transfers(nonce, BATCH);
        await client.submit(batch);
        const last = batch.at(-1) as (typeof batch)[0];
        const receipt = await client.receipt(last.id, 10_000);
        if (receipt === undefined) throw new Error('no receipt although the node runs');
        for (const { id } of batch) final.add(id);
      }
    } catch (error) {
      // The node is gone in the middle of a question.
      if (!isSeeleError(error)) throw error;
    }
    expect(await exitCode()).toBe(1);
    expect(stderr).toMatch(/no space left.*STORE_FULL|STORE_FULL.*no space left/s);
    expect(final.size).toBeGreaterThan(0);

    execFileSync('mount', ['-o', 'remount,size=64m', data]);
    client = await startNode({ SEELE_NODE_CHECK: 'full' });
    for (const id of final) expect((await client.receipt(id))?.receipt.status).toBe('ok');
    const account = await client.account(alice.account);
    // What met the full disk may be stored or not, but nothing before it is missing.
    expect(account.nonce).toBeGreaterThanOrEqual(final.size);
    const next = transfers(account.nonce, 1)[0] as ReturnType<typeof transfers>[0];
    expect((await client.execute(next)).receipt.status).toBe('ok');
    child?.kill('SIGTERM');
    expect(await exitCode()).toBe(0);
  }, 120_000);
});
