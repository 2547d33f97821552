/** Watches the free space under a directory: LMDB reports a full disk as a mere input/output error. */
import { statfsSync } from 'node:fs';
import type { SeeleError } from '#libs/kernel';
import { storeError } from '#libs/store';

const CHECK_EVERY_MS = 1_000;

/** Undefined while more than `reserveBytes` are free; looked at once a second at most. */
export function watchDiskSpace(path: string, reserveBytes: number): () => SeeleError | undefined {
  let checkedAt = Number.NEGATIVE_INFINITY;
  let refusal: SeeleError | undefined;
  return () => {
    const now = performance.now();
    if (now - checkedAt < CHECK_EVERY_MS) return refusal;
    checkedAt = now;
    const { bavail, bsize } = statfsSync(path);
    const freeBytes = bavail * bsize;
    refusal =
      freeBytes < reserveBytes
        ? storeError(
            'STORE_FULL',
            `${path} has ${freeBytes} bytes free, ${reserveBytes} are needed`,
          )
        : undefined;
    return refusal;
  };
}
