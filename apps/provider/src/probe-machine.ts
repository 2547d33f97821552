/** What this machine is: measured or asked of the kernel, never configured. */
import { createHash } from 'node:crypto';
import { statfs } from 'node:fs/promises';
import { availableParallelism, machine, release, totalmem, type } from 'node:os';

export interface MachineFacts {
  readonly cores: number;
  readonly memoryBytes: number;
  /** Free space where the provider keeps its data. */
  readonly diskBytes: number;
  readonly architecture: string;
  readonly kernel: string;
  readonly node: string;
  /** SHA-256 of 1 KiB blocks per second on one core, best of a few short rounds. */
  readonly benchmarkScore: number;
}

const ROUND_MS = 25;
const ROUNDS = 4;

/** Blocks until done, about 100 ms: a short single-core score, not a promise. */
export function benchmarkScore(): number {
  const block = new Uint8Array(1024);
  let best = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const startedAt = performance.now();
    let blocks = 0;
    let elapsedMs = 0;
    do {
      for (let i = 0; i < 64; i++) createHash('sha256').update(block).digest();
      blocks += 64;
      elapsedMs = performance.now() - startedAt;
    } while (elapsedMs < ROUND_MS);
    best = Math.max(best, (blocks * 1000) / elapsedMs);
  }
  return Math.round(best);
}

export async function probeMachine(folder: string): Promise<MachineFacts> {
  const disk = await statfs(folder);
  // A container's limit counts, where there is one.
  const limit = process.constrainedMemory();
  const total = totalmem();
  return {
    cores: availableParallelism(),
    memoryBytes: limit > 0 && limit < total ? limit : total,
    diskBytes: disk.bavail * disk.bsize,
    architecture: machine(),
    kernel: `${type()} ${release()}`,
    node: process.version,
    benchmarkScore: benchmarkScore(),
  };
}
