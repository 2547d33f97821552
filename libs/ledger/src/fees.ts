/**
 * How the ledger takes fees and checks that money is conserved without knowing the token contract:
 * the contract that keeps balances implements this port over its own storage.
 */
import type { AccountId, Bytes } from '#libs/kernel';

/** Unmetered access to the storage of the contract that keeps balances. */
export interface FeeStorage {
  get(key: Bytes): Bytes | undefined;
  put(key: Bytes, value: Bytes): void;
  delete(key: Bytes): void;
}

export interface FeePort {
  /** Name of the contract that keeps balances, e.g. `token`; its storage is handed in below. */
  readonly contract: string;
  balanceOf(storage: Pick<FeeStorage, 'get'>, account: AccountId): bigint;
  /** Takes `amount` (≥ 0) from the account; false, and nothing changed, when it has less. */
  charge(storage: FeeStorage, account: AccountId, amount: bigint): boolean;
  /** Gives `amount` (≥ 0) to the account: unused fuel to its payer, fees to the sequencer. */
  refund(storage: FeeStorage, account: AccountId, amount: bigint): void;
  /**
   * Money that one stored entry stands for, 0 for entries that hold none (allowances, supply). After
   * every block the ledger asserts that the sum over all changed entries has not changed.
   */
  valueOf(key: Bytes, value: Bytes): bigint;
}
