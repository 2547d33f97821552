/**
 * Contract `token`: the chain's money. A fixed supply is given out in genesis and only moves.
 *
 * State: `balance/<account, 32 bytes>` → u64, absent for zero; `supply` → u64.
 */
import {
  AMOUNT_MAX,
  type AccountId,
  type Bytes,
  decodeWith,
  hash32,
  invariant,
  madeOnce,
  optional,
  record,
  text,
  u64,
  utf8,
} from '#libs/kernel';
import { contractAccount } from '#libs/crypto';
import {
  type Context,
  type FeePort,
  type FeeStorage,
  type GenesisParameters,
  type SystemContract,
  defineMethod,
} from '#libs/ledger';
import {
  callBuilders,
  defineEvent,
  done,
  emit,
  readValue,
  storageKey,
  writeValue,
} from '../contract-kit.ts';
import { contractError, demand } from '../errors.ts';

export const TOKEN_CONTRACT = 'token';

/** Contracts that hold other people's money; they alone may `collect` and get no plain transfers. */
export const COLLECTORS = ['names', 'orders', 'resources', 'stake', 'deals', 'disputes'] as const;
const collectorAccounts: ReadonlySet<AccountId> = new Set(COLLECTORS.map(contractAccount));

export const tokenKeys = {
  balance: madeOnce((account) => storageKey('balance/', account)),
  balances: utf8('balance/'),
  supply: utf8('supply'),
};

function isBalanceKey(key: Bytes): boolean {
  const prefix = tokenKeys.balances;
  if (key.length !== prefix.length + 32) return false;
  for (let i = 0; i < prefix.length; i++) if (key[i] !== prefix[i]) return false;
  return true;
}

/** Stored form of a balance and of the supply. */
export const tokenAmount = u64;

export const tokenEvents = {
  transferred: defineEvent(
    TOKEN_CONTRACT,
    'transferred',
    record({ from: hash32, to: hash32, amount: u64, memo: optional(text(100)) }),
  ),
};

function balanceOf(storage: Pick<FeeStorage, 'get'>, account: AccountId): bigint {
  return readValue(storage, tokenKeys.balance(account), tokenAmount) ?? 0n;
}

function setBalance(storage: FeeStorage, account: AccountId, amount: bigint): void {
  invariant(amount >= 0n && amount <= AMOUNT_MAX, `balance ${amount} of ${account}`);
  if (amount === 0n) storage.delete(tokenKeys.balance(account));
  else writeValue(storage, tokenKeys.balance(account), tokenAmount, amount);
}

/** Takes money away; false, and nothing done, when the account has less. */
function charge(storage: FeeStorage, account: AccountId, amount: bigint): boolean {
  const balance = balanceOf(storage, account);
  if (amount < 0n || balance < amount) return false;
  setBalance(storage, account, balance - amount);
  return true;
}

function credit(storage: FeeStorage, account: AccountId, amount: bigint): void {
  invariant(amount >= 0n, `credit of ${amount}`);
  setBalance(storage, account, balanceOf(storage, account) + amount);
}

/**
 * How the ledger takes fees: it works on this contract's storage outside any call. What it charges it
 * gives out again (unused fuel to the payer, fees to the sequencer), so the supply stays what it was.
 */
export const tokenFees: FeePort = {
  contract: TOKEN_CONTRACT,
  balanceOf,
  charge,
  refund: credit,
  valueOf: (key, value) => (isBalanceKey(key) ? decodeWith(tokenAmount, value) : 0n),
};

function transferOrRevert(
  context: Context,
  {
    from,
    to,
    amount,
    memo,
  }: { from: string; to: string; amount: bigint; memo?: string | undefined },
): void {
  demand(context, amount > 0n, 'TOKEN_AMOUNT_ZERO', 'a transfer moves more than nothing');
  const covered = charge(context.storage, from, amount);
  demand(context, covered, 'TOKEN_BALANCE_TOO_LOW', `${from} has less than ${amount}`);
  // The payer is written before the payee is read, so paying oneself changes nothing.
  credit(context.storage, to, amount);
  emit(context, tokenEvents.transferred, { from, to, amount, memo });
}

const methods = {
  /** Anyone: moves the caller's own money. */
  transfer: defineMethod({
    name: 'transfer',
    args: record({ to: hash32, amount: u64, memo: optional(text(100)) }),
    returns: done,
    run(context, { to, ...rest }) {
      demand(
        context,
        !collectorAccounts.has(to),
        'TOKEN_RECIPIENT_CONTRACT',
        `${to} is a system contract`,
      );
      transferOrRevert(context, { from: context.caller, to, ...rest });
      return {};
    },
  }),
  /** System contracts only: takes money of the account that called them into their own. */
  collect: defineMethod({
    name: 'collect',
    args: record({ from: hash32, amount: u64 }),
    returns: done,
    run(context, { from, amount }) {
      demand(
        context,
        collectorAccounts.has(context.caller),
        'TOKEN_NOT_COLLECTOR',
        `${context.caller} is not a collecting contract`,
      );
      transferOrRevert(context, { from, to: context.caller, amount });
      return {};
    },
  }),
  /** Anyone: the balance of an account. */
  balance: defineMethod({
    name: 'balance',
    args: record({ account: hash32 }),
    returns: u64,
    run: (context, { account }) => balanceOf(context.storage, account),
  }),
};

function genesis(context: Context, { allocations, validators }: GenesisParameters): void {
  let supply = 0n;
  for (const { account, amount } of allocations) {
    const problem =
      (amount <= 0n && 'must be above zero') ||
      (collectorAccounts.has(account) && 'goes to a system contract') ||
      (balanceOf(context.storage, account) > 0n && 'names the account twice');
    if (problem)
      throw contractError(
        'CONTRACT_GENESIS_INVALID',
        `allocation ${amount} to ${account} ${problem}`,
      );
    supply += amount;
    if (supply > AMOUNT_MAX)
      throw contractError('CONTRACT_GENESIS_INVALID', `allocations exceed ${AMOUNT_MAX}`);
    setBalance(context.storage, account, amount);
  }
  // What the first validators have bonded stands beside the allocations.
  const bonded = validators?.bonds.reduce((sum, { stake }) => sum + stake, 0n) ?? 0n;
  if (bonded > 0n) setBalance(context.storage, contractAccount('stake'), bonded);
  supply += bonded;
  if (supply > AMOUNT_MAX)
    throw contractError('CONTRACT_GENESIS_INVALID', `stakes exceed ${AMOUNT_MAX}`);
  writeValue(context.storage, tokenKeys.supply, tokenAmount, supply);
}

export const tokenMethods = methods;
export const tokenCalls = callBuilders(TOKEN_CONTRACT, methods);
export const tokenContract: SystemContract = { name: TOKEN_CONTRACT, methods, genesis };

/** Takes money of the account that called the running contract. */
export function collectFrom(context: Context, from: AccountId, amount: bigint): void {
  context.call(TOKEN_CONTRACT, methods.collect, { from, amount });
}

/** Pays out of the running contract's own balance; paying nothing is no call. */
export function payTo(context: Context, to: AccountId, amount: bigint): void {
  if (amount > 0n) context.call(TOKEN_CONTRACT, methods.transfer, { to, amount });
}
