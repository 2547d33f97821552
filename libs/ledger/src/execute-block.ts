/** One cut against one state: receipts, changed entries, fees paid out, money conserved. */
import { type SeeleError, hasCode, invariant } from '#libs/kernel';
import type { Receipt } from './block.ts';
import { ERA_KEY, encodeEra } from './eras.ts';
import { ledgerError } from './errors.ts';
import {
  type BlockRun,
  LEDGER_STATE,
  executeTransaction,
  feeStorageOf,
  fuelPriceRule,
} from './execute-transaction.ts';
import { type FeeShare, divideFees } from './eda-ordering.ts';
import type { FeePort } from './fees.ts';
import { FUEL_EXCESS_KEY, encodeFuelExcess, excessAfter, readFuelExcess } from './fuel-price.ts';
import type { StateChange } from './journal.ts';
import type { InvalidTransactions } from './ordering.ts';
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

/** Whether one more transaction, with which they have so many bytes, is too much for a block. */
function isFull(limits: BlockRun['limits'], transactions: number, sizeBytes: number): boolean {
  return transactions >= limits.blockTransactions || sizeBytes > limits.blockBytes;
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
 * @throws LEDGER_BLOCK_INVALID over a block limit (`skip` leaves out what is too much);
 *   LEDGER_CONTRACT_FAULT when an agreed transaction (`keep`, `skip`) fails in a way that is not a
 *   result; KERNEL_INVARIANT when money was created
 */
export function executeBlock(
  run: BlockRun,
  cut: readonly TransactionEnvelope[],
  feeShares: readonly FeeShare[],
  invalid: InvalidTransactions,
): BlockOutcome {
  const { journal, fees, limits, block } = run;
  const transactions: TransactionEnvelope[] = [];
  const receipts: Receipt[] = [];
  const dropped: DroppedTransaction[] = [];
  let fuelUsed = 0n;
  let feesPaid = 0n;
  let sizeBytes = 0;
  const setAside = (transaction: TransactionEnvelope, reason: SeeleError): void => {
    if (invalid !== 'keep') {
      dropped.push({ transaction, reason });
      return;
    }
    transactions.push(transaction);
    receipts.push(invalidReceipt(transaction, reason));
  };
  for (const transaction of cut) {
    if (
      invalid === 'skip' &&
      isFull(limits, transactions.length, sizeBytes + transaction.bytes.length)
    ) {
      const reason = ledgerError('LEDGER_BLOCK_FULL', `block ${block.height} is full`);
      dropped.push({ transaction, reason });
      continue;
    }
    sizeBytes += transaction.bytes.length;
    journal.settle();
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
      if (invalid !== 'drop' || !hasCode(error, 'LEDGER_CONTRACT_FAULT')) throw error;
      dropped.push({ transaction, reason: error as SeeleError });
    }
  }
  if (invalid !== 'skip' && isFull(limits, cut.length - 1, sizeBytes))
    throw ledgerError(
      'LEDGER_BLOCK_INVALID',
      `${cut.length} transactions of ${sizeBytes} bytes are over the limits of a block`,
    );
  writeFuelExcess(run, fuelUsed);
  if (block.era !== run.era) journal.put(LEDGER_STATE, ERA_KEY, encodeEra(block.era));
  if (feesPaid > 0n)
    for (const { account, amount } of divideFees(feesPaid, feeShares))
      fees.refund(feeStorageOf(journal, fees), account, amount);
  const changes = journal.changes();
  const created = moneyCreated(fees, changes);
  invariant(created === 0n, `block ${block.height} would create ${created} units of money`);
  return { transactions, receipts, dropped, fuelUsed, changes };
}
