/**
 * docs/cluster.md on four machines: four network namespaces on one bridge, each with its own home, by
 * `seele node init`, `seele node genesis` and settings alone. One machine loses its cable and gets it back.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { tokenCalls } from '#contracts';
import { createSigner, sha256 } from '#libs/crypto';
import { formatAccount, utf8 } from '#libs/kernel';
import { decodeGenesis, genesisId, signTransaction } from '#libs/ledger';
import { type NodeClient, createNodeClient } from '#libs/platform';
import { seele } from '../support/local-machine.ts';

const main = join(process.cwd(), 'dist/apps/node/src/main.js');
const MACHINES = [1, 2, 3, 4];
const tag = `s${process.pid % 100_000}`;
const subnet = `10.${64 + (process.pid % 64)}.${Math.floor(process.pid / 64) % 256}`;
const hostOf = (machine: number): string => `${subnet}.${machine}`;
const namespaceOf = (machine: number): string => `${tag}-${machine}`;
const bridge = `${tag}br`;
const payer = createSigner(sha256(utf8('payer in a namespace')));

const ip = (...args: readonly string[]): void => void execFileSync('ip', args, { stdio: 'pipe' });

function wire(): void {
  ip('link', 'add', bridge, 'type', 'bridge');
  ip('addr', 'add', `${subnet}.254/24`, 'dev', bridge);
  ip('link', 'set', bridge, 'up');
  for (const machine of MACHINES) {
    const [inside, outside] = [`${tag}i${machine}`, `${tag}o${machine}`];
    ip('netns', 'add', namespaceOf(machine));
    ip('link', 'add', outside, 'type', 'veth', 'peer', 'name', inside);
    ip('link', 'set', inside, 'netns', namespaceOf(machine));
    ip('link', 'set', outside, 'master', bridge, 'up');
    const within = ['-n', namespaceOf(machine)];
    ip(...within, 'addr', 'add', `${hostOf(machine)}/24`, 'dev', inside);
    ip(...within, 'link', 'set', inside, 'up');
    ip(...within, 'link', 'set', 'lo', 'up');
  }
}

function unwire(): void {
  const quietly = (...args: readonly string[]) => {
    try {
      ip(...args);
    } catch {
      // It was never made.
    }
  };
  for (const machine of MACHINES) quietly('netns', 'del', namespaceOf(machine));
  quietly('link', 'del', bridge);
}

/** Why namespaces cannot be had here, if so. */
function obstacle(): string | undefined {
  if (process.getuid?.() !== 0) return 'network namespaces need root';
  try {
    wire();
    return undefined;
  } catch (error) {
    unwire();
    return `no network namespaces: ${(error as Error).message.split('\n')[0]}`;
  }
}

const why = obstacle();
if (why) console.warn(`skipped: ${why}`);
const whenPossible = why ? describe.skip : describe;

whenPossible('four validators on four machines', () => {
  const root = mkdtempSync(join(tmpdir(), 'seele-machines-'));
  const homeOf = (machine: number): string => join(root, String(machine));
  const running: ChildProcess[] = [];
  const clients: NodeClient[] = [];
  let chain = '';

  async function start(machine: number, peers: string): Promise<NodeClient> {
    const args = ['netns', 'exec', namespaceOf(machine), process.execPath, main];
    const child = spawn('ip', args, {
      env: {
        PATH: process.env['PATH'] ?? '',
        SEELE_HOME: homeOf(machine),
        SEELE_NODE_HOST: hostOf(machine),
        SEELE_NODE_PORT: '7401',
        SEELE_NODE_KEY: 'validator',
        SEELE_NODE_LISTEN: `${hostOf(machine)}:7410`,
        SEELE_NODE_PEERS: peers,
        SEELE_LOG_LEVEL: 'error',
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    running.push(child);
    await new Promise<void>((resolve, reject) => {
      createInterface({ input: child.stdout as NodeJS.ReadableStream }).once('line', () =>
        resolve(),
      );
      child.once('exit', (code) => reject(new Error(`machine ${machine} ended with ${code}`)));
    });
    return createNodeClient(`http://${hostOf(machine)}:7401`, { timeoutMs: 5_000 });
  }

  const pay = async (client: NodeClient): Promise<number> => {
    const { nextNonce } = await client.account(payer.account);
    const transaction = signTransaction(payer, {
      chain,
      publicKey: payer.publicKey,
      nonce: nextNonce,
      validUntilUs: (Date.now() + 60_000) * 1_000,
      fuelLimit: 400_000n,
      fuelPrice: 1n,
      calls: [tokenCalls.transfer({ to: sha256Account, amount: 1n })],
    });
    return (await client.execute(transaction, 20_000)).height;
  };
  const sha256Account = createSigner(sha256(utf8('payee in a namespace'))).account;

  beforeAll(async () => {
    const keys: string[] = [];
    const validators: string[] = [];
    const accounts: string[] = [];
    for (const machine of MACHINES) {
      const made = await seele(['node', 'init', '--json', '--home', homeOf(machine)]);
      const { publicKey, account, validator } = JSON.parse(made.stdout) as Readonly<
        Record<string, string>
      >;
      keys.push(publicKey as string);
      // The first one registers its BLS key later.
      validators.push((machine === 1 ? publicKey : validator) as string);
      accounts.push(account as string);
    }
    const file = join(root, 'genesis.cbor');
    const funds = [`${formatAccount(payer.account)}=1000`, `${accounts[0]}=10`];
    const args = ['--validators', validators.join(','), '--fund', ...funds, '--out', file];
    expect((await seele(['node', 'genesis', ...args, '--home', homeOf(1)])).code).toBe(0);
    for (const machine of MACHINES) copyFileSync(file, join(homeOf(machine), 'genesis.cbor'));
    chain = genesisId(decodeGenesis(readFileSync(file)));
    const peers = keys.map((key, i) => `${key}@${hostOf(i + 1)}:7410`).join(',');
    clients.push(...(await Promise.all(MACHINES.map((machine) => start(machine, peers)))));
  }, 60_000);

  afterAll(async () => {
    await Promise.all(
      running.map(
        (child) =>
          new Promise<void>((resolve) => {
            if (child.exitCode !== null || child.signalCode !== null) return resolve();
            child.once('exit', () => resolve());
            child.kill('SIGKILL');
          }),
      ),
    );
    unwire();
    rmSync(root, { recursive: true, force: true });
  });

  it('finalise a payment, go on without one of them, and take it back', async () => {
    const [first, , , fourth] = clients as [NodeClient, NodeClient, NodeClient, NodeClient];
    await pay(first);
    ip('link', 'set', `${tag}o4`, 'down');
    const without = await pay(first);
    ip('link', 'set', `${tag}o4`, 'up');
    const height = await pay(first);
    expect(height).toBeGreaterThan(without);
    const limit = Date.now() + 30_000;
    for (;;) {
      const [a, b] = await Promise.all([first.status(), fourth.status()]);
      if (a.head === b.head && a.height >= height) break;
      if (Date.now() > limit) throw new Error(`heights ${a.height} and ${b.height}`);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }, 90_000);

  it('take a vote on parameters and a BLS key from the command line', async () => {
    const ask = (...args: readonly string[]) => {
      const where = ['--node', (clients[0] as NodeClient).url, '--home', homeOf(1), '--json'];
      return seele(['node', ...args, ...where]);
    };
    const say = async (...args: readonly string[]) => {
      const { code, stdout } = await ask(...args);
      expect(code).toBe(0);
      return JSON.parse(stdout) as Readonly<Record<string, unknown>>;
    };
    const wanted = { epsilonUs: 256, samplingPerMille: 300 };
    const pair = ['--epsilon-us', '256', '--sampling-per-mille', '300'];
    const voted = await say('parameters', 'vote', ...pair);
    // One of four decides nothing.
    expect(voted).toEqual({ ...wanted, height: expect.any(Number) });
    expect(await say('parameters', 'show')).toMatchObject({
      inForce: { epsilonUs: 128 },
      decided: [],
      votes: [wanted],
    });
    // Three of the four have BLS keys: weight Q, so what they attest is proven by one signature.
    const asked = ['finality', String(voted['height']), '--genesis', join(root, 'genesis.cbor')];
    for (let i = 0; i < 10 && (await ask(...asked)).code !== 0; i++)
      await new Promise((resolve) => setTimeout(resolve, 500));
    expect(await say(...asked)).toMatchObject({ height: voted['height'], weight: 1, total: 4 });
    const registered = await say('bls', 'register');
    expect(registered).toMatchObject({
      registered: true,
      bls: expect.stringMatching(/^[0-9a-f]{96}$/),
    });
    expect(await say('bls', 'register')).toEqual({ bls: registered['bls'], registered: false });
  }, 60_000);
});
