/** How much memory the storage process ever took while a gigabyte went in and came out again. */
import { readFileSync } from 'node:fs';
import type { BlobStore } from '#libs/storage';
import { startStorage, type StorageProcess } from '../e2e/storage-process.ts';
import { type BenchFigures, significant } from './harness.ts';

const TOTAL_BYTES = 1_000_000_000;
const PART_BYTES = 1_000_000;

export interface MemoryResult {
  readonly figures: BenchFigures;
  /** Why the figure is null. */
  readonly skipped?: string;
}

/** VmHWM of a process in MB (10^6 bytes); undefined where the system does not tell. */
function residentMb(pid: number): number | undefined {
  try {
    const match = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
    return match ? (Number(match[1]) * 1024) / 1e6 : undefined;
  } catch {
    return undefined;
  }
}

export async function memoryFigures(
  open: (storage: StorageProcess) => BlobStore,
  content: (length: number, seed: number) => Buffer,
  { full, seed }: { readonly full: boolean; readonly seed: number },
): Promise<MemoryResult> {
  const none = (skipped: string) => ({ figures: { residentMbAt1Gb: null }, skipped });
  if (!full) return none('a gigabyte is added and read under --full only');
  async function* source(): AsyncGenerator<Buffer> {
    for (let at = 0; at < TOTAL_BYTES; at += PART_BYTES) yield content(PART_BYTES, seed + at);
  }
  const storage = await startStorage({ env: { SEELE_STORAGE_SWARM: 'off' } });
  const store = open(storage);
  try {
    const { cid } = await store.put(source());
    let read = 0;
    for await (const part of store.get(cid)) read += part.length;
    if (read !== TOTAL_BYTES) throw new Error(`read ${read} bytes`);
    const resident = residentMb(storage.pid);
    if (resident === undefined) return none('this system does not tell VmHWM of a process');
    return { figures: { residentMbAt1Gb: significant(resident, 3) } };
  } finally {
    await store.close();
    await storage.discard();
  }
}
