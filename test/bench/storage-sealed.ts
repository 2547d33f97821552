/** What encrypting first costs: sealing alone as a share of a whole sealed add. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';

import {
  createMemoryBlobStore,
  createX25519KeyWrap,
  encryptionKeyPairFromSeed,
  sealBlob,
  type BlobStore,
} from '#libs/storage';

import { cpuSeconds, percentile, significant, type BenchFigures } from './harness.ts';

const CHUNK_BYTES = 1024 * 1024;
/** The first ones pay for compiling and for memory that later ones find again. */
const WARM_UP = 2;
/**
 * Sealing alone takes a few hundredths of a second, so one collection of what the add before it left behind would
 * be a third of it: it is done so often in each round, and the middle one counts.
 */
const ALONE_TRIES = 5;

interface Spent {
  readonly seconds: number;
  readonly cpuSeconds: number;
}

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

/** CPU seconds of another process so far; undefined where the system does not tell. */
function cpuSecondsOf(pid: number): number | undefined {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    // utime and stime, in ticks of a hundredth of a second.
    return (Number(fields[11]) + Number(fields[12])) / 100;
  } catch {
    return undefined;
  }
}

/**
 * Sealing alone and the whole sealed add take turns, since a machine is not equally fast from second to
 * second: the share is the median of the rounds' shares, and of each round sealing alone is the middle of
 * several. The content is so long that what an add costs
 * whatever its length (commit, pin, wrapped keys) does not decide.
 */
export async function sealedFigures(
  store: BlobStore,
  content: Buffer,
  { rounds, pid }: { readonly rounds: number; readonly pid: number },
) {
  const randomness = { bytes: (length: number) => new Uint8Array(randomBytes(length)) };
  const { publicKey } = encryptionKeyPairFromSeed(randomness.bytes(32));
  const options = { recipients: [createX25519KeyWrap(publicKey, randomness)], randomness };
  const { cid } = await store.put(content.subarray(0, 1));
  const nowhere = drainingStore(cid);
  async function* chunks(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < content.length; at += CHUNK_BYTES)
      yield content.subarray(at, at + CHUNK_BYTES);
  }
  const spent = async (target: BlobStore) => {
    const [before, cpuBefore, itsBefore] = [performance.now(), cpuSeconds(), cpuSecondsOf(pid)];
    await sealBlob(target, chunks(), options);
    const its = target === store ? (cpuSecondsOf(pid) ?? NaN) - (itsBefore ?? NaN) : 0;
    return {
      seconds: (performance.now() - before) / 1000,
      cpuSeconds: cpuSeconds() - cpuBefore + its,
    };
  };
  const alone = async (): Promise<Spent> => {
    const tries: Spent[] = [];
    for (let i = 0; i < ALONE_TRIES; i++) tries.push(await spent(nowhere));
    const middle = (of: (one: Spent) => number) => percentile(tries.map(of), 0.5);
    return { seconds: middle((one) => one.seconds), cpuSeconds: middle((one) => one.cpuSeconds) };
  };
  const taken: { readonly alone: Spent; readonly whole: Spent }[] = [];
  for (let round = -WARM_UP; round < rounds; round++) {
    const one =
      round % 2 === 0
        ? { alone: await alone(), whole: await spent(store) }
        : await spent(store).then(async (whole) => ({ whole, alone: await alone() }));
    if (round >= 0) taken.push(one);
  }
  const median = (of: (one: (typeof taken)[number]) => number) => percentile(taken.map(of), 0.5);
  const sum = (of: (one: (typeof taken)[number]) => number) =>
    taken.reduce((total, one) => total + of(one), 0);
  const cpuShare = sum(({ alone }) => alone.cpuSeconds) / sum(({ whole }) => whole.cpuSeconds);
  return {
    encryptionShareOfAdd: significant(
      median(({ alone, whole }) => alone.seconds / whole.seconds),
      3,
    ),
    encryptionCpuShareOfAdd: Number.isFinite(cpuShare) ? significant(cpuShare, 3) : null,
    encryptionMegabytesPerSecond: significant(
      content.length / 1e6 / median(({ alone }) => alone.seconds),
      3,
    ),
    encryptionAddMegabytes: content.length / 1e6,
    encryptionRounds: rounds,
    encryptionAloneTriesPerRound: ALONE_TRIES,
  } satisfies BenchFigures;
}
