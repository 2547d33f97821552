/**
 * What a chain is born with. The hash of its canonical bytes is the genesis id: the chain's identity
 * and the only thing that a light client has to trust.
 */
import {
  type Bytes,
  type CodecValue,
  decodeWith,
  encodeWith,
  hash32,
  hexBytes,
  list,
  record,
  text,
  u64,
  uint,
  variant,
} from '#libs/kernel';
import type { GenesisParameters } from './contract.ts';
import { edaOrdering } from './eda-ordering.ts';

export const GENESIS_DOMAIN = 'seele/genesis/1';
export const GENESIS_MAX_BYTES = 64 * 1024 * 1024;

/** Who orders transactions. `solo`: one sequencer, for development only. */
export const orderingRule = variant({
  solo: record({ sequencer: hexBytes(33) }),
  /** EDA consensus of validators. */
  eda: edaOrdering,
});
export type OrderingRule = CodecValue<typeof orderingRule>;

export const genesis = record({
  chainName: text(64),
  /** Time of block 0, µs since the Unix epoch. */
  timeUs: uint(),
  ordering: orderingRule,
  parameters: record({
    allocations: list(record({ account: hash32, amount: u64 }), 1_000_000),
    settings: list(record({ name: text(64), value: u64 }), 1_000),
  }),
});
export type Genesis = CodecValue<typeof genesis>;

export function encodeGenesis(value: Genesis): Bytes {
  return encodeWith(genesis, value);
}

/** @throws KERNEL_CBOR_INVALID, KERNEL_CBOR_LIMIT or KERNEL_SHAPE */
export function decodeGenesis(bytes: Bytes): Genesis {
  return decodeWith(genesis, bytes, { maxBytes: GENESIS_MAX_BYTES });
}

/** A genesis setting by name, e.g. `ledger.blockFuel`. */
export function genesisSetting(
  parameters: GenesisParameters,
  name: string,
  preset: bigint,
): bigint {
  return parameters.settings.find((setting) => setting.name === name)?.value ?? preset;
}

/** Limits of a chain; each may be set in genesis as `ledger.<name>`. */
export interface ChainLimits {
  /** Fuel that one block may burn. */
  readonly blockFuel: bigint;
  /** Bytes of transactions that one block may hold. */
  readonly blockBytes: number;
  /** Transactions that one block may hold. */
  readonly blockTransactions: number;
  /** Fuel that one transaction may ask for. */
  readonly transactionFuel: bigint;
  /** Smallest accepted fuel price, smallest money units per fuel; load moves it up. */
  readonly minimumFuelPrice: bigint;
  /** Fuel per second at which the price stays as it is. */
  readonly targetFuelPerSecond: bigint;
}

export function chainLimits(parameters: GenesisParameters): ChainLimits {
  return {
    blockFuel: genesisSetting(parameters, 'ledger.blockFuel', 2_000_000_000n),
    blockBytes: Number(genesisSetting(parameters, 'ledger.blockBytes', 4_000_000n)),
    blockTransactions: Number(genesisSetting(parameters, 'ledger.blockTransactions', 8_000n)),
    transactionFuel: genesisSetting(parameters, 'ledger.transactionFuel', 100_000_000n),
    minimumFuelPrice: genesisSetting(parameters, 'ledger.minimumFuelPrice', 1n),
    targetFuelPerSecond: genesisSetting(parameters, 'ledger.targetFuelPerSecond', 1_500_000_000n),
  };
}
