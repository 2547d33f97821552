/** The engine on WebAssembly SIMD. Rows pass through a small memory strip by strip. */
import type { Bytes } from '#libs/kernel';

import type { Engine } from './engine.ts';
import { multiply, type Matrix } from './galois-field.ts';
import { kernelModule, STEP_BYTES } from './kernel-module.ts';

const PAGE_BYTES = 65_536;
const PAGES = 32;
const TABLE_BYTES = 32;
/** The strips of all rows of 10+6 fit a second-level cache of 256 KiB. */
const MAX_STRIP_BYTES = 16 * 1024;

type Combine = (
  out: number,
  input: number,
  stride: number,
  tables: number,
  count: number,
  length: number,
) => void;

function writeTables(memory: Bytes, matrix: Matrix): void {
  let at = 0;
  for (const row of matrix)
    for (const factor of row) {
      for (let half = 0; half < 16; half++) {
        memory[at + half] = multiply(half, factor);
        memory[at + 16 + half] = multiply(half << 4, factor);
      }
      at += TABLE_BYTES;
    }
}

/** Undefined where there is no WebAssembly, or one without SIMD. */
export function createSimdEngine(): Engine | undefined {
  let combineStrip: Combine;
  let memory: Bytes;
  try {
    const own = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES });
    const module = new WebAssembly.Module(kernelModule(PAGES) as Uint8Array<ArrayBuffer>);
    const { exports } = new WebAssembly.Instance(module, { e: { memory: own } });
    combineStrip = exports['combine'] as Combine;
    memory = new Uint8Array(own.buffer);
  } catch {
    return undefined;
  }
  return {
    name: 'simd',
    combine(matrix, inputs, outputs) {
      const length = inputs[0]?.length ?? 0;
      writeTables(memory, matrix);
      const rows = inputs.length + 1;
      const start = matrix.length * inputs.length * TABLE_BYTES;
      const room = Math.floor((PAGES * PAGE_BYTES - start) / rows / STEP_BYTES) * STEP_BYTES;
      const stride = Math.min(MAX_STRIP_BYTES, room);
      const out = start + inputs.length * stride;
      for (let at = 0; at < length; at += stride) {
        const end = Math.min(at + stride, length);
        const strip = Math.ceil((end - at) / STEP_BYTES) * STEP_BYTES; // the rest is old and unread
        for (const [i, input] of inputs.entries())
          memory.set(input.subarray(at, end), start + i * stride);
        for (const [r, output] of outputs.entries()) {
          const tables = r * inputs.length * TABLE_BYTES;
          combineStrip(out, start, stride, tables, inputs.length, strip);
          output.set(memory.subarray(out, out + end - at), at);
        }
      }
    },
  };
}
