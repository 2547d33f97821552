/** Products of a matrix over GF(2^8) with rows of bytes: the work of encoding and of rebuilding. */
import type { Bytes } from '#libs/kernel';

import { multiply, type Matrix } from './galois-field.ts';

export interface Engine {
  readonly name: 'simd' | 'scalar';
  /**
   * outputs[r] = Σ matrix[r][i] · inputs[i]. All inputs and outputs have one length; the matrix has a
   * row for each output and a column for each input.
   */
  combine(matrix: Matrix, inputs: readonly Bytes[], outputs: readonly Bytes[]): void;
}

/** The reference: plain loops over a table of products. Slow (about 50 MB/s for 10+6), and everywhere. */
export function createScalarEngine(): Engine {
  const products = new Uint8Array(256);
  return {
    name: 'scalar',
    combine(matrix, inputs, outputs) {
      for (const [r, out] of outputs.entries()) {
        out.fill(0);
        for (const [i, input] of inputs.entries()) {
          const factor = (matrix[r] as Bytes)[i] as number;
          if (factor === 0) continue;
          for (let value = 0; value < 256; value++) products[value] = multiply(value, factor);
          for (let at = 0; at < out.length; at++)
            out[at] = (out[at] as number) ^ (products[input[at] as number] as number);
        }
      }
    },
  };
}
