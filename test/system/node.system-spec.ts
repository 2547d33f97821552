/** A real node process: killed under load, restarted, started wrongly. All kills: node-kills.long-spec.ts. */
import { type ChildProcess } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { type Server, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { tokenCalls, tokenKeys } from '#contracts';
import { verifySignature } from '#libs/crypto';
import {
  type TransactionBody,
  encodeGenesis,
  signTransaction,
  verifyStateProof,
} from '#libs/ledger';
import { type NodeClient, createLogger, errorLine, freePort, loadSettings } from '#libs/platform';
import { openLmdbStore } from '#libs/store';
import { nodeSettings } from '../../apps/node/src/settings.ts';
import { startNode } from '../../apps/node/src/start-node.ts';
import {
  chain,
  clearStage,
  exitOf,
  failure,
  genesis,
  killUnderLoad,
  load,
  newHome,
  nodeEnv,
  ready,
  sequencer,
  signers,
  spawnNode,
} from './node-stage.ts';

afterAll(clearStage);

const isAlive = (child: ChildProcess) => child.exitCode === null && child.signalCode === null;

describe('a node that is killed (SIGKILL) under load', () => {
  it.each(['at any time', 'while a block is stored'] as const)(
    '%s loses nothing that was final and conserves money',
    killUnderLoad,
    30_000,
  );

  it('streams every block once, across its restart, and proves state offline', async () => {
    const home = await newHome();
    const nonces = signers.map(() => 0);
    const port = { SEELE_NODE_PORT: String(await freePort()) };
    const first = spawnNode(home, port);
    const client = await ready(first);
    const abort = new AbortController();
    const heights: number[] = [];
    const following = (async () => {
      for await (const { height, block, receipts } of client.blocks(0, abort.signal)) {
        expect(receipts).toHaveLength(block.transactions.length);
        heights.push(height);
      }
    })();
    // Ends where the follower is, not after some time: on a loaded machine that may be before the first block.
    const endAt = async (child: ChildProcess, signal: 'SIGKILL' | 'SIGTERM', height: number) => {
      while (heights.length <= height && isAlive(child)) await sleep(5);
      child.kill(signal);
    };
    const killed = endAt(first, 'SIGKILL', 3);
    await load(client, nonces, new Map());
    await killed;
    await exitOf(first);
    const second = spawnNode(home, port);
    const again = await ready(second);
    for (const [i, { account }] of signers.entries())
      nonces[i] = (await again.account(account)).nonce;
    const account = (signers[0] as (typeof signers)[0]).account;
    const proof = await again.prove('token', tokenKeys.balance(account));
    expect(verifyStateProof(genesis, proof, verifySignature).height).toBeGreaterThan(0);
    const { height } = await again.status();
    const stopped = endAt(second, 'SIGTERM', height + 3);
    await load(again, nonces, new Map());
    await stopped;
    abort.abort();
    await following;
    expect(heights).toEqual(heights.map((_, i) => i));
    expect(heights.length).toBeGreaterThan(height + 3);
    await exitOf(second);
  });
});

function firstTransfer() {
  const signer = signers[0] as (typeof signers)[0];
  return signTransaction(signer, {
    chain,
    publicKey: signer.publicKey,
    nonce: 0,
    validUntilUs: (Date.now() + 60_000) * 1000,
    fuelLimit: 400_000n,
    fuelPrice: 1n,
    calls: [tokenCalls.transfer({ to: sequencer.account, amount: 1n })],
  });
}

/** Like `failure`, in this process: the same line, without starting one. */
async function refusal(home: string, env: Record<string, string> = {}): Promise<string> {
  const settings = loadSettings(nodeSettings, { env: { ...nodeEnv(home), ...env } });
  const logger = createLogger({ name: 'node', level: 'silent' });
  try {
    await (await startNode(settings, logger)).stop();
    return 'it started';
  } catch (error) {
    return errorLine(error);
  }
}

describe('a node that cannot start says why in one line and ends with 1', () => {
  let oneBlock: string;
  beforeAll(async () => {
    oneBlock = await newHome();
    const child = spawnNode(oneBlock);
    const client = await ready(child);
    await client.execute(firstTransfer());
    // Nobody else may open its data while it runs.
    expect(await refusal(oneBlock)).toMatch(/\(STORE_IN_USE\)/);
    child.kill('SIGTERM');
    expect(await exitOf(child)).toBe(0);
  });

  it.each([
    // The layout of libs/ledger: what it is, then the height in eight bytes.
    ['header', 2, /block 1: /],
    ['transactions', 3, /block 1: its transactions/],
    ['receipts', 4, /block 1: its receipts/],
  ])('a block whose %s were changed on the disk', async (what, kind, message) => {
    const home = await newHome();
    const path = join(home, 'node');
    cpSync(join(oneBlock, 'node'), path, { recursive: true });
    const key = Uint8Array.of(kind, 0, 0, 0, 0, 0, 0, 0, 1);
    const store = openLmdbStore({ path });
    const value = store.get(key)?.slice() as Uint8Array;
    const middle = value.length >> 1;
    value[middle] = (value[middle] as number) ^ 1;
    await store.commit([{ key, value }]);
    await store.close();
    const expectSaid = (line: string | undefined) => {
      expect(line).toMatch(message);
      expect(line).toContain(`${join(path, 'data.mdb')}: block 1`);
      expect(line).toContain('(LEDGER_DATA_CORRUPT). Restore the data directory from a backup');
    };
    expectSaid(await refusal(home));
    if (what !== 'header') return;
    const { code, lines } = await failure(home);
    expect([code, lines.length]).toEqual([1, 1]);
    expectSaid(lines[0]);
  });

  it.each([
    [
      'no genesis',
      /genesis\.cbor.*\(PLATFORM_/,
      (home: string) => rmSync(join(home, 'genesis.cbor')),
    ],
    [
      'a broken genesis',
      /not a genesis.*\(LEDGER_DATA_CORRUPT\)/,
      (home: string) => writeFileSync(join(home, 'genesis.cbor'), 'x'),
    ],
    [
      'no key',
      /sequencer\.json.*\(PLATFORM_FILE_UNREADABLE\)/,
      (home: string) => rmSync(join(home, 'keys', 'sequencer.json')),
    ],
    [
      'a file where its directory should be',
      /\(STORE_OPEN\)/,
      (home: string) => writeFileSync(join(home, 'node'), ''),
    ],
    [
      'a database that is none',
      /not an LMDB database.*\(STORE_CORRUPT\)/,
      (home: string) => {
        mkdirSync(join(home, 'node'));
        writeFileSync(join(home, 'node', 'data.mdb'), 'x'.repeat(100_000));
      },
    ],
  ])('%s', async (what, message, prepare) => {
    const home = await newHome();
    prepare(home);
    // What LMDB does with a file that is none is nothing to try out in this process.
    if (what !== 'a database that is none') return expect(await refusal(home)).toMatch(message);
    const { code, lines } = await failure(home);
    expect(lines).toEqual([expect.stringMatching(message)]);
    expect(code).toBe(1);
  });

  it('an occupied port, too little space, another chain’s data, a cut file', async () => {
    const home = oneBlock;
    const blocker: Server = createServer();
    await new Promise<void>((resolve) => blocker.listen(0, '127.0.0.1', resolve));
    const { port } = blocker.address() as { port: number };
    const occupied = await failure(home, { SEELE_NODE_PORT: String(port) });
    blocker.close();
    expect(occupied.lines).toEqual([expect.stringMatching(/\(PLATFORM_PORT_IN_USE\)/)]);

    const full = await refusal(home, { SEELE_NODE_RESERVE_BYTES: String(2 ** 52) });
    expect(full).toMatch(/bytes free.*\(STORE_FULL\)/);

    const other = { ...genesis, chainName: 'another' };
    writeFileSync(join(home, 'genesis.cbor'), encodeGenesis(other));
    expect(await refusal(home)).toMatch(/\(LEDGER_GENESIS_MISMATCH\)/);

    writeFileSync(join(home, 'genesis.cbor'), encodeGenesis(genesis));
    const file = join(home, 'node', 'data.mdb');
    truncateSync(file, Math.floor(readFileSync(file).length / 3));
    const cut = await failure(home);
    expect(cut).toEqual({ code: 1, lines: [expect.stringMatching(/\((STORE|LEDGER)_[A-Z]+\)/)] });
  });
});

describe('a node that is asked wrongly answers clearly and goes on', () => {
  let client: NodeClient;
  let child: ChildProcess;
  beforeAll(async () => {
    child = spawnNode(await newHome());
    client = await ready(child);
  });
  afterAll(async () => {
    child.kill('SIGTERM');
    expect(await exitOf(child)).toBe(0);
  });
  const [alice, bob] = signers as [(typeof signers)[0], (typeof signers)[0]];
  const transfer = (nonce: number, more: Partial<TransactionBody> = {}, amount = 1n) =>
    signTransaction(alice, {
      chain,
      publicKey: alice.publicKey,
      nonce,
      validUntilUs: (Date.now() + 60_000) * 1000,
      fuelLimit: 400_000n,
      fuelPrice: 1n,
      calls: [tokenCalls.transfer({ to: bob.account, amount })],
      ...more,
    });
  const problemOf = async (path: string, init?: RequestInit) => {
    const response = await fetch(`${client.url}${path}`, init);
    const { code } = (await response.json()) as { code: string };
    return [response.status, code];
  };

  it('refuses each bad transaction for its own reason and takes the good one beside them', async () => {
    const forged = { ...transfer(0), bytes: transfer(0).bytes.slice() };
    forged.bytes[forged.bytes.length - 1] = (forged.bytes.at(-1) as number) ^ 1;
    const results = await client.submit([
      forged,
      { ...transfer(0), bytes: Uint8Array.of(1, 2, 3) },
      transfer(0, { chain: 'ee'.repeat(32) }),
      transfer(0, { validUntilUs: 5 }),
      transfer(0, { fuelLimit: 10n ** 13n }),
      transfer(0, { fuelPrice: 10n ** 10n }),
      transfer(7),
      transfer(0),
    ]);
    expect(results.map((result) => (result.accepted ? 'ok' : result.error.code))).toEqual([
      'LEDGER_SIGNATURE_INVALID',
      'KERNEL_CBOR_INVALID',
      'LEDGER_CHAIN_MISMATCH',
      'LEDGER_TRANSACTION_EXPIRED',
      'LEDGER_FUEL_LIMIT',
      'LEDGER_BALANCE_TOO_LOW',
      'LEDGER_NONCE_GAP',
      'ok',
    ]);
  });

  it('makes an overdraft a receipt that says so, once, however often it is sent', async () => {
    const overdraft = transfer(1, {}, 10n ** 15n);
    const first = await client.execute(overdraft);
    expect(first.receipt).toMatchObject({ status: 'reverted', code: 'TOKEN_BALANCE_TOO_LOW' });
    expect(await client.execute(overdraft)).toEqual(first);
    await expect(client.execute(transfer(1))).rejects.toMatchObject({ code: 'LEDGER_NONCE_USED' });
  });

  it.each([
    ['/v1/transactions/abc', 400, 'KERNEL_ID_INVALID'],
    [`/v1/transactions/${'0'.repeat(64)}`, 404, 'LEDGER_NOT_FOUND'],
    [`/v1/transactions/${'0'.repeat(64)}?waitMs=-1`, 400, 'HTTP_BAD_REQUEST'],
    ['/v1/accounts/seele1nobody', 400, 'KERNEL_ID_INVALID'],
    ['/v1/state/token/xyz', 400, 'HTTP_BAD_REQUEST'],
    ['/v1/state/token/00', 404, 'LEDGER_NOT_FOUND'],
    ['/v1/state/token?limit=100000', 400, 'HTTP_BAD_REQUEST'],
    ['/v1/blocks/999999', 404, 'LEDGER_NOT_FOUND'],
    ['/v1/blocks/stream?from=x', 400, 'HTTP_BAD_REQUEST'],
  ])('%s: %d %s', async (path, status, code) => {
    expect(await problemOf(path)).toEqual([status, code]);
  });

  /** What a POST gets whose head announces `sizeBytes`, before any of them is sent. */
  const announced = (path: string, sizeBytes: number): Promise<[number | undefined, string]> =>
    new Promise((resolve, reject) => {
      const headers = { 'content-type': 'application/cbor', 'content-length': sizeBytes };
      const request = httpRequest(`${client.url}${path}`, { method: 'POST', headers });
      request.on('error', reject);
      request.on('response', (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => (text += part));
        response.on('end', () => {
          request.destroy();
          resolve([response.statusCode, (JSON.parse(text) as { code: string }).code]);
        });
      });
      request.flushHeaders();
    });

  it('refuses bodies of another type, shape or size', async () => {
    const post = (type: string, body: Uint8Array<ArrayBuffer>) =>
      problemOf('/v1/transactions', { method: 'POST', headers: { 'content-type': type }, body });
    expect(await post('application/json', Buffer.from('[]'))).toEqual([415, 'HTTP_MEDIA_TYPE']);
    expect(await post('application/cbor', Uint8Array.of(0xa0))).toEqual([400, 'KERNEL_SHAPE']);
    expect(await announced('/v1/transactions', 9 * 1024 * 1024)).toEqual([
      413,
      'HTTP_BODY_TOO_LARGE',
    ]);
    expect((await client.status()).genesis).toBe(chain);
  });

  it('pages through state and proves absence', async () => {
    const found: string[] = [];
    for await (const [key] of client.scan('token', tokenKeys.balances))
      found.push(Buffer.from(key).toString('hex'));
    expect(found).toEqual(found.toSorted());
    expect(found.length).toBeGreaterThanOrEqual(signers.length);
    const absent = await client.prove('token', Uint8Array.of(9));
    expect(verifyStateProof(genesis, absent, verifySignature).value).toBeUndefined();
    expect(await client.state('token', Uint8Array.of(9))).toBeUndefined();
  });
});
