/** Bonds of providers: put down, asked back, taken after the delay, and lost in disputes. */
import { type AccountId, type Bytes, record, u64, uint } from '#libs/kernel';
import { type Context, defineMethod } from '#libs/ledger';
import { emit, readValue, writeValue } from '../contract-kit.ts';
import { demand } from '../errors.ts';
import { collectFrom, payTo } from '../token/token.ts';
import { disputesEvents } from './events.ts';
import {
  UNBONDINGS_MAX,
  type UnbondingRecord,
  disputesKeys,
  disputesSettings,
  readBond,
  unbondingRecord,
  writeBond,
} from './state.ts';

const PER_MILLE = 1_000n;

function unbondingsOf({ storage }: Context, account: AccountId) {
  const entries = storage.scan(disputesKeys.unbondings(account), { limit: UNBONDINGS_MAX });
  return entries.map(([key]): [Bytes, UnbondingRecord] => [
    key,
    readValue(storage, key, unbondingRecord) as UnbondingRecord,
  ]);
}

/** Takes a share of everything that is liable; returns what was lost. */
export function slashShare(context: Context, account: AccountId, perMille: bigint): bigint {
  const before = readBond(context, account);
  let lost = (before.bonded * perMille) / PER_MILLE;
  writeBond(context, account, { ...before, bonded: before.bonded - lost });
  for (const [key, entry] of unbondingsOf(context, account)) {
    const part = (entry.amount * perMille) / PER_MILLE;
    lost += part;
    writeValue(context.storage, key, unbondingRecord, { ...entry, amount: entry.amount - part });
  }
  if (lost > 0n) emit(context, disputesEvents.slashed, { account, amount: lost });
  return lost;
}

/** Takes an amount, or what is bonded of it. */
export function slashAmount(context: Context, account: AccountId, amount: bigint): bigint {
  const before = readBond(context, account);
  const lost = before.bonded < amount ? before.bonded : amount;
  writeBond(context, account, { ...before, bonded: before.bonded - lost });
  if (lost > 0n) emit(context, disputesEvents.slashed, { account, amount: lost });
  return lost;
}

/** Notes that the account takes part in one dispute more, or less. */
export function countOpen(context: Context, account: AccountId, change: 1 | -1): void {
  const before = readBond(context, account);
  writeBond(context, account, { ...before, open: before.open + change });
}

export const bondMethods = {
  /** Anyone: puts money down that wrong results cost. */
  bond: defineMethod({
    name: 'bond',
    args: record({ amount: u64 }),
    returns: record({ bonded: u64 }),
    run(context, { amount }) {
      const { caller } = context;
      demand(context, amount > 0n, 'DISPUTES_BOND_TOO_LOW', 'a bond is more than nothing');
      collectFrom(context, caller, amount);
      const before = readBond(context, caller);
      const bonded = before.bonded + amount;
      writeBond(context, caller, { ...before, bonded });
      emit(context, disputesEvents.bonded, { account: caller, amount });
      return { bonded };
    },
  }),
  /** The account: asks for bonded money; it stays liable until it is released. */
  unbond: defineMethod({
    name: 'unbond',
    args: record({ amount: u64 }),
    returns: record({ releasedAtUs: uint() }),
    run(context, { amount }) {
      const { caller } = context;
      const before = readBond(context, caller);
      demand(
        context,
        amount > 0n && amount <= before.bonded,
        'DISPUTES_BOND_TOO_LOW',
        `${before.bonded} bonded, ${amount} asked`,
      );
      demand(
        context,
        unbondingsOf(context, caller).length < UNBONDINGS_MAX,
        'DISPUTES_UNBONDINGS_FULL',
        `${UNBONDINGS_MAX} amounts are unbonding already`,
      );
      const { unbondingUs } = disputesSettings.read(context.storage);
      const releasedAtUs = context.block.timeUs + Number(unbondingUs);
      const key = disputesKeys.unbonding(caller, releasedAtUs);
      const same = readValue(context.storage, key, unbondingRecord)?.amount ?? 0n;
      writeValue(context.storage, key, unbondingRecord, { amount: same + amount, releasedAtUs });
      writeBond(context, caller, { ...before, bonded: before.bonded - amount });
      emit(context, disputesEvents.unbonding, { account: caller, amount });
      return { releasedAtUs };
    },
  }),
  /** The account: takes what is released, unless a dispute it is part of is undecided. */
  withdraw: defineMethod({
    name: 'withdraw',
    args: record({}),
    returns: record({ amount: u64 }),
    run(context) {
      const { caller } = context;
      const { open } = readBond(context, caller);
      demand(context, open === 0, 'DISPUTES_OPEN', `${open} disputes are undecided`);
      let amount = 0n;
      let taken = 0;
      for (const [key, entry] of unbondingsOf(context, caller)) {
        if (entry.releasedAtUs > context.block.timeUs) break;
        amount += entry.amount;
        taken++;
        context.storage.delete(key);
      }
      demand(context, taken > 0, 'DISPUTES_NOTHING_RELEASED', 'nothing has been released yet');
      payTo(context, caller, amount);
      emit(context, disputesEvents.withdrawn, { account: caller, amount });
      return { amount };
    },
  }),
};
