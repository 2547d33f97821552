/**
 * Why a system contract refuses a call. The code goes into the receipt of the reverted transaction
 * and never changes meaning; status and fix are for the HTTP edge and for people.
 */
import { DISPUTE_ERRORS } from './disputes/errors.ts';
import type { Context } from '#libs/ledger';
import { defineErrors } from '#libs/kernel';

const sameAccount = 'Sign with the account that the order names for this step.';

export const CONTRACT_ERRORS = {
  CONTRACT_GENESIS_INVALID: {
    status: 400,
    title: 'Genesis parameters refused',
    fix: 'Correct the named allocation or setting in the genesis file.',
  },
  TOKEN_AMOUNT_ZERO: {
    status: 400,
    title: 'Amount is zero',
    fix: 'Send an amount above zero.',
  },
  TOKEN_BALANCE_TOO_LOW: {
    status: 402,
    title: 'Balance too low',
    fix: 'Send less, or wait for money to arrive first.',
  },
  TOKEN_RECIPIENT_CONTRACT: {
    status: 400,
    title: 'Recipient is a system contract',
    fix: 'Pay in through the contract itself, e.g. orders.deposit; a plain transfer would be lost.',
  },
  TOKEN_NOT_COLLECTOR: {
    status: 403,
    title: 'Only system contracts collect',
    fix: 'Use token.transfer.',
  },
  STAKE_NO_VALIDATORS: {
    status: 409,
    title: 'Chain without validators',
    fix: 'Bond stake on a chain whose genesis names validators.',
  },
  STAKE_NOT_OWNER: {
    status: 403,
    title: 'Not the account of the validator',
    fix: 'Sign with the key of the validator itself.',
  },
  STAKE_TOO_LOW: {
    status: 400,
    title: 'Stake too low',
    fix: 'Bond at least one unit of weight; ask back no more than is bonded.',
  },
  STAKE_SLASHED: {
    status: 409,
    title: 'Validator contradicted itself',
    fix: 'Use a new key; what is left of the old bond can be asked back.',
  },
  STAKE_LAST_VALIDATOR: {
    status: 409,
    title: 'Nobody would validate the chain',
    fix: 'Let another validator bond first.',
  },
  STAKE_UNKNOWN: {
    status: 404,
    title: 'Nothing is bonded for this key',
    fix: 'Check the public key.',
  },
  STAKE_BLS_INVALID: {
    status: 400,
    title: 'BLS key cannot be registered',
    fix: 'Send the key with the proof of possession made by its secret (provePossession); a validator names one key.',
  },
  STAKE_PARAMETERS_INVALID: {
    status: 400,
    title: 'Parameter of consensus out of range',
    fix: 'Vote for an interval of 1 to 1,000,000 µs and 1 to 1,000 seats per thousand validators.',
  },
  STAKE_PROOF_INVALID: {
    status: 400,
    title: 'Not a proof of contradiction',
    fix: 'Give two statements that the validator signed on this chain and that exclude each other.',
  },
  STAKE_PARTS_FULL: {
    status: 409,
    title: 'Too many parts of statements wait',
    fix: 'Report what was handed in with stake.reportParts, or take it back with stake.dropParts.',
  },
  STAKE_PARTS_MISSING: {
    status: 409,
    title: 'Parts of a statement are missing',
    fix: 'Hand in every part of the statement with stake.submitPart, from the same account, then report.',
  },
  STAKE_UNBONDINGS_FULL: {
    status: 409,
    title: 'Too many amounts are unbonding',
    fix: 'Take what is released, then ask again.',
  },
  STAKE_NOTHING_RELEASED: {
    status: 409,
    title: 'Nothing to take yet',
    fix: 'Wait until the unbonding time is over.',
  },
  ...DISPUTE_ERRORS,
  DEALS_UNKNOWN: {
    status: 404,
    title: 'No such deal or shard',
    fix: 'Check the deal’s id and the number of the shard.',
  },
  DEALS_EXISTS: {
    status: 409,
    title: 'Deal proposed already',
    fix: 'Use the deal that is there, or propose another one with another salt.',
  },
  DEALS_TERMS: {
    status: 400,
    title: 'Terms of the deal refused',
    fix: 'Correct what the message names.',
  },
  DEALS_NOT_PARTY: {
    status: 403,
    title: 'Not the account for this step',
    fix: 'Sign with the account that the deal or the shard names for this step.',
  },
  DEALS_NOT_INVITED: {
    status: 403,
    title: 'No such invitation',
    fix: 'Accept only the invitation that stands, with its number, before it ends.',
  },
  DEALS_SHARD_TAKEN: {
    status: 409,
    title: 'Shard is taken',
    fix: 'Wait until the invitation has ended or the shard is lost.',
  },
  DEALS_EPOCH: {
    status: 409,
    title: 'Not the epoch for this proof',
    fix: 'Prove within the epoch, after its challenge was set with deals.tick.',
  },
  DEALS_ENDED: {
    status: 409,
    title: 'Deal is over',
    fix: 'Make a new deal; a running one can be renewed before its last epoch ends.',
  },
  DEALS_NOT_ENDED: {
    status: 409,
    title: 'Deal is not over',
    fix: 'Wait for its last epoch to pass, and finish its shards first.',
  },
  NAMES_SYNTAX: {
    status: 400,
    title: 'Not an account name',
    fix: 'Use 3 to 63 characters a–z, 0–9 and single hyphens, beginning and ending with a letter or digit.',
  },
  NAMES_RESERVED: { status: 409, title: 'Name is reserved', fix: 'Choose another name.' },
  NAMES_TAKEN: { status: 409, title: 'Name is taken', fix: 'Choose another name.' },
  NAMES_UNKNOWN: { status: 404, title: 'Name is not registered', fix: 'Register it first.' },
  NAMES_NOT_OWNER: {
    status: 403,
    title: 'Name belongs to another account',
    fix: 'Sign with the account that the name stands for.',
  },
  RESOURCES_EXISTS: {
    status: 409,
    title: 'Offer already registered',
    fix: 'Update the offer, or register it under another id.',
  },
  RESOURCES_UNKNOWN: {
    status: 404,
    title: 'No such offer of this account',
    fix: 'Check the offer id and the signing account; only the owner changes an offer.',
  },
  RESOURCES_DEPOSIT_TOO_LOW: {
    status: 402,
    title: 'Deposit below the chain’s minimum',
    fix: 'Deposit at least the amount that the message names.',
  },
  RESOURCES_LEAVING: {
    status: 409,
    title: 'Offer is being withdrawn',
    fix: 'Resume the offer first, or wait and withdraw it.',
  },
  RESOURCES_NOT_LEAVING: {
    status: 409,
    title: 'No withdrawal was requested',
    fix: 'Call resources.requestWithdrawal first.',
  },
  RESOURCES_NOTICE_RUNNING: {
    status: 409,
    title: 'Notice period still runs',
    fix: 'Withdraw at or after the time that the message names.',
  },
  ORDERS_AMOUNT_ZERO: {
    status: 400,
    title: 'Amount is zero',
    fix: 'Name an amount above zero.',
  },
  ORDERS_PREPAID_TOO_LOW: {
    status: 402,
    title: 'Prepaid balance too low',
    fix: 'Deposit more into orders, or lower the price cap.',
  },
  ORDERS_NO_WITHDRAWAL: {
    status: 409,
    title: 'No withdrawal was requested',
    fix: 'Call orders.requestWithdrawal first.',
  },
  ORDERS_WITHDRAWAL_EARLY: {
    status: 409,
    title: 'Withdrawal delay still runs',
    fix: 'Withdraw at or after the time that the message names.',
  },
  ORDERS_WRONG_CHAIN: {
    status: 400,
    title: 'Document is meant for another chain',
    fix: 'Sign a document that names this chain’s genesis id.',
  },
  ORDERS_NOT_MARKET: { status: 403, title: 'Only the order’s market may', fix: sameAccount },
  ORDERS_NOT_PARTY: {
    status: 403,
    title: 'Only the order’s consumer or market may, at this time',
    fix: sameAccount,
  },
  ORDERS_SIGNATURE: {
    status: 403,
    title: 'Document is not signed by the account it names',
    fix: 'Sign the canonical bytes in the document’s domain with the right key.',
  },
  ORDERS_EXISTS: {
    status: 409,
    title: 'Order is already placed',
    fix: 'Nothing to do: read the order’s record.',
  },
  ORDERS_UNKNOWN: { status: 404, title: 'No such order', fix: 'Check the order id.' },
  ORDERS_EXPIRED: {
    status: 409,
    title: 'Too late',
    fix: 'Sign a new order with later times; an open one can be refunded.',
  },
  ORDERS_TIMES: {
    status: 400,
    title: 'Times of the order do not fit',
    fix: 'Let placeByUs not exceed completeByUs, and complete within orders.maxDurationUs.',
  },
  ORDERS_STATE: {
    status: 409,
    title: 'Order is not in a state for this step',
    fix: 'Read the order’s record; the step may be done already.',
  },
  ORDERS_PRICE_TOO_HIGH: {
    status: 400,
    title: 'Price above the consumer’s cap',
    fix: 'Bind at a price within priceCap.',
  },
  ORDERS_FENCE_STALE: {
    status: 409,
    title: 'Fencing token is not the right one',
    fix: 'The lease was superseded: drop the work. When binding, use a higher fence.',
  },
  ORDERS_NOT_PROVIDER: {
    status: 403,
    title: 'Delivery is not from the bound provider',
    fix: 'Only the provider to whom the order is bound may deliver.',
  },
  ORDERS_CHARGE_TOO_HIGH: {
    status: 400,
    title: 'Charge above the bound price',
    fix: 'Charge at most the price of the lease.',
  },
  ORDERS_RESULT: {
    status: 400,
    title: 'Result and exit class disagree',
    fix: 'Give a result when exit is ok, and only then.',
  },
  ORDERS_ALREADY_DELIVERED: {
    status: 409,
    title: 'A delivery under this fence is recorded',
    fix: 'Nothing to do: read the order’s record.',
  },
  ORDERS_WINDOW_OVER: {
    status: 409,
    title: 'The window to reject is over',
    fix: 'The delivery stands: settle the order.',
  },
  ORDERS_NOT_DUE: {
    status: 409,
    title: 'Too early for a refund',
    fix: 'Ask again at or after the time that the message names.',
  },
  ORDERS_ARRAY: {
    status: 400,
    title: 'Tasks of the order do not fit',
    fix: 'Name 1 to 10 000 tasks, 1 to 16 replicas and a unit price within priceCap; use bindUnits for such orders, and only for them.',
  },
  ORDERS_UNITS: {
    status: 400,
    title: 'Set of units is not valid here',
    fix: 'Name 1 to 200 units of the order (or of its batch) in ascending, separate ranges.',
  },
  ORDERS_UNITS_TAKEN: {
    status: 409,
    title: 'A unit is in another batch or paid',
    fix: 'Read the order’s batches: bind free units only.',
  },
  ORDERS_BATCHES_OPEN: {
    status: 409,
    title: 'Batches of the order are open',
    fix: 'Settle or release each batch first.',
  },
  AUDIT_SIZE: {
    status: 409,
    title: 'Log size does not rise',
    fix: 'Anchor a size above the latest anchored one.',
  },
  AUDIT_CONFLICT: {
    status: 409,
    title: 'Another root is anchored at this size',
    fix: 'The log was rewritten: an operator cannot anchor two histories.',
  },
  METADATA_PATH: {
    status: 400,
    title: 'Not a path of a dataset',
    fix: 'Write the part of the UAI after the account, as data/sales.',
  },
  METADATA_UNKNOWN: {
    status: 404,
    title: 'Unknown dataset or version',
    fix: 'Check the path, and sign with the owner’s account.',
  },
  METADATA_SEQUENCE: {
    status: 409,
    title: 'Another version came first',
    fix: 'Read the newest version, compare, and record again after it.',
  },
  METADATA_VERSION_NAME: {
    status: 409,
    title: 'The newest version has this name',
    fix: 'Give the new version another name.',
  },
  METADATA_CONTENT_TAKEN: {
    status: 409,
    title: 'The same directory stands under another path',
    fix: 'Describe the dataset under its own UAI and with a secret of its own.',
  },
  METADATA_ROLLOUT: {
    status: 400,
    title: 'Roll-out refused',
    fix: 'Give rising heights that are still to come and, unless all readers are meant, an earlier version as fallback.',
  },
  METADATA_ENDPOINT: {
    status: 400,
    title: 'Not an endpoint',
    fix: 'Give an http, https or chain URL without user and password.',
  },
  CONTRACTS_VM_VERSION: {
    status: 409,
    title: 'Made for another version of the engine',
    fix: 'Build and test the contract with a release whose engine version is the chain’s, then deploy again.',
  },
  CONTRACTS_CODE_MISSING: {
    status: 409,
    title: 'A chunk of the code is not on the chain',
    fix: 'Upload every chunk before, or in the same transaction.',
  },
  CONTRACTS_CODE_SIZE: {
    status: 413,
    title: 'Code empty or too large',
    fix: 'Keep JavaScript within 256 kB and WebAssembly within 512 kB.',
  },
  CONTRACTS_EXISTS: {
    status: 409,
    title: 'Deployed already',
    fix: 'Use the contract that is there, or deploy with another salt.',
  },
} as const;

/** Stable codes with which system contracts revert. */
export type ContractCode = keyof typeof CONTRACT_ERRORS;

export const contractError = defineErrors(CONTRACT_ERRORS);

/** Ends the frame with a documented code unless `holds`. */
export function demand(
  context: Context,
  holds: boolean,
  code: ContractCode,
  message: string,
): asserts holds {
  if (!holds) context.revert(code, message);
}
