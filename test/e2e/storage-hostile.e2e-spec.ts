import { once } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { request, type IncomingHttpHeaders } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import * as dagCbor from '@ipld/dag-cbor';
import * as dagPb from '@ipld/dag-pb';
import { UnixFS } from 'ipfs-unixfs';
import { CID } from 'multiformats/cid';
import * as raw from 'multiformats/codecs/raw';
import { sha256 } from 'multiformats/hashes/sha2';

import { noise } from '../../libs/storage/src/blob-store.conformance.ts';
import { startStorage, type StorageProcess } from './storage-process.ts';

const TOKEN = 'a-token-for-tests';
const MIB = 1024 * 1024;

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly json: { Message?: string; Code?: number; Type?: string };
}

interface Sent {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: Uint8Array | string;
}

let storage: StorageProcess;

async function send(path: string, { method = 'POST', headers, body }: Sent = {}): Promise<Answer> {
  const sent = request(`${storage.url}${path}`, {
    method,
    headers: { authorization: `Bearer ${TOKEN}`, ...headers },
  });
  sent.end(body);
  const [response] = (await once(sent, 'response')) as [import('node:http').IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  const all = Buffer.concat(chunks);
  let json = {};
  try {
    json = JSON.parse(all.toString()) as object;
  } catch {
    // not every answer is JSON
  }
  return { status: response.statusCode ?? 0, headers: response.headers, body: all, json };
}

function multipart(parts: readonly { head: string; body: Uint8Array | string }[]): Sent {
  const chunks = parts.flatMap(({ head, body }) => [
    Buffer.from(`--XX\r\n${head}\r\n\r\n`),
    Buffer.from(body as string),
    Buffer.from('\r\n'),
  ]);
  return {
    headers: { 'content-type': 'multipart/form-data; boundary=XX' },
    body: Buffer.concat([...chunks, Buffer.from('--XX--\r\n')]),
  };
}
const file = (body: Uint8Array | string, filename = 'f') =>
  multipart([
    { head: `Content-Disposition: form-data; name="file"; filename="${filename}"`, body },
  ]);

const ABSENT = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy';

describe('what the storage process refuses', () => {
  beforeAll(async () => {
    storage = await startStorage({
      env: {
        SEELE_STORAGE_TOKEN: TOKEN,
        SEELE_STORAGE_MAX_ADD_BYTES: String(4 * MIB),
        SEELE_STORAGE_ORIGINS: 'https://console.example',
        SEELE_STORAGE_SWARM: 'off',
      },
    });
  });
  afterAll(async () => {
    expect((await send('/api/v0/version')).status).toBe(200); // it outlived all of this
    await storage.discard();
  });

  it.each(['GET', 'PUT', 'DELETE', 'OPTIONS', 'PATCH'])('%s: 405', async (method) => {
    const answer = await send('/api/v0/version', { method });
    expect([answer.status, answer.headers.allow]).toEqual([405, 'POST']);
  });

  it.each([
    [{ origin: 'https://evil.example' }, 403],
    [{ origin: 'null' }, 403],
    [{ referer: 'https://evil.example/page' }, 403],
    [{ referer: 'nonsense' }, 403],
    [{ origin: 'http://127.0.0.1:1' }, 403],
    [{ origin: 'https://console.example' }, 200],
    [{ referer: 'https://console.example/a/b' }, 200],
    [{}, 200],
  ])('headers %j: %i', async (headers, status) => {
    const answer = await send('/api/v0/version', { headers });
    expect(answer.status).toBe(status);
    expect(answer.headers['access-control-allow-origin']).toBeUndefined();
    if (status !== 200)
      expect(answer.json).toMatchObject({ Code: 4, Type: 'error', Message: expect.any(String) });
  });

  it('its own origin is not foreign', async () => {
    expect((await send('/api/v0/id', { headers: { origin: storage.url } })).status).toBe(200);
  });

  it.each(['', 'Bearer', 'Bearer wrong', `bearer ${TOKEN}`, `Basic ${TOKEN}`, `Bearer ${TOKEN}x`])(
    'authorization %j: 401',
    async (authorization) => {
      const answer = await send('/api/v0/version', { headers: { authorization } });
      expect([answer.status, answer.headers['www-authenticate']]).toEqual([401, 'Bearer']);
      expect(answer.json).toMatchObject({ Type: 'error', Code: 1 });
    },
  );

  it('does not read the body of who may not call', async () => {
    const answer = await send('/api/v0/add', {
      ...file(noise(MIB)),
      headers: { authorization: 'no' },
    });
    expect(answer.status).toBe(401);
  });

  it('answers health and metrics to anybody, and nothing else to GET', async () => {
    for (const path of ['/health/live', '/health/ready', '/metrics'])
      expect((await send(path, { method: 'GET', headers: { authorization: '' } })).status).toBe(
        200,
      );
    expect((await send('/', { method: 'GET' })).status).toBe(405);
  });

  it.each([
    ['/api/v0/nope', 404],
    ['/api/v0/', 404],
    ['/', 404],
    ['/api/v0/../../etc/passwd', 404],
    ['/api/v0/files/ls?arg=/', 404],
    ['/api/v0/cat', 400],
    ['/api/v0/cat?arg=', 400],
    ['/api/v0/cat?arg=hello', 400],
    [`/api/v0/cat?arg=${ABSENT}&offset=-1`, 400],
    [`/api/v0/cat?arg=${ABSENT}&length=99999999999999999999`, 400],
    [`/api/v0/cat?arg=${ABSENT}&offset=1e3`, 400],
    ['/api/v0/cat?arg=../../../etc/passwd', 400],
    [`/api/v0/cat?arg=/ipfs/${ABSENT}/../x`, 400],
    [`/api/v0/cat?arg=/ipfs/${ABSENT}/a%00b`, 400],
    ['/api/v0/cat?arg=/ipns/example.org', 400],
    [`/api/v0/cat?arg=${ABSENT}`, 500],
    [`/api/v0/block/get?arg=bafk${'a'.repeat(3000)}`, 400],
    ['/api/v0/block/get?arg=zQm', 400],
    [`/api/v0/pin/ls?type=some`, 400],
    [`/api/v0/pin/ls?arg=${ABSENT}`, 500],
    [`/api/v0/pin/add?arg=${ABSENT}`, 500],
    [`/api/v0/refs?arg=${ABSENT}&max-depth=abc`, 400],
    [`/api/v0/dag/get?arg=${ABSENT}&output-codec=evil`, 400],
    ['/api/v0/swarm/connect?arg=nonsense', 400],
    ['/api/v0/add', 400],
    [`/api/v0/version?${Array.from({ length: 1001 }, () => 'arg=a').join('&')}`, 400],
  ])('POST %s: %i', async (path, status) => {
    const answer = await send(path);
    expect([path, answer.status]).toEqual([path, status]);
    expect(answer.json).toMatchObject({ Type: 'error', Message: expect.any(String) });
    expect(answer.headers['x-seele-error']).toMatch(/^STORAGE_/);
  });

  it.each([
    'chunker=size-0',
    'chunker=size-99999999',
    'chunker=rabin',
    'hash=md5',
    'cid-version=2',
    'trickle=true',
    'nocopy=true',
    'raw-leaves=perhaps',
  ])('add?%s: 400', async (query) => {
    expect((await send(`/api/v0/add?${query}`, file('x'))).status).toBe(400);
  });

  it.each([
    '..%2Fescape',
    'a%2F..%2Fb',
    'a%2F%2Fb',
    'a%2F.',
    'a%00b',
    'x'.repeat(256),
    Array.from({ length: 70 }, () => 'd').join('%2F'),
    'a%5C%2Fb',
  ])('add of a file named %s: 400', async (name) => {
    const answer = await send('/api/v0/add', file('x', name));
    expect([answer.status, answer.json.Message]).toEqual([400, expect.stringMatching(/path/)]);
  });

  it.each([
    ['no boundary', { headers: { 'content-type': 'multipart/form-data' }, body: 'x' }],
    ['another type', { headers: { 'content-type': 'text/plain' }, body: 'x' }],
    ['nothing', { headers: { 'content-type': 'multipart/form-data; boundary=XX' }, body: '' }],
    ['no closing delimiter', { ...file('abc'), body: String(file('abc').body).slice(0, -6) }],
    ['endless headers', multipart([{ head: 'A: '.padEnd(20_000, 'x'), body: '' }])],
    [
      'no part',
      { headers: { 'content-type': 'multipart/form-data; boundary=XX' }, body: '--XX--' },
    ],
    [
      'a symbolic link',
      multipart([
        {
          head: 'Content-Disposition: form-data; name="f"; filename="l"\r\nContent-Type: application/symlink',
          body: '/etc',
        },
      ]),
    ],
  ])('add of a body with %s: 400', async (_, sent) => {
    expect((await send('/api/v0/add', sent)).status).toBe(400);
  });

  it('refuses bodies over the limit, announced or not, and blocks over theirs', async () => {
    expect((await send('/api/v0/add', file(noise(5 * MIB)))).status).toBe(413);
    const chunked = { ...file(noise(5 * MIB)) };
    const answer = await send('/api/v0/add', {
      ...chunked,
      headers: { ...chunked.headers, 'transfer-encoding': 'chunked' },
    });
    expect(answer.status).toBe(413);
    expect((await send('/api/v0/block/put', file(noise(2 * MIB + 1)))).status).toBe(413);
    expect((await send('/api/v0/dag/put', file(noise(2 * MIB + 1)))).status).toBe(413);
    const lie = {
      'content-length': String(2 ** 50),
      'content-type': file('').headers?.['content-type'] as string,
    };
    const sent = request(`${storage.url}/api/v0/add`, {
      method: 'POST',
      headers: { authorization: `Bearer ${TOKEN}`, ...lie },
    });
    sent.on('error', () => {});
    sent.flushHeaders();
    const [response] = (await once(sent, 'response')) as [{ statusCode: number }];
    expect(response.statusCode).toBe(413);
    sent.destroy();
  });

  it('stores nothing of an upload that was cut', async () => {
    const before = (await storage.client.repo.stat()).numObjects;
    const pins = (await send('/api/v0/pin/ls?type=recursive')).json;
    for (let i = 0; i < 5; i++) {
      const { port } = new URL(storage.url);
      const socket = connect(Number(port), '127.0.0.1');
      await once(socket, 'connect');
      socket.write(
        `POST /api/v0/add?cid-version=1 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${TOKEN}\r\n` +
          'content-type: multipart/form-data; boundary=XX\r\ncontent-length: 4000000\r\n\r\n' +
          '--XX\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\ncut',
      );
      await new Promise((resolve) => setTimeout(resolve, 20));
      socket.destroy();
    }
    expect((await send('/api/v0/pin/ls?type=recursive')).json).toEqual(pins);
    expect((await storage.client.repo.stat()).numObjects).toBe(before);
  });

  it.each(['POST / HTTP/9.9\r\n\r\n', '\0\0\0\0\r\n\r\n', `POST /${'a'.repeat(100_000)}`])(
    'survives a malformed request %#',
    async (text) => {
      const socket = connect(Number(new URL(storage.url).port), '127.0.0.1');
      socket.on('error', () => {});
      socket.resume();
      await once(socket, 'connect');
      const closed = once(socket, 'close');
      socket.write(text);
      await closed;
    },
  );

  describe('CAR', () => {
    const root = async (bytes: Uint8Array) => CID.createV1(raw.code, await sha256.digest(bytes));
    const section = (...parts: Uint8Array[]) => {
      const length = parts.reduce((sum, part) => sum + part.length, 0);
      const prefix: number[] = [];
      for (let rest = length; ; rest >>>= 7) {
        prefix.push(rest > 127 ? (rest & 127) | 128 : rest);
        if (rest <= 127) break;
      }
      return Buffer.concat([Buffer.from(prefix), ...parts]);
    };
    const header = (cid: CID, version = 1) => section(dagCbor.encode({ version, roots: [cid] }));

    it('with a wrong hash: refused, nothing of it served', async () => {
      const cid = await root(noise(100, 61));
      const car = Buffer.concat([header(cid), section(cid.bytes, noise(100, 62))]);
      const answer = await send('/api/v0/dag/import', file(car));
      expect(answer.headers['x-seele-error']).toBe('STORAGE_CORRUPT');
      expect((await send(`/api/v0/block/get?arg=${cid.toString()}`)).status).toBe(500);
    });

    it.each([
      ['empty', async () => Buffer.alloc(0)],
      ['version 2', async (cid: CID) => header(cid, 2)],
      ['a header that is not CBOR', async () => section(noise(20))],
      ['a header without roots', async () => section(dagCbor.encode({ version: 1 }))],
      ['an absurd header length', async () => Buffer.from([255, 255, 255, 255, 127])],
      ['an endless length', async () => Buffer.alloc(20, 255)],
      [
        'an absurd block length',
        async (cid: CID) => Buffer.concat([header(cid), Buffer.from([255, 255, 255, 127])]),
      ],
      [
        'a truncated block',
        async (cid: CID) =>
          Buffer.concat([header(cid), section(cid.bytes, noise(100, 63)).subarray(0, 60)]),
      ],
      [
        'a block without a CID',
        async (cid: CID) => Buffer.concat([header(cid), section(noise(10))]),
      ],
    ])('%s: 400', async (_, make) => {
      const car = await make(await root(noise(100, 63)));
      expect((await send('/api/v0/dag/import', file(car))).status).toBe(400);
    });
  });

  describe('a hostile DAG', () => {
    const put = async (bytes: Uint8Array, codec: string) => {
      const answer = await send(`/api/v0/block/put?cid-codec=${codec}`, file(bytes));
      return CID.parse((answer.json as { Key: string }).Key);
    };

    it('of names that climb out of a folder: no tar', async () => {
      const leaf = await put(Buffer.from('evil'), 'raw');
      for (const names of [['../../evil'], ['..'], [''], ['a', 'a']]) {
        const node = dagPb.prepare({
          Data: new UnixFS({ type: 'directory' }).marshal(),
          Links: names.map((Name) => ({ Name, Hash: leaf, Tsize: 4 })),
        });
        const directory = await put(dagPb.encode(node), 'dag-pb');
        await expect(send(`/api/v0/get?arg=${directory.toString()}`)).rejects.toThrow(/aborted/);
      }
    });

    it('of a file that lies about its size: cut, not padded', async () => {
      const leaf = await put(Buffer.from('four'), 'raw');
      const lying = new UnixFS({ type: 'file', blockSizes: [40n] });
      const node = { Data: lying.marshal(), Links: [{ Name: '', Hash: leaf, Tsize: 4 }] };
      const cid = await put(dagPb.encode(node), 'dag-pb');
      const answer = await send(`/api/v0/cat?arg=${cid.toString()}`);
      expect(answer.headers['x-seele-error']).toBe('STORAGE_MALFORMED');
    });

    it('of a bomb (2^40 paths to one leaf): told once each', async () => {
      let cid = await put(Buffer.from('leaf'), 'raw');
      for (let i = 0; i < 40; i++) cid = await put(dagCbor.encode([cid, cid]), 'dag-cbor');
      const refs = await send(`/api/v0/refs?arg=${cid.toString()}&recursive=true`);
      expect(refs.body.toString().trim().split('\n')).toHaveLength(80);
      expect((await send(`/api/v0/pin/add?arg=${cid.toString()}`)).status).toBe(200);
      expect((await send(`/api/v0/dag/export?arg=${cid.toString()}`)).status).toBe(200);
    });
  });
});

describe('a folder or port that cannot be used', () => {
  /** One for all cases; the last of them stops it. */
  let first: StorageProcess;
  beforeAll(async () => {
    first = await startStorage({ env: { SEELE_STORAGE_SWARM: 'off' } });
  });
  afterAll(() => first.discard());

  it('names the folder and what to do', async () => {
    const home = await mkdtemp(join(tmpdir(), 'seele-storage-'));
    const asRoot = process.getuid?.() === 0;
    // Root may write anywhere but under what is not a folder.
    const bad = asRoot ? '/dev/null/storage' : join(home, 'closed');
    if (!asRoot) {
      const { mkdir } = await import('node:fs/promises');
      await mkdir(bad);
      await chmod(bad, 0o500);
    }
    await expect(startStorage({ home, env: { SEELE_STORAGE_HOME: bad } })).rejects.toThrow(
      /cannot write in .*STORAGE_DISK.*SEELE_STORAGE_HOME/s,
    );
    await rm(home, { recursive: true });
  });

  it('refuses a second process on one folder, and the first goes on', async () => {
    await expect(startStorage({ home: first.home })).rejects.toThrow(/another storage process/);
    expect((await first.client.id()).agentVersion).toMatch(/^seele-storage/);
  });

  it('names a port that is taken', async () => {
    const home = await mkdtemp(join(tmpdir(), 'seele-storage-'));
    const { port } = new URL(first.url);
    await expect(startStorage({ home, env: { SEELE_STORAGE_PORT: port } })).rejects.toThrow(
      /PLATFORM_PORT_IN_USE/,
    );
    await rm(home, { recursive: true });
  });

  it('refuses to write into the reserve of the disk, and still reads', async () => {
    const { cid } = await first.client.add('kept');
    await first.stop();
    const full = await startStorage({
      home: first.home,
      env: {
        SEELE_STORAGE_RESERVE_BYTES: String(Number.MAX_SAFE_INTEGER),
        SEELE_STORAGE_SWARM: 'off',
      },
    });
    await expect(full.client.add('more')).rejects.toThrow(/no space left/);
    for await (const chunk of full.client.cat(cid))
      expect(Buffer.from(chunk).toString()).toBe('kept');
    const ready = await fetch(`${full.url}/health/ready`);
    expect(ready.status).toBe(503);
    await full.stop();
  });
});
