/** What encrypting first costs: the seconds of sealing alone as a share of a whole sealed add. */
import { randomBytes } from 'node:crypto';

import {
  createMemoryBlobStore,
  createX25519KeyWrap,
  encryptionKeyPairFromSeed,
  sealBlob,
  type BlobStore,
} from '#libs/storage';

import { percentile, significant, type BenchFigures } from './harness.ts';

const CHUNK_BYTES = 1024 * 1024;

/** Takes what is put and keeps nothing: what remains of an add is the sealing. */
function drainingStore(cid: string): BlobStore {
  return {
    ...createMemoryBlobStore(),
    async put(source) {
      let sizeBytes = 0;
      for await (const chunk of source as AsyncIterable<Uint8Array>) sizeBytes += chunk.length;
      return { cid, sizeBytes };
    },
  };
}

export async function sealedFigures(store: BlobStore, content: Buffer, rounds: number) {
  const randomness = { bytes: (length: number) => new Uint8Array(randomBytes(length)) };
  const { publicKey } = encryptionKeyPairFromSeed(randomness.bytes(32));
  const options = { recipients: [createX25519KeyWrap(publicKey, randomness)], randomness };
  const { cid } = await store.put(content.subarray(0, 1));
  const nowhere = drainingStore(cid);
  async function* chunks(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < content.length; at += CHUNK_BYTES)
      yield content.subarray(at, at + CHUNK_BYTES);
  }
  const seconds = async (target: BlobStore) => {
    const before = performance.now();
    await sealBlob(target, chunks(), options);
    return (performance.now() - before) / 1000;
  };
  const sealing: number[] = [];
  const adding: number[] = [];
  for (let round = 0; round <= rounds; round++) {
    const [alone, whole] = [await seconds(nowhere), await seconds(store)];
    if (round === 0) continue; // warm-up
    sealing.push(alone);
    adding.push(whole);
  }
  const median = (samples: readonly number[]) => percentile(samples, 0.5);
  return {
    encryptionShareOfAdd: significant(median(sealing) / median(adding), 3),
    encryptionMegabytesPerSecond: significant(content.length / 1e6 / median(sealing), 3),
  } satisfies BenchFigures;
}
