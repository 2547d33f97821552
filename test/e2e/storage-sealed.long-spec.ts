import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { createSystemRandomness } from '#libs/platform';
import {
  createKuboBlobStore,
  createX25519KeyUnwrap,
  createX25519KeyWrap,
  encryptionKeyPairFromSeed,
  openSealed,
  sealBlob,
} from '#libs/storage';

import { noise } from '../../libs/storage/src/blob-store.conformance.ts';
import { startStorage, type StorageProcess } from './storage-process.ts';

const run = promisify(execFile);
const CLI = join(import.meta.dirname, '..', '..', 'dist', 'apps', 'cli', 'src', 'main.js');

async function joined(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of source) parts.push(part);
  return Buffer.concat(parts);
}

describe('encrypted content in the storage process', () => {
  let storage: StorageProcess;
  let home: string;
  beforeAll(async () => {
    storage = await startStorage({
      env: { SEELE_STORAGE_GC_GRACE_MS: '0', SEELE_STORAGE_SWARM: 'off' },
    });
    home = await mkdtemp(join(tmpdir(), 'seele-sealed-'));
  });
  afterAll(async () => {
    await storage?.discard();
    await rm(home, { recursive: true, force: true });
  });

  it('is kept whole by the pin on its envelope, and goes when that goes', async () => {
    const store = createKuboBlobStore({ url: storage.url, token: storage.token });
    const { publicKey, secret } = encryptionKeyPairFromSeed(new Uint8Array(32).fill(1));
    const randomness = createSystemRandomness();
    const recipients = [createX25519KeyWrap(publicKey, randomness)];
    const bytes = noise(2_500_000, 3);
    const { cid, content } = await sealBlob(store, bytes, { recipients, randomness });
    const collect = async () => {
      for await (const _ of storage.client.repo.gc());
    };
    await new Promise((resolve) => setTimeout(resolve, 5));
    await collect();
    const sealed = await openSealed(store, cid, [createX25519KeyUnwrap(secret)]);
    if (sealed.kind !== 'blob') throw new Error('not a blob');
    expect((await joined(sealed.read())).equals(bytes)).toBe(true);
    const range = await joined(sealed.read({ offset: 1_048_000, length: 1_000 }));
    expect(range.equals(bytes.subarray(1_048_000, 1_049_000))).toBe(true);
    await store.unpin(cid);
    await collect();
    await expect(store.getBlock(content)).rejects.toMatchObject({ code: 'STORAGE_NOT_FOUND' });
    await store.close();
  });

  it('goes in and out by the command line: for the named account, and for no other', async () => {
    const env = {
      ...process.env,
      NODE_OPTIONS: '',
      SEELE_HOME: home,
      STORAGE_RPC_URL: storage.url,
      STORAGE_RPC_TOKEN: storage.token,
    };
    const seele = async (...args: string[]) =>
      JSON.parse((await run(process.execPath, [CLI, ...args, '--json'], { env })).stdout) as {
        readonly cid: string;
        readonly key: string;
        readonly recipients: readonly string[];
      };
    for (const name of ['alice', 'bob', 'eve']) await seele('account', 'new', name);
    const { key } = await seele('storage', 'key', '--from', 'bob');
    expect(key).toMatch(/^x25519:[0-9a-f]{64}$/);
    const file = join(home, 'secret.csv');
    await writeFile(file, 'patient,icd10\n1,E11\n');
    const put = await seele('storage', 'put', file, '--encrypt-to', key, '--from', 'alice');
    expect(put.recipients).toHaveLength(2);
    for (const name of ['alice', 'bob']) {
      const out = join(home, `${name}.csv`);
      await seele('storage', 'get', put.cid, '--out', out, '--from', name);
      expect(await readFile(out, 'utf8')).toBe('patient,icd10\n1,E11\n');
    }
    const out = join(home, 'eve.csv');
    await expect(
      seele('storage', 'get', put.cid, '--out', out, '--from', 'eve'),
    ).rejects.toMatchObject({ stderr: expect.stringContaining('STORAGE_SEALED') as string });
    await expect(readFile(out)).rejects.toThrow();
  }, 60_000);
});
