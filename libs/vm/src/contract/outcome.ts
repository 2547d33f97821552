/** How a contract frame ended, whichever language it was written in. */
import type { Bytes } from '#libs/kernel';
import type { TrapCause } from '../wasm/metered-instance.ts';
import type { ContractHost } from './host.ts';

export interface ContractCall {
  readonly method: string;
  /** Canonical CBOR list of arguments. */
  readonly args: Bytes;
  readonly fuel: bigint;
  readonly host: ContractHost;
}

/** A revert returns unused fuel; a trap burns the frame's fuel. */
export type ContractOutcome =
  | { readonly kind: 'returned'; readonly data: Bytes; readonly fuelUsed: bigint }
  | {
      readonly kind: 'reverted';
      readonly code: string;
      readonly message: string;
      readonly fuelUsed: bigint;
    }
  | {
      readonly kind: 'trapped';
      readonly cause: TrapCause;
      readonly message: string;
      readonly fuelUsed: bigint;
    };

/** A loaded user contract; any number of calls, each from the state right after loading. */
export interface UserContract {
  /** What loading cost; paid by whoever deploys. */
  readonly loadFuelUsed: bigint;
  /** What it keeps in memory, about; for caches. */
  readonly residentBytes: number;
  /** One that can run while this one does. */
  fork(): UserContract;
  /** Gives back what the last call took beyond what the next one needs. */
  rest(): void;
  call(call: ContractCall): ContractOutcome;
}

/**
 * Counted stack of one frame. Sixteen nested frames must fit the real stack of the thread that runs
 * them, of which a counted byte takes at most four (docs/decisions).
 */
export const CONTRACT_STACK_BYTES = 2 * 1024 * 1024;

/** What loading may cost at most. */
export const LOAD_FUEL_MAX = 2_000_000_000n;

/** Names that a transaction may call; others are the contract's own business. */
export const METHOD_NAME = /^[a-z][A-Za-z0-9]{0,63}$/;
