import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { createKuboBlobStore, parseCid } from '#libs/storage';
import { base32 } from 'multiformats/bases/base32';

import { describeBlobStore } from '../../libs/storage/src/blob-store.conformance.ts';
import { startStorage } from './storage-process.ts';

describeBlobStore('Kubo RPC, over the storage process', async () => {
  const storage = await startStorage();
  const pathOf = async (cid: string) => {
    const name = `${base32.encode(parseCid(cid).multihash.bytes)}.block`;
    const blocks = join(storage.home, 'storage', 'blocks');
    const files = await readdir(blocks, { recursive: true });
    return join(blocks, files.find((file) => file.endsWith(name)) as string);
  };
  return {
    store: createKuboBlobStore({ url: storage.url, token: storage.token }),
    async corrupt(cid) {
      const path = await pathOf(cid);
      const bytes = await readFile(path);
      bytes[0] = (bytes[0] as number) ^ 1;
      await writeFile(path, bytes);
    },
    lose: async (cid) => rm(await pathOf(cid)),
    close: () => storage.discard(),
  };
});
