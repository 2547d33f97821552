/** A treasury that pays when enough of its owners agree: m of n, one proposal after the other. */
import type { Account, Ctx } from '../api/seele-contract.d.ts';

interface Proposal {
  readonly [field: string]: string | bigint | boolean | Account[];
  readonly to: Account;
  readonly amount: bigint;
  readonly memo: string;
  readonly agreed: Account[];
  readonly done: boolean;
}

const proposalKey = (id: bigint) => `proposal/${String(id).padStart(12, '0')}`;

function owners(ctx: Ctx): Account[] {
  return ctx.storage.get<Account[]>('owners') ?? ctx.revert('NOT_BORN');
}

function demandOwner(ctx: Ctx): void {
  if (!owners(ctx).includes(ctx.caller)) ctx.revert('NOT_OWNER');
}

function proposal(ctx: Ctx, id: bigint): Proposal {
  return ctx.storage.get<Proposal>(proposalKey(id)) ?? ctx.revert('NO_PROPOSAL');
}

/** Once: who owns the treasury and how many of them must agree. */
export function init(ctx: Ctx, list: Account[], needed: bigint): void {
  if (ctx.storage.get('owners') !== undefined) ctx.revert('INITIALISED');
  if (new Set(list).size !== list.length) ctx.revert('OWNERS', 'an owner is named twice');
  if (list.length === 0 || list.length > 32) ctx.revert('OWNERS', 'name 1 to 32 owners');
  if (needed < 1n || needed > BigInt(list.length)) ctx.revert('NEEDED');
  ctx.storage.put('owners', list);
  ctx.storage.put('needed', needed);
}

/** Anyone: pays in what comes with the call. */
export function deposit(ctx: Ctx): void {
  if (ctx.value === 0n) ctx.revert('AMOUNT');
  ctx.emit('deposited', { from: ctx.caller, amount: ctx.value });
}

/** An owner: asks for a payment and agrees to it. Returns its number. */
export function propose(ctx: Ctx, to: Account, amount: bigint, memo: string): bigint {
  demandOwner(ctx);
  if (amount <= 0n) ctx.revert('AMOUNT');
  const id = (ctx.storage.get<bigint>('last') ?? 0n) + 1n;
  ctx.storage.put('last', id);
  ctx.emit('proposed', { id, to, amount, memo });
  settle(ctx, id, { to, amount, memo, agreed: [ctx.caller], done: false });
  return id;
}

/** Another owner: agrees; with the last one needed the payment goes out. */
export function agree(ctx: Ctx, id: bigint): void {
  demandOwner(ctx);
  const asked = proposal(ctx, id);
  if (asked.done) ctx.revert('DONE');
  if (asked.agreed.includes(ctx.caller)) ctx.revert('AGREED_ALREADY');
  settle(ctx, id, { ...asked, agreed: [...asked.agreed, ctx.caller] });
}

/** An owner: takes its agreement back while nothing has been paid. */
export function disagree(ctx: Ctx, id: bigint): void {
  demandOwner(ctx);
  const asked = proposal(ctx, id);
  if (asked.done) ctx.revert('DONE');
  const agreed = asked.agreed.filter((owner) => owner !== ctx.caller);
  ctx.storage.put(proposalKey(id), { ...asked, agreed });
}

function settle(ctx: Ctx, id: bigint, asked: Proposal): void {
  const needed = ctx.storage.get<bigint>('needed') ?? 0n;
  const done = BigInt(asked.agreed.length) >= needed;
  // Written before the payment: whatever the receiver does, it is paid once.
  ctx.storage.put(proposalKey(id), { ...asked, done });
  if (!done) return;
  ctx.pay(asked.to, asked.amount);
  ctx.emit('paid', { id, to: asked.to, amount: asked.amount });
}

/** Proposals after `cursor`, oldest first. */
export function list(ctx: Ctx, cursor: string): [string, Proposal][] {
  return ctx.storage.scan<Proposal>('proposal/', cursor, 50);
}
