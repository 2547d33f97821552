/** Methods of contract `orders` that move money in and out: deposit, and withdrawal in two steps. */
import { hash32, record, u64, uint } from '#libs/kernel';
import { defineMethod } from '#libs/ledger';
import { done, emit } from '../contract-kit.ts';
import { demand } from '../errors.ts';
import { collectFrom, payTo } from '../token/token.ts';
import { ordersEvents } from './events.ts';
import type { OrdersRules } from './rules.ts';
import { readOrdersSettings, readPrepaid, writePrepaid } from './state.ts';

export function createPrepaidMethods(rules: OrdersRules) {
  return {
    /** Anyone: moves the caller's tokens into an account's prepaid balance. */
    deposit: defineMethod({
      name: 'deposit',
      args: record({ account: hash32, amount: u64 }),
      returns: u64,
      run(context, { account, amount }) {
        demand(context, amount > 0n, 'ORDERS_AMOUNT_ZERO', 'a deposit is more than nothing');
        collectFrom(context, context.caller, amount);
        const before = readPrepaid(context.storage, account);
        const balance = before.balance + amount;
        writePrepaid(context.storage, account, { ...before, balance });
        emit(context, ordersEvents.deposited, { account, amount, balance });
        return balance;
      },
    }),
    /** The account: announces a withdrawal. The money keeps covering orders until it is taken. */
    requestWithdrawal: defineMethod({
      name: 'requestWithdrawal',
      args: record({ amount: u64 }),
      returns: record({ availableAtUs: uint() }),
      run(context, { amount }) {
        const account = context.caller;
        demand(context, amount > 0n, 'ORDERS_AMOUNT_ZERO', 'a withdrawal is more than nothing');
        const { balance } = readPrepaid(context.storage, account);
        demand(
          context,
          amount <= balance,
          'ORDERS_PREPAID_TOO_LOW',
          `${amount} asked for, ${balance} prepaid`,
        );
        const { withdrawalDelayUs } = readOrdersSettings(context.storage);
        const availableAtUs = context.block.timeUs + withdrawalDelayUs;
        writePrepaid(context.storage, account, { balance, withdrawal: { amount, availableAtUs } });
        emit(context, ordersEvents.withdrawalRequested, { account, amount, availableAtUs });
        return { availableAtUs };
      },
    }),
    /** The account: takes the announcement back. */
    cancelWithdrawal: defineMethod({
      name: 'cancelWithdrawal',
      args: done,
      returns: done,
      run(context) {
        const account = context.caller;
        const { balance, withdrawal } = readPrepaid(context.storage, account);
        if (!withdrawal)
          return context.revert('ORDERS_NO_WITHDRAWAL', 'no withdrawal is under way');
        writePrepaid(context.storage, account, { balance });
        emit(context, ordersEvents.withdrawalCancelled, { account, amount: withdrawal.amount });
        return {};
      },
    }),
    /** The account: takes the announced money once the delay is over, as far as it is still there. */
    withdraw: defineMethod({
      name: 'withdraw',
      args: done,
      returns: record({ amount: u64 }),
      run(context) {
        const account = context.caller;
        const before = readPrepaid(context.storage, account);
        if (!before.withdrawal) return context.revert('ORDERS_NO_WITHDRAWAL', 'request it first');
        const { availableAtUs } = before.withdrawal;
        demand(
          context,
          rules.isWithdrawalDue(availableAtUs, context.block.timeUs),
          'ORDERS_WITHDRAWAL_EARLY',
          `available at ${availableAtUs} µs, now ${context.block.timeUs} µs`,
        );
        const amount = rules.withdrawable(before);
        const balance = before.balance - amount;
        writePrepaid(context.storage, account, { balance });
        payTo(context, account, amount);
        emit(context, ordersEvents.withdrawn, { account, amount, balance });
        return { amount };
      },
    }),
  };
}
