/**
 * An auction of access to data: the seller names the data and a reserve, bidders put money down, the
 * highest bid at the end buys. Who was outbid takes the money back when it likes; the seller takes the
 * price once the buyer holds the access grant.
 */
import type { Account, Ctx } from '../api/seele-contract.d.ts';

interface Auction {
  readonly [field: string]: string | bigint;
  readonly seller: Account;
  /** What is sold: content id of the data's description. */
  readonly data: string;
  readonly reserve: bigint;
  readonly endsAtUs: bigint;
}

const refundKey = (of: Account) => `refund/${of}`;

function auction(ctx: Ctx): Auction {
  return ctx.storage.get<Auction>('auction') ?? ctx.revert('NOT_OPEN');
}

function highest(ctx: Ctx): { bidder: Account; amount: bigint } | undefined {
  return ctx.storage.get<{ bidder: Account; amount: bigint }>('highest');
}

function demandEnded(ctx: Ctx): Auction {
  const open = auction(ctx);
  if (ctx.block.timeUs < open.endsAtUs) ctx.revert('RUNNING', `ends at ${open.endsAtUs}`);
  return open;
}

/** Once: the caller offers access to `data` for at least `reserve` and takes bids for `seconds`. */
export function open(ctx: Ctx, data: string, reserve: bigint, seconds: bigint): void {
  if (ctx.storage.get('auction') !== undefined) ctx.revert('OPEN_ALREADY');
  if (reserve <= 0n || seconds <= 0n) ctx.revert('TERMS', 'reserve and time must be above zero');
  const endsAtUs = ctx.block.timeUs + seconds * 1_000_000n;
  ctx.storage.put('auction', { seller: ctx.caller, data, reserve, endsAtUs });
  ctx.emit('opened', { data, reserve, endsAtUs });
}

/** A bid is the money that comes with the call; it must top the highest by a twentieth. */
export function bid(ctx: Ctx): void {
  const { reserve, endsAtUs, seller } = auction(ctx);
  if (ctx.block.timeUs >= endsAtUs) ctx.revert('OVER');
  if (ctx.caller === seller) ctx.revert('SELLER');
  const before = highest(ctx);
  const least = before ? before.amount + (before.amount + 19n) / 20n : reserve;
  if (ctx.value < least) ctx.revert('TOO_LOW', `bid at least ${least}`);
  // Nobody is paid here: a bidder that refuses money could stop the auction.
  if (before) {
    const key = refundKey(before.bidder);
    ctx.storage.put(key, (ctx.storage.get<bigint>(key) ?? 0n) + before.amount);
  }
  ctx.storage.put('highest', { bidder: ctx.caller, amount: ctx.value });
  ctx.emit('bid', { bidder: ctx.caller, amount: ctx.value });
}

/** Whoever was outbid: takes the money back. */
export function withdraw(ctx: Ctx): bigint {
  const key = refundKey(ctx.caller);
  const amount = ctx.storage.get<bigint>(key) ?? 0n;
  if (amount === 0n) ctx.revert('NOTHING');
  ctx.storage.delete(key);
  ctx.pay(ctx.caller, amount);
  return amount;
}

/** The seller, after the end: names the grant that gives the winner access. */
export function grant(ctx: Ctx, grantId: string): void {
  const { seller } = demandEnded(ctx);
  const won = highest(ctx);
  if (ctx.caller !== seller) ctx.revert('NOT_SELLER');
  if (!won) return ctx.revert('NO_BIDS');
  if (ctx.storage.get('grant') !== undefined) ctx.revert('GRANTED');
  ctx.storage.put('grant', grantId);
  ctx.emit('granted', { buyer: won.bidder, grant: grantId });
}

/** The winner, once the grant works: pays the seller. */
export function accept(ctx: Ctx): void {
  const { seller } = demandEnded(ctx);
  const won = highest(ctx);
  if (won?.bidder !== ctx.caller) return ctx.revert('NOT_WINNER');
  if (ctx.storage.get('grant') === undefined) ctx.revert('NOT_GRANTED');
  ctx.storage.delete('highest');
  ctx.pay(seller, won.amount);
  ctx.emit('sold', { buyer: won.bidder, price: won.amount });
}

/** The winner, when a day has passed without a grant: takes the bid back. */
export function reclaim(ctx: Ctx): void {
  const { endsAtUs } = demandEnded(ctx);
  const won = highest(ctx);
  if (won?.bidder !== ctx.caller) return ctx.revert('NOT_WINNER');
  if (ctx.storage.get('grant') !== undefined) ctx.revert('GRANTED');
  if (ctx.block.timeUs < endsAtUs + 86_400_000_000n) ctx.revert('WAIT', 'the seller has a day');
  ctx.storage.delete('highest');
  ctx.pay(won.bidder, won.amount);
}

/** The seller, when a week has passed after a grant that the winner never accepted: takes the price. */
export function collect(ctx: Ctx): void {
  const { seller, endsAtUs } = demandEnded(ctx);
  const won = highest(ctx);
  if (ctx.caller !== seller) ctx.revert('NOT_SELLER');
  if (!won || ctx.storage.get('grant') === undefined) return ctx.revert('NOT_GRANTED');
  if (ctx.block.timeUs < endsAtUs + 604_800_000_000n) ctx.revert('WAIT', 'the winner has a week');
  ctx.storage.delete('highest');
  ctx.pay(seller, won.amount);
  ctx.emit('sold', { buyer: won.bidder, price: won.amount });
}
