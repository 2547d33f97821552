/** What the market asks of a chain node. */
import type { AccountId, Bytes } from '#libs/kernel';
import type { Block, Genesis, Receipt, StateProof, TransactionEnvelope } from '#libs/ledger';

export interface FinalBlock {
  readonly block: Block;
  /** Receipts of its transactions, in order. */
  readonly receipts: readonly Receipt[];
}

export type SubmitOutcome =
  | { readonly accepted: true }
  | { readonly accepted: false; readonly code: string };

/** Every method rejects when the node cannot be reached. */
export interface ChainNode {
  /** Genesis id, hex, and the height of the last final block. */
  status(): Promise<{ readonly chain: string; readonly height: number }>;
  genesis(): Promise<Genesis>;
  /** Next nonce of an account by final blocks, and a height it was true at or before. */
  nonce(account: AccountId): Promise<{ readonly nonce: number; readonly height: number }>;
  /** A final value, and the very height it was read at. */
  state(
    contract: string,
    key: Bytes,
  ): Promise<{ readonly value: Bytes | undefined; readonly height: number }>;
  prove(contract: string, key: Bytes): Promise<StateProof>;
  /** Posts transactions in order; one outcome each. */
  submit(transactions: readonly TransactionEnvelope[]): Promise<readonly SubmitOutcome[]>;
  /** Final blocks from a height on, in order, without end; ends or throws when the node goes. */
  blocks(fromHeight: number, signal: AbortSignal): AsyncIterable<FinalBlock>;
}
