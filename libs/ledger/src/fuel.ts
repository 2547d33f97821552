/**
 * Fuel: what execution costs. One fuel stands for at most 0.33 ns of the metered engine; the prices of
 * host operations follow what they cost the node (a write moves a path of the state tree).
 */
import { ledgerError } from './errors.ts';

export const FUEL = {
  /** Every transaction: signature check, nonce, fee, receipt. */
  transaction: 50_000n,
  transactionByte: 50n,
  /** Entering a frame: a top-level or nested call. */
  call: 20_000n,
  get: 20_000n,
  getByte: 10n,
  put: 50_000n,
  putByte: 100n,
  delete: 20_000n,
  scan: 20_000n,
  scanEntry: 5_000n,
  event: 10_000n,
  eventByte: 20n,
  verify: 1_000_000n,
} as const;

/** The tank of one transaction, shared by its frames. */
export interface FuelMeter {
  readonly limit: bigint;
  readonly used: bigint;
  /** True once the tank ran dry; the transaction then traps whatever the contract does. */
  readonly exhausted: boolean;
  /** @throws LEDGER_OUT_OF_FUEL */
  charge(fuel: bigint): void;
  /** Burns what is left: a trap costs the whole limit. */
  burnAll(): void;
}

export function createFuelMeter(limit: bigint): FuelMeter {
  let used = 0n;
  let exhausted = false;
  return {
    limit,
    get used() {
      return used;
    },
    get exhausted() {
      return exhausted;
    },
    charge(fuel) {
      if (fuel < 0n) throw ledgerError('LEDGER_CONTRACT_FAULT', `charge of ${fuel} fuel`);
      used += fuel;
      if (used <= limit && !exhausted) return;
      used = limit;
      exhausted = true;
      throw ledgerError('LEDGER_OUT_OF_FUEL', `the limit of ${limit} fuel is used up`);
    },
    burnAll() {
      used = limit;
    },
  };
}
