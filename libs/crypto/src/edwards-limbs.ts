/** Numbers mod p = 2^255 − 19 in five limbs of 51 bits, as doubles. */
import type { Bytes } from '#libs/kernel';

export const LIMB = 2 ** 51;

/** The lowest limb first. */
export type Limbs = Float64Array;

/** Limbs of the 255 low bits of 32 bytes, little-endian. */
export function limbsOf(bytes: Bytes, at: number, out: Limbs): void {
  const word = (i: number): number => {
    const from = at + 4 * i;
    return (
      (bytes[from] as number) +
      (bytes[from + 1] as number) * 2 ** 8 +
      (bytes[from + 2] as number) * 2 ** 16 +
      (bytes[from + 3] as number) * 2 ** 24
    );
  };
  const [w1, w3, w4, w6] = [word(1), word(3), word(4), word(6)];
  out[0] = word(0) + (w1 & 0x7_ff_ff) * 2 ** 32;
  out[1] = (w1 >>> 19) + word(2) * 2 ** 13 + (w3 & 0x3f) * 2 ** 45;
  out[2] = (w3 >>> 6) + (w4 & 0x1_ff_ff_ff) * 2 ** 26;
  out[3] = (w4 >>> 25) + word(5) * 2 ** 7 + (w6 & 0xfff) * 2 ** 39;
  out[4] = (w6 >>> 12) + (word(7) & 0x7f_ff_ff_ff) * 2 ** 20;
}

/** Limbs between −2^51 and 2^51, made those of the least number they are mod p: each from 0 to 2^51 − 1. */
export function freeze(limbs: Limbs): void {
  // Two times p makes every limb positive.
  for (let i = 0; i < limbs.length; i++)
    limbs[i] = (limbs[i] as number) + (2 * LIMB - (i === 0 ? 38 : 2));
  for (let round = 0; round < 2; round++) {
    let carry = 0;
    for (let i = 0; i < limbs.length; i++) {
      const sum = (limbs[i] as number) + carry;
      carry = Math.floor(sum / LIMB);
      limbs[i] = sum - carry * LIMB;
    }
    limbs[0] = (limbs[0] as number) + 19 * carry;
  }
  for (let i = 1; i < limbs.length; i++) if (limbs[i] !== LIMB - 1) return;
  if ((limbs[0] as number) >= LIMB - 19) {
    limbs[0] = (limbs[0] as number) - (LIMB - 19);
    limbs.fill(0, 1);
  }
}
