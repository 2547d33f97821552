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

class Meter implements FuelMeter {
  readonly limit: bigint;
  used = 0n;
  exhausted = false;

  constructor(limit: bigint) {
    this.limit = limit;
  }

  charge(fuel: bigint): void {
    if (fuel < 0n) throw ledgerError('LEDGER_CONTRACT_FAULT', `charge of ${fuel} fuel`);
    const used = this.used + fuel;
    this.used = used;
    if (used <= this.limit && !this.exhausted) return;
    this.used = this.limit;
    this.exhausted = true;
    throw ledgerError('LEDGER_OUT_OF_FUEL', `the limit of ${this.limit} fuel is used up`);
  }

  burnAll(): void {
    this.used = this.limit;
  }
}

export const createFuelMeter = (limit: bigint): FuelMeter => new Meter(limit);

/** Sums that are asked for again and again: making a bigint anew each time is most of metering. */
const KNOWN_LENGTHS = 512;
const priceList = (base: bigint, perByte: bigint) => {
  const known = Array.from(
    { length: KNOWN_LENGTHS },
    (_, length) => base + perByte * BigInt(length),
  );
  return (bytes: number): bigint => known[bytes] ?? base + perByte * BigInt(bytes);
};
/** Fuel for reading an entry whose value has so many bytes. */
export const fuelOfGet = priceList(FUEL.get, FUEL.getByte);
/** Fuel for writing an entry whose key and value have so many bytes together. */
export const fuelOfPut = priceList(FUEL.put, FUEL.putByte);
/** Fuel for an event whose data have so many bytes. */
export const fuelOfEvent = priceList(FUEL.event, FUEL.eventByte);
