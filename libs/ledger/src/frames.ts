/**
 * What frames of either kind of contract share: the run of a transaction, limits, and how an error
 * that ended a frame becomes a result, or a fault that never is one.
 */
import { type AccountId, type Bytes, type SeeleError, hasCode, isSeeleError } from '#libs/kernel';
import type { LedgerEvent } from './block.ts';
import type { BlockContext } from './contract.ts';
import { ledgerError } from './errors.ts';
import type { FuelMeter } from './fuel.ts';
import type { StateJournal } from './journal.ts';

export const MAX_CALL_DEPTH = 16;
export const MAX_EVENTS = 64;
export const MAX_KEY_BYTES = 256;
export const MAX_VALUE_BYTES = 64 * 1024;
const MAX_CODE_LENGTH = 64;
const MAX_MESSAGE_LENGTH = 1_024;

/** True when `signature` is the key's over utf8(domain) ‖ 0x00 ‖ message. */
export type VerifySignature = (
  publicKey: string,
  domain: string,
  message: Bytes,
  signature: Bytes,
) => boolean;

/** What the user frames of one transaction share. */
export class UserRun {
  /** Frames so far: every frame has its own seed. */
  frames = 0;
  /** State growth in bytes; shrinks when a frame is undone. */
  grownBytes = 0;
  readonly #block: Set<AccountId>;
  /** Most transactions load none. */
  #own: Set<AccountId> | undefined;

  constructor(loadedInBlock: Set<AccountId> = new Set()) {
    this.#block = loadedInBlock;
  }

  /** True once per contract and block: who asks first pays for loading. */
  loads(account: AccountId): boolean {
    this.#own ??= new Set();
    if (this.#block.has(account) || this.#own.has(account)) return false;
    this.#own.add(account);
    return true;
  }

  /** The transaction stands in the block: what it loaded is paid for those after it. */
  keepLoaded(): void {
    if (this.#own) for (const account of this.#own) this.#block.add(account);
  }
}

/** What all frames of one transaction share. */
export interface MachineRun {
  readonly journal: StateJournal;
  readonly meter: FuelMeter;
  readonly block: BlockContext;
  readonly origin: AccountId;
  readonly transactionId: string;
  /** Filled as frames emit; truncated again when a frame is undone. */
  readonly events: LedgerEvent[];
  /** What frames of user contracts share. */
  readonly user: UserRun;
}

/** How a call ended when it did not succeed. */
export interface CallFailure {
  readonly status: 'reverted' | 'trapped';
  readonly code: string;
  readonly message: string;
}

export type CallOutcome =
  | { readonly ok: true; readonly result: Bytes }
  | ({ readonly ok: false } & CallFailure);

/** A user contract's failure on its way to its caller. Its code is the contract's word, no more. */
export class UserFailure extends Error {
  readonly failure: CallFailure;

  constructor(failure: CallFailure) {
    super(failure.message);
    this.failure = failure;
  }
}

/** Breaches of the machine's rules: the transaction pays its whole limit. */
const TRAPS = new Set(['LEDGER_OUT_OF_FUEL', 'LEDGER_CALL_DEPTH', 'LEDGER_VALUE_LIMIT']);

/** Never results: a defect, or a host that failed. */
const FAULTS = new Set([
  'KERNEL_INVARIANT',
  'LEDGER_CONTRACT_FAULT',
  'LEDGER_DATA_CORRUPT',
  'VM_ENGINE_MISMATCH',
]);

/** A defect of a system contract stays one when a user contract stood between. */
function faultBehind(error: SeeleError): unknown {
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause)
    if (hasCode(cause, 'LEDGER_CONTRACT_FAULT')) return cause;
  return error;
}

/** Sorts what a frame threw into result and fault. @throws LEDGER_CONTRACT_FAULT */
export function failureOf(error: unknown, meter: FuelMeter): CallFailure {
  if (error instanceof UserFailure) return error.failure;
  if (hasCode(error, 'VM_HOST_FAULT')) throw faultBehind(error as SeeleError);
  if (meter.exhausted)
    return {
      status: 'trapped',
      code: 'LEDGER_OUT_OF_FUEL',
      message: `the limit of ${meter.limit} fuel is used up`,
    };
  if (isSeeleError(error) && !FAULTS.has(error.code))
    return {
      status: TRAPS.has(error.code) ? 'trapped' : 'reverted',
      code: error.code.slice(0, MAX_CODE_LENGTH),
      message: error.message.slice(0, MAX_MESSAGE_LENGTH).toWellFormed(),
    };
  if (hasCode(error, 'LEDGER_CONTRACT_FAULT')) throw error;
  throw ledgerError('LEDGER_CONTRACT_FAULT', `a contract failed: ${String(error)}`, {
    cause: error,
  });
}
