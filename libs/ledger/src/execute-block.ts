/** One cut against one state: receipts, changed entries, fees paid out, money conserved. */
import { accountOf } from '#libs/crypto';
import { type SeeleError, hasCode, invariant } from '#libs/kernel';
import type { Receipt } from './block.ts';
import { ledgerError } from './errors.ts';
import {
  type BlockRun,
  LEDGER_STATE,
  executeTransaction,
  feeStorageOf,
  fuelPriceRule,
} from './execute-transaction.ts';
import type { FeePort } from './fees.ts';
import { FUEL_EXCESS_KEY, encodeFuelExcess, excessAfter, readFuelExcess } from './fuel-price.ts';
import type { OrderingRule } from './genesis.ts';
import type { StateChange } from './journal.ts';
import type { TransactionEnvelope } from './transaction.ts';

export interface DroppedTransaction {
  readonly transaction: TransactionEnvelope;
  readonly reason: SeeleError;
}

export interface BlockOutcome {
  readonly transactions: readonly TransactionEnvelope[];
  readonly receipts: readonly Receipt[];
  readonly dropped: readonly DroppedTransaction[];
  readonly fuelUsed: bigint;
  readonly changes: readonly StateChange[];
}

/** The account that earns the fees of every block. */
export function feeAccountOf(ordering: OrderingRule): string {
  return accountOf(ordering.sequencer);
}

/** Money that the changed entries hold after minus before; 0 when it is conserved. */
export function moneyCreated(fees: FeePort, changes: readonly StateChange[]): bigint {
  let created = 0n;
  for (const { contract, key, before, after } of changes) {
    if (contract !== fees.contract) continue;
    if (after !== undefined) created += fees.valueOf(key, after);
    if (before !== undefined) created -= fees.valueOf(key, before);
  }
  return created;
}

/** What this block's fuel does to the price of the next. */
function writeFuelExcess(
  { journal, block, limits, parentTimeUs }: BlockRun,
  fuelUsed: bigint,
): void {
  const { excess: before } = readFuelExcess(journal.get(LEDGER_STATE, FUEL_EXCESS_KEY));
  const { timeUs } = block;
  const excess = excessAfter(fuelPriceRule(limits), before, { parentTimeUs, timeUs, fuelUsed });
  if (excess === before && excess === 0n) return;
  journal.put(LEDGER_STATE, FUEL_EXCESS_KEY, encodeFuelExcess({ excess, timeUs }));
}

const invalidReceipt = (transaction: TransactionEnvelope, reason: SeeleError): Receipt => ({
  transaction: transaction.id,
  status: 'invalid',
  code: reason.code,
  message: reason.message.slice(0, 1_024),
  fuelUsed: 0n,
  fee: 0n,
  results: [],
  events: [],
});

/**
 * @param invalid what becomes of transactions that cannot be executed: left out, or kept with a
 *   receipt that says so
 * @throws LEDGER_BLOCK_INVALID over a block limit; LEDGER_CONTRACT_FAULT when an agreed transaction
 *   (`keep`) fails in a way that is not a result; KERNEL_INVARIANT when money was created
 */
export function executeBlock(
  run: BlockRun,
  cut: readonly TransactionEnvelope[],
  feeAccount: string,
  invalid: 'drop' | 'keep',
): BlockOutcome {
  const { journal, fees, limits, block } = run;
  const transactions: TransactionEnvelope[] = [];
  const receipts: Receipt[] = [];
  const dropped: DroppedTransaction[] = [];
  let fuelUsed = 0n;
  let feesPaid = 0n;
  let sizeBytes = 0;
  const setAside = (transaction: TransactionEnvelope, reason: SeeleError): void => {
    if (invalid === 'drop') {
      dropped.push({ transaction, reason });
      return;
    }
    transactions.push(transaction);
    receipts.push(invalidReceipt(transaction, reason));
  };
  for (const transaction of cut) {
    sizeBytes += transaction.bytes.length;
    try {
      const outcome = executeTransaction(run, transaction, limits.blockFuel - fuelUsed);
      if (!outcome.executed) {
        setAside(transaction, outcome.refusal);
        continue;
      }
      fuelUsed += outcome.receipt.fuelUsed;
      feesPaid += outcome.receipt.fee;
      transactions.push(transaction);
      receipts.push(outcome.receipt);
    } catch (error) {
      // A host fault is never a result: a block that others agreed on must not go on from here.
      if (invalid === 'keep' || !hasCode(error, 'LEDGER_CONTRACT_FAULT')) throw error;
      dropped.push({ transaction, reason: error as SeeleError });
    }
  }
  if (sizeBytes > limits.blockBytes || cut.length > limits.blockTransactions)
    throw ledgerError(
      'LEDGER_BLOCK_INVALID',
      `${cut.length} transactions of ${sizeBytes} bytes are over the limits of a block`,
    );
  writeFuelExcess(run, fuelUsed);
  if (feesPaid > 0n) fees.refund(feeStorageOf(journal, fees), feeAccount, feesPaid);
  const changes = journal.changes();
  const created = moneyCreated(fees, changes);
  invariant(created === 0n, `block ${block.height} would create ${created} units of money`);
  return { transactions, receipts, dropped, fuelUsed, changes };
}
