/**
 * Money: `bigint` of the smallest unit everywhere, nine decimals; only the CLI and the console read
 * and show decimal numbers. JSON carries the smallest unit as a decimal string.
 */
import { kernelError } from './errors.ts';

export const AMOUNT_DECIMALS = 9;
/** One token in smallest units. */
export const TOKEN = 10n ** BigInt(AMOUNT_DECIMALS);
/** No balance and no supply exceeds this, so amounts always fit 64 bits. */
export const AMOUNT_MAX = (1n << 63n) - 1n;

const DECIMAL = /^(0|[1-9]\d{0,18})(?:\.(\d{1,9}))?$/;
const SMALLEST_UNITS = /^(0|[1-9]\d{0,18})$/;

function checkedAmount(amount: bigint, input: string): bigint {
  if (amount > AMOUNT_MAX)
    throw kernelError('KERNEL_AMOUNT_INVALID', `${JSON.stringify(input)} is more than can exist`);
  return amount;
}

/** Reads what a person typed: `12.5` tokens. @throws KERNEL_AMOUNT_INVALID */
export function parseAmount(input: string): bigint {
  const match = DECIMAL.exec(input.trim());
  if (!match)
    throw kernelError('KERNEL_AMOUNT_INVALID', `${JSON.stringify(input)} is not an amount`);
  const fraction = (match[2] ?? '').padEnd(AMOUNT_DECIMALS, '0');
  return checkedAmount(BigInt(match[1] as string) * TOKEN + BigInt(fraction), input);
}

/** Shows an amount to a person: at least two decimals, no trailing zeros beyond them. */
export function formatAmount(amount: bigint): string {
  const sign = amount < 0n ? '-' : '';
  const absolute = amount < 0n ? -amount : amount;
  const fraction = (absolute % TOKEN).toString().padStart(AMOUNT_DECIMALS, '0');
  const shown = fraction.replace(/0+$/, '').padEnd(2, '0');
  return `${sign}${absolute / TOKEN}.${shown}`;
}

/** Reads the JSON form: smallest units as a decimal string. @throws KERNEL_AMOUNT_INVALID */
export function parseUnits(input: string): bigint {
  if (!SMALLEST_UNITS.test(input))
    throw kernelError('KERNEL_AMOUNT_INVALID', `${JSON.stringify(input)} is not a whole amount`);
  return checkedAmount(BigInt(input), input);
}
