/**
 * What a stranger may send to a running machine, or find on its disk: each gets one clear error, and
 * nothing is lost. One machine for all of it, money counted at the end.
 */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ordersCalls, tokenCalls } from '#contracts';
import { createSigner, signRequest } from '#libs/crypto';
import { formatAccount, utf8 } from '#libs/kernel';
import { signTransaction } from '#libs/ledger';
import { type NodeClient, createNodeClient, sendCalls } from '#libs/sdk';
import { readBlob } from '#libs/storage';
import { FakeAgent, type LeaseMessage } from '../../apps/market/src/testing/fake-agent.ts';
import { type LocalMachine, seele, startLocalMachine } from '../support/local-machine.ts';
import { checkMoney } from '../support/money.ts';
import { allReady } from '../support/order-fates.ts';

const MIB = 2 ** 20;
const CAP = 300_000_000n;

let machine: LocalMachine;
let node: NodeClient;
const orders: string[] = [];

/** A small disk of its own for the machine, where we may mount one: it is filled below. */
const disk = mkdtempSync(join(tmpdir(), 'seele-disk-'));
const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=450m,mode=711', 'tmpfs', disk]);
const isSmallDisk = mounted.status === 0;

beforeAll(async () => {
  machine = await startLocalMachine({}, 100, isSmallDisk ? disk : undefined);
  node = createNodeClient(machine.urls.node);
}, 120_000);
afterAll(async () => {
  await machine.stop();
  if (isSmallDisk) spawnSync('umount', [disk]);
  rmSync(disk, { recursive: true, force: true });
});

async function problem(response: Response): Promise<readonly [number, string]> {
  expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json/);
  const { status, code, title, detail } = (await response.json()) as Record<string, unknown>;
  expect(status).toBe(response.status);
  expect([typeof title, typeof detail]).toEqual(['string', 'string']);
  return [response.status, String(code)];
}

/** A signed request, ready to be sent, changed, or sent twice. */
function signedParts(path: string, body: unknown, ageS = 0) {
  const bytes = utf8(JSON.stringify(body));
  const url = machine.urls.market + path;
  const nowS = Math.floor(Date.now() / 1000) - ageS;
  const nonce = randomBytes(16).toString('hex');
  const signed = signRequest({ method: 'POST', url, body: bytes }, machine.signer, { nowS, nonce });
  const headers: Record<string, string> = { ...signed, 'content-type': 'application/json' };
  return { url, init: { method: 'POST', headers, body: bytes as Uint8Array<ArrayBuffer> } };
}

describe('requests to the market', () => {
  const unknown = 'ab'.repeat(32);

  it('wrongly signed, expired or replayed are refused', async () => {
    const path = `/v1/orders/${unknown}/cancel`;
    const old = signedParts(path, {}, 600);
    expect(await problem(await fetch(old.url, old.init))).toEqual([401, 'HTTP_SIGNATURE_EXPIRED']);
    const good = signedParts(path, {});
    const signature = `seele=:${randomBytes(64).toString('base64')}:`;
    const headers = { ...good.init.headers, signature };
    const forged = await fetch(good.url, { ...good.init, headers });
    expect(await problem(forged)).toEqual([401, 'HTTP_SIGNATURE_WRONG']);
    const first = await fetch(good.url, good.init);
    expect(await problem(first)).toEqual([404, 'MARKET_ORDER_UNKNOWN']);
    const again = await fetch(good.url, good.init);
    expect(await problem(again)).toEqual([409, 'HTTP_SIGNATURE_REPLAYED']);
  });

  it('for more money than the balance holds are refused', async () => {
    const code = 'export default () => 1';
    const order = await machine.orderer({ code, priceCap: 10n ** 15n });
    await expect(order()).rejects.toMatchObject({ code: 'MARKET_BALANCE_TOO_LOW' });
  });

  it('about an unknown order say so; the command line on one line, exit 1', async () => {
    const shown = await machine.seele('job', 'show', unknown);
    expect([shown.code, shown.stdout]).toEqual([1, '']);
    expect(shown.stderr).toMatch(/^seele: .*there is no order abab.*\[MARKET_ORDER_UNKNOWN\]\n$/);
  });
});

describe('transactions', () => {
  const someTransaction = async (change: object) => {
    const { genesis } = await node.status();
    const { nextNonce } = await node.account(machine.signer.account);
    return signTransaction(machine.signer, {
      chain: genesis,
      publicKey: machine.signer.publicKey,
      nonce: nextNonce,
      validUntilUs: (Date.now() + 20_000) * 1000,
      fuelLimit: 1_000_000n,
      fuelPrice: 1n,
      calls: [tokenCalls.transfer({ to: machine.signer.account, amount: 1n })],
      ...change,
    });
  };
  const refused = async (change: object) => {
    const [answer] = await node.submit([await someTransaction(change)]);
    return answer?.accepted === false ? answer.error.code : 'accepted';
  };

  it('expired, of another chain, or with a nonce far ahead are refused by name', async () => {
    expect(await refused({ validUntilUs: 1 })).toBe('LEDGER_TRANSACTION_EXPIRED');
    expect(await refused({ chain: '00'.repeat(32) })).toBe('LEDGER_CHAIN_MISMATCH');
    const { nextNonce } = await node.account(machine.signer.account);
    expect(await refused({ nonce: nextNonce + 100_000 })).toBe('LEDGER_NONCE_GAP');
  });

  it('that spend more than there is change nothing but the fee', async () => {
    const before = await node.account(machine.signer.account);
    const to = createSigner(new Uint8Array(32).fill(7)).account;
    const sending = sendCalls(node, machine.signer, [
      tokenCalls.transfer({ to, amount: before.balance + 1n }),
    ]);
    await expect(sending).rejects.toMatchObject({ code: 'SDK_REVERTED' });
    expect((await node.account(to)).balance).toBe(0n);
    const withdraw = ordersCalls.withdraw({ amount: 10n ** 16n });
    await expect(sendCalls(node, machine.signer, [withdraw])).rejects.toMatchObject({
      code: 'SDK_REVERTED',
    });
  });
});

describe('jobs that misbehave', () => {
  const limits = { wallMs: 15_000, cpuMs: 700, memoryBytes: 64 * MIB, outputBytes: 1000 };
  const jobs: Readonly<Record<string, readonly [code: string, exits: string]>> = {
    loops: ['export default () => { for (;;); }', 'cpu-limit'],
    'forks memory': [
      'export default () => { const a = []; for (;;) a.push(new Array(1e5).fill(a.length)); }',
      'memory-limit',
    ],
    throws: ['export default () => { throw new Error("no luck today"); }', 'guest-error'],
    'returns nothing': ['export default () => {}', 'guest-error'],
    'returns too much': ['export default () => "x".repeat(2000)', 'output-limit'],
    'writes a million lines': [
      'export default ({ log }) => { for (let i = 0; i < 1e6; i++) log("line " + i); return 1; }',
      'log-limit',
    ],
  };

  it('end once, paid for what they used, with the reason named', async () => {
    const ends = await Promise.all(
      Object.entries(jobs).map(async ([what, [code, exits]]) => {
        const order = await machine.orderer({ code, limits, priceCap: CAP });
        const id = await order();
        orders.push(id);
        const end = await machine.market.waitForEnd(id, { timeoutMs: 60_000 });
        return { what, exits, end };
      }),
    );
    for (const { what, exits, end } of ends) {
      expect([what, end.status]).toEqual([what, 'settled']);
      expect([what, end.exit]).toEqual([what, expect.stringMatching(`^(${exits})$`)]);
      expect(BigInt(end.charge ?? 0)).toBeLessThanOrEqual(CAP);
    }
    // The log says why, in words.
    const said = async (job: string) => {
      const id = ends.find(({ what }) => what === job)?.end.id ?? '';
      let text = '';
      for await (const event of machine.market.events(id)) text += `${JSON.stringify(event)}\n`;
      return text;
    };
    expect(await said('throws')).toContain('no luck today');
    expect(await said('returns nothing')).toMatch(/return/);
    const flood = ends.find(({ what }) => what === 'writes a million lines');
    expect(flood?.end.log.length).toBeLessThan(20_000);
  }, 90_000);
});

describe('a provider that delivers wrongly', () => {
  /** The cheapest by far, so that the cheap tier takes it. */
  const orderFrom = async (
    onLease: (agent: FakeAgent, lease: LeaseMessage) => void,
    output = utf8('"done"'),
  ) => {
    const { cid: result } = await machine.store.put(output, { pin: true });
    const signer = createSigner(new Uint8Array(randomBytes(32)));
    const agent = new FakeAgent({
      ...{ url: machine.urls.market, chain: machine.chain, signer, result },
      onLease: (self, lease) => {
        self.send({ kind: 'accept', lease: lease.lease });
        onLease(self, lease);
      },
    });
    await agent.next('welcome');
    const order = await machine.orderer({
      code: 'export default () => 1',
      priceCap: CAP,
      tier: 'A',
      limits: { outputBytes: 1000 },
    });
    const id = await order();
    orders.push(id);
    const end = await machine.market.waitForEnd(id, { timeoutMs: 30_000 });
    const answers = agent.received.flatMap((m) => (m.kind === 'delivered' ? [m] : []));
    await agent.close();
    return { end, answers, account: formatAccount(signer.account) };
  };

  it('twice, is paid once', async () => {
    const { end, answers, account } = await orderFrom((agent, lease) => {
      agent.deliver(lease);
      agent.deliver(lease);
    });
    expect(end).toMatchObject({ status: 'settled', provider: account, charge: '2' });
    expect(new Set(answers.map(({ accepted }) => accepted))).toEqual(new Set(['yes']));
  }, 40_000);

  it('under a stale fence, is told so; another does the work', async () => {
    const { end, answers, account } = await orderFrom((agent, lease) =>
      agent.deliver({ ...lease, fence: lease.fence - 1 }),
    );
    expect(end.status).toBe('settled');
    expect(end.provider).not.toBe(account);
    expect(answers[0]).toMatchObject({ accepted: 'no', reason: expect.stringContaining('fence') });
  }, 40_000);

  it('a result over its limit, is told so; another does the work', async () => {
    const deliver = (agent: FakeAgent, lease: LeaseMessage) => agent.deliver(lease);
    const { end, answers, account } = await orderFrom(deliver, utf8('"'.padEnd(2000, 'x')));
    expect(end.status).toBe('settled');
    expect(end.provider).not.toBe(account);
    expect(answers[0]).toMatchObject({ accepted: 'no', reason: 'the result is over its limit' });
  }, 40_000);
});

describe('files that are damaged', () => {
  it('receipt: truncated or changed is not a proof, exit 1', async () => {
    const [id = ''] = orders;
    const receipt = await machine.market.receipt(id, { timeoutMs: 20_000 });
    const file = join(machine.home, 'receipt.seele');
    const verify = async (bytes: Uint8Array) => {
      writeFileSync(file, bytes);
      const args = ['audit', 'verify', file, '--offline', '--trust', machine.chain];
      return machine.seele(...args);
    };
    expect((await verify(receipt)).code).toBe(0);
    const cut = await verify(receipt.subarray(0, receipt.length / 2));
    const changed = Uint8Array.from(receipt);
    changed[receipt.length >> 1] = (changed[receipt.length >> 1] as number) ^ 1;
    const flipped = await verify(changed);
    for (const { code, stdout, stderr } of [cut, flipped]) {
      expect(code).toBe(1);
      expect(stdout + stderr).not.toMatch(/\n\s+at /);
    }
  });

  it('keystore: truncated is named, exit 1, and stays as it is', async () => {
    await machine.seele('account', 'new', 'victim');
    const file = join(machine.home, 'keys/victim.json');
    const half = readFileSync(file, 'utf8').slice(0, 100);
    writeFileSync(file, half);
    const { code, stderr } = await machine.seele('account', 'show', 'victim');
    expect([code, stderr]).toEqual([1, expect.stringMatching(/^seele: .*\[KEYSTORE_CORRUPT\]\n$/)]);
    expect(readFileSync(file, 'utf8')).toBe(half);
    rmSync(file);
  });

  it('stored block: is never served, and putting it again mends it', async () => {
    const content = randomBytes(1000);
    const { cid } = await machine.store.put(content, { pin: true });
    const blocks = join(machine.home, 'storage/blocks');
    const files = readdirSync(blocks, { recursive: true, encoding: 'utf8' });
    const file = files.find((name) => {
      if (!name.endsWith('.block')) return false;
      return readFileSync(join(blocks, name)).includes(content.subarray(0, 100));
    });
    const path = join(blocks, file ?? 'missing');
    const bytes = readFileSync(path);
    bytes[bytes.length - 1] = (bytes[bytes.length - 1] as number) ^ 1;
    writeFileSync(path, bytes);
    const read = () => readBlob(machine.store, cid, { maxBytes: MIB });
    await expect(read()).rejects.toMatchObject({ code: 'STORAGE_CORRUPT' });
    await machine.store.put(content, { pin: true });
    expect(Buffer.from(await read()).equals(content)).toBe(true);
  });
});

describe('a machine that lacks something', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'seele-lacks-'));
    chmodSync(folder, 0o755);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('permission on its home: one line that names it', async () => {
    const home = join(folder, 'locked');
    mkdirSync(home, { mode: 0o555 });
    // Root may write anywhere but on a disk that is mounted for reading.
    const isRoot = process.getuid?.() === 0;
    if (isRoot && spawnSync('mount', ['-t', 'tmpfs', '-o', 'ro', 'tmpfs', home]).status !== 0)
      return console.warn('skipped: root here may not mount');
    try {
      for (const command of [
        ['account', 'new', 'x'],
        ['up', '--ports', 'auto'],
      ]) {
        const { code, stderr } = await seele([...command, '--home', home]);
        expect([code, stderr]).toEqual([1, expect.stringMatching(/^seele: .+\[CLI_HOME\]\n$/)]);
        expect(stderr).toContain(home);
      }
    } finally {
      if (isRoot) spawnSync('umount', [home]);
    }
  });

  it('space on its disk: says so, and acknowledges nothing', async () => {
    const home = join(folder, 'small');
    mkdirSync(home);
    const mount = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=6m,mode=711', 'tmpfs', home]);
    if (mount.status !== 0) return console.warn('skipped: only root may mount a small disk');
    try {
      const { code, stderr } = await seele(['up', '--ports', 'auto', '--home', home]);
      expect(code).toBe(1);
      expect(stderr).toMatch(/^seele: [^\n]*(full|space|reserve)[^\n]*\n$/i);
    } finally {
      await seele(['down', '--home', home]);
      spawnSync('umount', [home]);
    }
  }, 60_000);
});

it('after all of it no money was made or lost, and everything still serves', async () => {
  expect(await checkMoney(machine, orders)).toMatchObject({ paidTwice: 0, unbalanced: 0 });
  expect(machine.processes().map(({ restarts }) => restarts)).toEqual(
    machine.processes().map(() => 0),
  );
  const { code, stdout } = await machine.seele('doctor');
  expect([code, code === 0 ? '' : stdout]).toEqual([0, '']);
});

describe('a disk that fills up while the machine runs', () => {
  it('refuses by name, loses nothing, and goes on when there is space again', async () => {
    if (!isSmallDisk) return console.warn('skipped: only root may mount a small disk');
    const order = await machine.orderer({
      ...{ code: 'export default () => "space"', priceCap: 2n * CAP, tier: 'B' },
    });
    const before = await order();
    const filler = join(machine.home, 'filler');
    const dd = ['if=/dev/zero', `of=${filler}`, 'bs=1M'];
    expect(spawnSync('dd', dd).stderr.toString()).toContain('No space left');
    await expect(machine.store.put(randomBytes(1000))).rejects.toMatchObject({
      code: expect.stringMatching(/^(STORAGE|STORE)_FULL$/),
    });
    // The node looks once a second.
    const isReady = () =>
      fetch(`${machine.urls.node}/health/ready`).then(
        ({ ok }) => ok,
        () => false,
      );
    for (let i = 0; i < 200 && (await isReady()); i++) await sleep(50);
    const sending = sendCalls(node, machine.signer, [
      tokenCalls.transfer({ to: machine.signer.account, amount: 1n }),
    ]);
    // A block that no longer fits ends the process by design; then nobody answers until there is space.
    await expect(sending).rejects.toMatchObject({
      code: expect.stringMatching(/^(STORE_FULL|NODE_UNREACHABLE)$/),
    });
    const during = await order().catch((error: unknown) => error);
    if (typeof during === 'string') orders.push(during);
    else expect(during).toMatchObject({ code: expect.stringMatching(/^[A-Z]+_[A-Z_]+$/) });
    rmSync(filler);
    await allReady(machine);
    orders.push(before, await order());
    for (const id of orders.slice(-3)) {
      const { status } = await machine.market.waitForEnd(id, { timeoutMs: 60_000 });
      expect(status).toBe('settled');
    }
  }, 120_000);
});

it('and after that no money was made or lost either', async () => {
  expect(await checkMoney(machine, orders)).toMatchObject({ paidTwice: 0, unbalanced: 0 });
});
