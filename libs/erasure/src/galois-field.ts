/**
 * GF(2^8) with the polynomial x^8 + x^4 + x^3 + x^2 + 1 (0x11d), the one of most Reed–Solomon codes.
 * Addition is exclusive or; multiplication goes through logarithms of the generator 2.
 */
import type { Bytes } from '#libs/kernel';

const POLYNOMIAL = 0x11d;
const ORDER = 255;

const exponentials = new Uint8Array(2 * ORDER);
const logarithms = new Uint8Array(256);
for (let power = 0, value = 1; power < ORDER; power++) {
  exponentials[power] = value;
  exponentials[power + ORDER] = value;
  logarithms[value] = power;
  value <<= 1;
  if (value > 255) value ^= POLYNOMIAL;
}

/** Product of two elements. */
export function multiply(a: number, b: number): number {
  if (a === 0 || b === 0) return 0;
  return exponentials[(logarithms[a] as number) + (logarithms[b] as number)] as number;
}

/** The element whose product with `a` is 1; `a` is not 0. */
export function inverse(a: number): number {
  return exponentials[ORDER - (logarithms[a] as number)] as number;
}

/** A matrix by rows. */
export type Matrix = readonly Bytes[];

/** The inverse of a square matrix (Gauss–Jordan), or undefined when it has none. */
export function invert(matrix: Matrix): Matrix | undefined {
  const size = matrix.length;
  const rows: Bytes[] = matrix.map((row, i) => {
    const wide = new Uint8Array(2 * size);
    wide.set(row);
    wide[size + i] = 1;
    return wide;
  });
  for (let column = 0; column < size; column++) {
    const pivot = rows.findIndex((row, i) => i >= column && row[column] !== 0);
    if (pivot < 0) return undefined;
    const row = rows[pivot] as Bytes;
    rows[pivot] = rows[column] as Bytes;
    rows[column] = row;
    scale(row, inverse(row[column] as number));
    for (const [i, other] of rows.entries())
      if (i !== column) addScaled(other, row, other[column] as number);
  }
  return rows.map((row) => row.subarray(size));
}

function scale(row: Bytes, factor: number): void {
  for (let i = 0; i < row.length; i++) row[i] = multiply(row[i] as number, factor);
}

function addScaled(target: Bytes, row: Bytes, factor: number): void {
  if (factor === 0) return;
  for (let i = 0; i < row.length; i++)
    target[i] = (target[i] as number) ^ multiply(row[i] as number, factor);
}
