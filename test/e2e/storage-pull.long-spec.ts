import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { createServer, request, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

import { CarReader } from '@ipld/car';
import * as dagCbor from '@ipld/dag-cbor';
import { createKuboBlobStore, pullContent, type BlobStore } from '#libs/storage';
import { CID } from 'multiformats/cid';
import { sha256 } from 'multiformats/hashes/sha2';

import { carHeader, carSection } from '../../apps/storage/src/dag/car.ts';
import { noise } from '../../libs/storage/src/blob-store.conformance.ts';
import { startStorage, type StorageProcess } from './storage-process.ts';

const MIB = 1024 * 1024;
const LENGTH = 9 * MIB + 77;

async function joined(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of source) parts.push(part);
  return Buffer.concat(parts);
}

const open = (storage: StorageProcess) =>
  createKuboBlobStore({ url: storage.url, token: storage.token });

describe('content from another storage', () => {
  let from: StorageProcess;
  let to: StorageProcess;
  let source: BlobStore;
  let target: BlobStore;
  const servers: Server[] = [];
  let content: Buffer;
  let cid: string;

  const pullFrom = (url: string, what = cid) =>
    pullContent(what, { url: to.url, token: to.token, source: url });
  /** A server of the test's own; its address. */
  async function serve(handler: RequestListener): Promise<string> {
    const server = createServer(handler);
    servers.push(server);
    await once(server.listen(0, '127.0.0.1'), 'listening');
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }
  let seed = 100;
  async function fresh(length = LENGTH) {
    content = Buffer.from(noise(length, ++seed));
    ({ cid } = await source.put(content));
  }

  beforeAll(async () => {
    const env = { SEELE_STORAGE_SWARM: 'off', SEELE_STORAGE_GATEWAY: '127.0.0.1:0' };
    [from, to] = await Promise.all([startStorage({ env }), startStorage({ env })]);
    [source, target] = [open(from), open(to)];
  });
  beforeEach(() => fresh());
  afterAll(async () => {
    for (const server of servers) server.close().closeAllConnections();
    await Promise.all([source.close(), target.close(), from?.discard(), to?.discard()]);
  });

  it('comes whole and pinned, and what is here is not asked for again', async () => {
    const totals = await pullFrom(from.gateway);
    expect(totals.bytes).toBeGreaterThanOrEqual(LENGTH);
    expect(await target.isPinned(cid)).toBe(true);
    expect((await joined(target.get(cid))).equals(content)).toBe(true);
    expect(await pullFrom(from.gateway)).toEqual({ blocks: 0, bytes: 0, requests: 0 });
  });

  it.each([0, 1, MIB, MIB + 1])('comes when it has %d bytes', async (length) => {
    await fresh(length);
    await pullFrom(from.gateway);
    expect((await joined(target.get(cid))).equals(content)).toBe(true);
  });

  it('comes with everything that a block links to', async () => {
    const [a, b] = [await source.put(noise(2 * MIB, 55)), await source.put(noise(10, 56))];
    const block = dagCbor.encode({ a: CID.parse(a.cid), deeper: [CID.parse(b.cid)] });
    const root = await source.putBlock(block, { codec: 'dag-cbor' });
    await pullFrom(from.gateway, root.cid);
    expect(await target.isPinned(root.cid)).toBe(true);
    expect(await joined(target.get(a.cid))).toHaveLength(2 * MIB);
    expect(await joined(target.get(b.cid))).toHaveLength(10);
  });

  it('goes on where a broken connection stopped', async () => {
    let connections = 0;
    const flaky = await serve((incoming, response) => {
      const cut = ++connections <= 3 ? 3 * MIB : Infinity;
      request(`${from.gateway}${incoming.url}`, (answer) => {
        response.writeHead(answer.statusCode ?? 500, answer.headers);
        let sent = 0;
        answer.on('data', (chunk: Buffer) => {
          sent += chunk.length;
          if (sent > cut) response.destroy();
          else response.write(chunk);
        });
        answer.on('end', () => response.end());
        answer.on('error', () => response.destroy());
      }).end();
    });
    const totals = await pullFrom(flaky);
    expect(totals.requests).toBeGreaterThanOrEqual(4);
    expect(totals.bytes).toBeLessThan(LENGTH + MIB);
    expect((await joined(target.get(cid))).equals(content)).toBe(true);
  });

  it('goes on after SIGKILL of the storage that pulls', async () => {
    const slow = await serve((incoming, response) => {
      request(`${from.gateway}${incoming.url}`, (answer) => {
        response.writeHead(answer.statusCode ?? 500, answer.headers);
        let sent = 0;
        answer.on('data', (chunk: Buffer) => {
          if ((sent += chunk.length) < 6 * MIB) response.write(chunk); // then it stands still
        });
        answer.on('end', () => {
          if (sent < 6 * MIB) response.end();
        });
      }).end();
    });
    const other = await startStorage({ env: { SEELE_STORAGE_SWARM: 'off' } });
    const broken = pullContent(cid, { url: other.url, token: other.token, source: slow }).then(
      () => undefined,
      (error: unknown) => error,
    );
    const kept = async () => {
      const files = await readdir(join(other.home, 'storage', 'blocks'), { recursive: true });
      return files.filter((file) => file.endsWith('.block')).length;
    };
    while ((await kept()) < 4) await new Promise((resolve) => setTimeout(resolve, 10));
    await other.kill();
    expect(await broken).toMatchObject({ code: 'STORAGE_UNAVAILABLE' });
    const again = await startStorage({ home: other.home, env: { SEELE_STORAGE_SWARM: 'off' } });
    try {
      const { url, token } = again;
      const totals = await pullContent(cid, { url, token, source: from.gateway });
      expect(totals.bytes).toBeLessThan(LENGTH - MIB);
      const store = open(again);
      expect((await joined(store.get(cid))).equals(content)).toBe(true);
      await store.close();
    } finally {
      await again.discard();
    }
  }, 40_000);

  describe('from a source that lies', () => {
    /** The true CAR of the content with something done to its blocks. */
    async function lying(change: (blocks: { cid: CID; bytes: Uint8Array }[]) => void) {
      const car = await fetch(`${from.gateway}/ipfs/${cid}?format=car`);
      const reader = await CarReader.fromBytes(new Uint8Array(await car.arrayBuffer()));
      const blocks: { cid: CID; bytes: Uint8Array }[] = [];
      for await (const block of reader.blocks()) blocks.push(block as never);
      const root = blocks[0] as (typeof blocks)[0];
      const whole = root.bytes;
      change(blocks);
      const body = Buffer.concat([carHeader([root.cid]), ...blocks.map(carSection)]);
      return serve((incoming, response) =>
        response.end(incoming.url?.includes('format=raw') === true ? whole : body),
      );
    }

    it('with a changed byte: refused, not pinned', async () => {
      const url = await lying((blocks) => {
        const leaf = blocks[7] as (typeof blocks)[0];
        leaf.bytes = leaf.bytes.slice();
        leaf.bytes[99] = (leaf.bytes[99] as number) ^ 1;
      });
      await expect(pullFrom(url)).rejects.toMatchObject({ code: 'STORAGE_CORRUPT' });
      expect(await target.isPinned(cid)).toBe(false);
      await pullFrom(from.gateway); // and an honest one mends it
      expect((await joined(target.get(cid))).equals(content)).toBe(true);
    });

    it('with a block that nobody asked for: refused, not stored', async () => {
      const bytes = noise(500, 8);
      const stranger = CID.createV1(0x55, await sha256.digest(bytes));
      const url = await lying((blocks) => blocks.splice(2, 0, { cid: stranger, bytes }));
      await expect(pullFrom(url)).rejects.toMatchObject({ code: 'STORAGE_MALFORMED' });
      await expect(target.getBlock(stranger.toString())).rejects.toMatchObject({
        code: 'STORAGE_NOT_FOUND',
      });
    });

    it('with another root, or with noise: refused', async () => {
      const other = await serve((_, response) => response.end(noise(100)));
      await expect(pullFrom(other)).rejects.toMatchObject({ code: 'STORAGE_CORRUPT' });
      const endless = await serve((_, response) => {
        const more = () => void response.write(noise(65_536));
        response.on('drain', more);
        for (let i = 0; i < 40; i++) more();
      });
      await expect(pullFrom(endless)).rejects.toMatchObject({ code: 'STORAGE_TOO_LARGE' });
    });

    it('that has nothing, or is not there: says so', async () => {
      const absent = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy';
      await expect(pullFrom(from.gateway, absent)).rejects.toMatchObject({
        code: 'STORAGE_NOT_FOUND',
      });
      await expect(pullFrom('ftp://nowhere')).rejects.toMatchObject({ name: 'SeeleError' });
    });
  });

  describe('the gateway (trustless gateway specification)', () => {
    const ask = (path: string, init: RequestInit = {}) => fetch(`${from.gateway}${path}`, init);

    it('gives blocks, also by Accept', async () => {
      const answers = [
        await ask(`/ipfs/${cid}?format=raw`),
        await ask(`/ipfs/${cid}`, { headers: { accept: 'application/vnd.ipld.raw' } }),
      ];
      for (const answer of answers) {
        expect(answer.headers.get('content-type')).toBe('application/vnd.ipld.raw');
        expect(answer.headers.get('cache-control')).toMatch(/immutable/);
        const bytes = new Uint8Array(await answer.arrayBuffer());
        expect((await sha256.digest(bytes)).digest).toEqual(CID.parse(cid).multihash.digest);
      }
      const etag = answers[0]?.headers.get('etag') ?? '';
      const second = await ask(`/ipfs/${cid}?format=raw`, { headers: { 'if-none-match': etag } });
      expect(second.status).toBe(304);
      expect((await ask(`/ipfs/${cid}?format=raw`, { method: 'HEAD' })).status).toBe(200);
    });

    it('gives a range of a file by the blocks that hold it (IPIP-402)', async () => {
      const query = `format=car&dag-scope=entity&entity-bytes=${2 * MIB + 5}:${4 * MIB}`;
      const answer = await ask(`/ipfs/${cid}?${query}`);
      const reader = await CarReader.fromBytes(new Uint8Array(await answer.arrayBuffer()));
      const lengths: number[] = [];
      for await (const { bytes } of reader.blocks()) lengths.push(bytes.length);
      expect(lengths.slice(1)).toEqual([MIB, MIB, MIB]);
    });

    it('gives a block that a file repeats once', async () => {
      const repeated = await source.put(new Uint8Array(20 * MIB));
      const answer = await ask(`/ipfs/${repeated.cid}?format=car`);
      expect((await answer.arrayBuffer()).byteLength).toBeLessThan(MIB + 10_000);
      await pullFrom(from.gateway, repeated.cid);
      expect(await joined(target.get(repeated.cid))).toHaveLength(20 * MIB);
    });

    it('shows files as they are on loopback: typed, without scripts, and as a tar', async () => {
      const page = await source.put(new TextEncoder().encode('<script>alert(1)</script>'));
      const answer = await ask(`/ipfs/${page.cid}?filename=a.html`);
      expect(answer.headers.get('content-type')).toBe('text/html; charset=utf-8');
      expect(answer.headers.get('content-security-policy')).toBe('sandbox');
      expect(await answer.text()).toBe('<script>alert(1)</script>');
      const document = await source.put(new TextEncoder().encode('{"rows": 3}'));
      const json = await ask(`/ipfs/${document.cid}`);
      expect(json.headers.get('content-type')).toBe('application/json');
      const binary = await source.put(new Uint8Array([0, 255, 1]));
      const octets = await ask(`/ipfs/${binary.cid}`);
      expect(octets.headers.get('content-type')).toBe('application/octet-stream');
      const tar = await ask(`/ipfs/${document.cid}?format=tar`);
      expect(tar.headers.get('content-type')).toBe('application/x-tar');
      const archive = Buffer.from(await tar.arrayBuffer());
      expect(archive.toString('latin1', 257, 262)).toBe('ustar');
      expect(archive.toString('utf8', 512, 523)).toBe('{"rows": 3}');
    });

    it.each([
      ['/ipfs/nonsense?format=raw', 400, 'GET'],
      [`/ipfs/bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy?format=raw`, 404, 'GET'],
      ['/api/v0/pin/ls', 400, 'GET'],
      ['/api/v0/pin/ls', 405, 'POST'],
      ['/ipfs/CID', 200, 'GET'],
      ['/ipfs/CID/below?format=raw', 404, 'GET'],
      ['/ipfs/CID?format=car&dag-scope=tree', 400, 'GET'],
      ['/ipfs/CID?format=tar', 200, 'GET'],
      ['/ipfs/CID?format=dag-json', 406, 'GET'],
      ['/ipfs/CID?format=car&entity-bytes=5:1', 400, 'GET'],
    ])('answers %s with %d', async (path, status, method) => {
      const answer = await ask(path.replace('CID', cid), { method });
      expect(answer.status).toBe(status);
      await answer.body?.cancel();
    });
  });
});
