/**
 * One transaction against one journal: admission rules, nonce, fee, calls. Whoever executes the same
 * transactions on the same state gets the same receipts and the same state.
 */
import {
  type AccountId,
  type Bytes,
  type SeeleError,
  concatBytes,
  decodeWith,
  encodeWith,
  hexToBytes,
  madeOnce,
  uint,
  utf8,
} from '#libs/kernel';
import type { LedgerEvent, Receipt } from './block.ts';
import type { BlockContext } from './contract.ts';
import { ledgerError } from './errors.ts';
import type { FeePort, FeeStorage } from './fees.ts';
import { FUEL_EXCESS_KEY, type FuelPriceRule, fuelPriceAt, readFuelExcess } from './fuel-price.ts';
import { FUEL, createFuelMeter } from './fuel.ts';
import type { ChainLimits } from './genesis.ts';
import type { StateJournal } from './journal.ts';
import type { CallFailure } from './frames.ts';
import type { Machine } from './machine.ts';
import type { TransactionEnvelope } from './transaction.ts';
import { UserRun } from './frames.ts';

/** Name under which the ledger keeps its own state (nonces); no contract may have it. */
export const LEDGER_STATE = 'ledger';
const NONCE_PREFIX = utf8('nonce/');
const nonceCodec = uint();

/** Key of an account's nonce in the state of `LEDGER_STATE`. */
export const nonceKey = madeOnce((account) =>
  concatBytes(NONCE_PREFIX, hexToBytes(account) as Bytes),
);

/** Transactions the account has made. */
export function nonceOf(
  state: { get(contract: string, key: Bytes): Bytes | undefined },
  account: AccountId,
): number {
  const stored = state.get(LEDGER_STATE, nonceKey(account));
  return stored === undefined ? 0 : decodeWith(nonceCodec, stored);
}

/** What every transaction of a block is executed with. */
export interface BlockRun {
  readonly machine: Machine;
  readonly journal: StateJournal;
  readonly fees: FeePort;
  readonly limits: ChainLimits;
  readonly block: BlockContext;
  /** User contracts whose loading a transaction of this block has paid already. */
  readonly loadedContracts: Set<AccountId>;
  /** Time of the block before. */
  readonly parentTimeUs: number;
  /** Era of this block; `block.era` is the one after it. */
  readonly era: number;
  /** Least fuel price in this block. */
  readonly fuelPrice: bigint;
}

export function fuelPriceRule(limits: ChainLimits): FuelPriceRule {
  return { targetPerSecond: limits.targetFuelPerSecond, minimum: limits.minimumFuelPrice };
}

/** Least fuel price in a block of that time on that state. */
export function fuelPriceOn(
  state: { get(contract: string, key: Bytes): Bytes | undefined },
  limits: ChainLimits,
  timeUs: number,
): bigint {
  const excess = readFuelExcess(state.get(LEDGER_STATE, FUEL_EXCESS_KEY));
  return fuelPriceAt(fuelPriceRule(limits), excess, timeUs);
}

/** Fuel paid before the first call runs. */
export function intrinsicFuel(sizeBytes: number): bigint {
  return FUEL.transaction + FUEL.transactionByte * BigInt(sizeBytes);
}

/**
 * Rules that need no state but the clock: chain, window, fuel. Undefined when they hold.
 * @param timeUs time of the block it would be in
 * @param price least fuel price there
 */
export function refusalOf(
  { body, bytes }: TransactionEnvelope,
  chain: string,
  limits: ChainLimits,
  timeUs: number,
  price: bigint = limits.minimumFuelPrice,
): SeeleError | undefined {
  const { validFromUs, validUntilUs, fuelLimit, fuelPrice } = body;
  if (body.chain !== chain)
    return ledgerError('LEDGER_CHAIN_MISMATCH', `made for chain ${body.chain}, this is ${chain}`);
  if (validUntilUs < timeUs)
    return ledgerError(
      'LEDGER_TRANSACTION_EXPIRED',
      `valid until ${validUntilUs}, it is ${timeUs}`,
    );
  if (validFromUs !== undefined && validFromUs > timeUs)
    return ledgerError('LEDGER_TRANSACTION_EARLY', `valid from ${validFromUs}, it is ${timeUs}`);
  const least = intrinsicFuel(bytes.length);
  if (fuelLimit < least || fuelLimit > limits.transactionFuel)
    return ledgerError(
      'LEDGER_FUEL_LIMIT',
      `fuel limit ${fuelLimit} is not between ${least} and ${limits.transactionFuel}`,
    );
  if (fuelPrice < price)
    return ledgerError('LEDGER_FUEL_PRICE', `fuel price ${fuelPrice} is below ${price}`);
  return undefined;
}

/** The fee contract's storage, unmetered. */
export function feeStorageOf(journal: StateJournal, { contract }: FeePort): FeeStorage {
  return new UnmeteredStorage(journal, contract);
}

class UnmeteredStorage implements FeeStorage {
  readonly #journal: StateJournal;
  readonly #contract: string;

  constructor(journal: StateJournal, contract: string) {
    this.#journal = journal;
    this.#contract = contract;
  }

  get(key: Bytes): Bytes | undefined {
    return this.#journal.get(this.#contract, key);
  }

  put(key: Bytes, value: Bytes): void {
    this.#journal.put(this.#contract, key, value);
  }

  delete(key: Bytes): void {
    this.#journal.delete(this.#contract, key);
  }
}

export type TransactionOutcome =
  | { readonly executed: true; readonly receipt: Receipt }
  /** Not executable here: nothing was changed. */
  | { readonly executed: false; readonly refusal: SeeleError };

interface CallsOutcome {
  readonly failure: (CallFailure & { readonly failedCall: number }) | undefined;
  readonly results: readonly Bytes[];
  readonly events: readonly LedgerEvent[];
  readonly fuelUsed: bigint;
}

function runCalls(run: BlockRun, envelope: TransactionEnvelope): CallsOutcome {
  const { machine, journal, block } = run;
  const { body, bytes, account, id } = envelope;
  const meter = createFuelMeter(body.fuelLimit);
  const events: LedgerEvent[] = [];
  const results: Bytes[] = [];
  const checkpoint = journal.checkpoint();
  const user = new UserRun(run.loadedContracts);
  const frames = { journal, meter, block, origin: account, transactionId: id, events, user };
  meter.charge(intrinsicFuel(bytes.length));
  for (let index = 0; index < body.calls.length; index++) {
    const call = body.calls[index] as (typeof body.calls)[0];
    const outcome = machine.run(frames, call);
    if (outcome.ok) {
      results.push(outcome.result);
      continue;
    }
    // All or nothing: earlier calls go too.
    journal.revertTo(checkpoint);
    const { status, code, message } = outcome;
    if (status === 'trapped') meter.burnAll();
    const failure = { status, code, message, failedCall: index };
    user.keepLoaded();
    return { failure, results: [], events: [], fuelUsed: meter.used };
  }
  user.keepLoaded();
  return { failure: undefined, results, events, fuelUsed: meter.used };
}

/**
 * Executes a transaction whose signature has been checked. `fuelLeft` is what the block may still
 * burn. Every change of a transaction that is not executable is undone.
 * @throws LEDGER_CONTRACT_FAULT, with every change undone
 */
export function executeTransaction(
  run: BlockRun,
  envelope: TransactionEnvelope,
  fuelLeft: bigint,
): TransactionOutcome {
  const { journal, fees, limits, block } = run;
  const { body, account, id } = envelope;
  const refuse = (refusal: SeeleError): TransactionOutcome => ({ executed: false, refusal });
  const refusal = refusalOf(envelope, block.chain, limits, block.timeUs, run.fuelPrice);
  if (refusal) return refuse(refusal);
  if (body.fuelLimit > fuelLeft)
    return refuse(ledgerError('LEDGER_BLOCK_FULL', `the block has ${fuelLeft} fuel left`));
  const nonce = nonceOf(journal, account);
  if (body.nonce !== nonce)
    return refuse(
      ledgerError(
        body.nonce < nonce ? 'LEDGER_NONCE_USED' : 'LEDGER_NONCE_GAP',
        `nonce ${body.nonce} where the account is at ${nonce}`,
      ),
    );
  const storage = feeStorageOf(journal, fees);
  const deposit = body.fuelLimit * body.fuelPrice;
  const checkpoint = journal.checkpoint();
  if (!fees.charge(storage, account, deposit))
    return refuse(
      ledgerError('LEDGER_BALANCE_TOO_LOW', `the account cannot cover a fee of up to ${deposit}`),
    );
  journal.put(LEDGER_STATE, nonceKey(account), encodeWith(nonceCodec, nonce + 1));
  try {
    const { failure, results, events, fuelUsed } = runCalls(run, envelope);
    const fee = fuelUsed * body.fuelPrice;
    fees.refund(storage, account, deposit - fee);
    const status = failure?.status ?? 'ok';
    const why = failure && {
      code: failure.code,
      message: failure.message,
      failedCall: failure.failedCall,
    };
    return {
      executed: true,
      receipt: { transaction: id, status, ...why, fuelUsed, fee, results, events },
    };
  } catch (error) {
    journal.revertTo(checkpoint);
    throw error;
  }
}
