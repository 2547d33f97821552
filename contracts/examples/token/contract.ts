/** A token with allowances: one supply, made at the start, that moves by its holders' word. */
import type { Account, Ctx } from '../api/seele-contract.d.ts';

const balanceKey = (of: Account) => `balance/${of}`;
const allowanceKey = (owner: Account, spender: Account) => `allowance/${owner}/${spender}`;

function read(ctx: Ctx, key: string): bigint {
  return ctx.storage.get<bigint>(key) ?? 0n;
}

function write(ctx: Ctx, key: string, amount: bigint): void {
  if (amount === 0n) ctx.storage.delete(key);
  else ctx.storage.put(key, amount);
}

function move(ctx: Ctx, from: Account, to: Account, amount: bigint): void {
  if (typeof amount !== 'bigint' || amount <= 0n)
    ctx.revert('AMOUNT', 'give a whole amount above zero');
  if (!/^[0-9a-f]{64}$/.test(to)) ctx.revert('ACCOUNT', 'the receiver is not an account');
  const held = read(ctx, balanceKey(from));
  if (held < amount) ctx.revert('BALANCE', `${from} holds ${held}`);
  // The sender is written before the receiver is read: sending to oneself changes nothing.
  write(ctx, balanceKey(from), held - amount);
  write(ctx, balanceKey(to), read(ctx, balanceKey(to)) + amount);
  ctx.emit('transfer', { from, to, amount });
}

/** Once: names the token and gives the whole supply to the caller. */
export function init(ctx: Ctx, symbol: string, supply: bigint): void {
  if (ctx.storage.get('symbol') !== undefined) ctx.revert('INITIALISED');
  if (supply <= 0n) ctx.revert('AMOUNT', 'the supply must be above zero');
  ctx.storage.put('symbol', symbol);
  ctx.storage.put('supply', supply);
  write(ctx, balanceKey(ctx.caller), supply);
  ctx.emit('created', { symbol, supply, holder: ctx.caller });
}

export function transfer(ctx: Ctx, to: Account, amount: bigint): void {
  move(ctx, ctx.caller, to, amount);
}

/** Lets `spender` take up to `amount` of the caller's tokens; replaces what was allowed before. */
export function approve(ctx: Ctx, spender: Account, amount: bigint): void {
  if (amount < 0n) ctx.revert('AMOUNT');
  write(ctx, allowanceKey(ctx.caller, spender), amount);
  ctx.emit('approval', { owner: ctx.caller, spender, amount });
}

export function transferFrom(ctx: Ctx, owner: Account, to: Account, amount: bigint): void {
  const key = allowanceKey(owner, ctx.caller);
  const allowed = read(ctx, key);
  if (allowed < amount) ctx.revert('ALLOWANCE', `${allowed} allowed`);
  write(ctx, key, allowed - amount);
  move(ctx, owner, to, amount);
}

export function balance(ctx: Ctx, of: Account): bigint {
  return read(ctx, balanceKey(of));
}

export function allowance(ctx: Ctx, owner: Account, spender: Account): bigint {
  return read(ctx, allowanceKey(owner, spender));
}
