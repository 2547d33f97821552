/**
 * The ordering port: who decides which transactions come next, and who vouches for the result. A cut
 * is decided before execution (as in EDA: order first, execute after), the certificate attests the
 * header that execution gave.
 */
import type { Certificate, Header } from './block.ts';
import type { TransactionEnvelope } from './transaction.ts';

/** What the ordering decided for one height. */
export interface Cut {
  readonly height: number;
  /** Hash of the header this cut follows. */
  readonly parent: string;
  /** Not before the parent's time. */
  readonly timeUs: number;
  readonly transactions: readonly TransactionEnvelope[];
  /** Hash of the ordering's own record of the decision, copied into the header. */
  readonly decision?: string;
}

/**
 * What becomes of transactions of a cut that cannot be executed. `drop` (the only sequencer decides):
 * left out, together with those that make a contract fail. `skip` (others agreed on the cut): left out,
 * but a fault of the host stops the chain. `keep` (a block that somebody else made): kept as `invalid`.
 */
export type InvalidTransactions = 'drop' | 'skip' | 'keep';

/** Narrows a selection further than the limits of a block. */
export interface SelectionRoom {
  /** Transactions that are on their way already. */
  readonly isTaken: (id: string) => boolean;
  readonly transactions: number;
  readonly bytes: number;
}

/** Where an ordering takes waiting transactions from; a mempool is one. */
export interface TransactionSource {
  /** The best waiting transactions that fit one block of this time; they keep waiting. */
  select(timeUs: number, room?: SelectionRoom): readonly TransactionEnvelope[];
}

export interface OrderingPort {
  readonly kind: string;
  /** What an operator has to know about this ordering; shown at start and in the status. */
  readonly notice: string;
  readonly invalidTransactions: InvalidTransactions;
  /** The next cut, or undefined while there is nothing to order. */
  nextCut(
    parent: { readonly header: Header; readonly hash: string },
    source: TransactionSource,
    nowUs: number,
  ): Promise<Cut | undefined> | Cut | undefined;
  /** Vouches for the executed header. */
  certify(header: Header): Promise<Certificate> | Certificate;
}
