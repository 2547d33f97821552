/** The market's calls as transactions: arguments, keys, bodies and ids. */
import {
  type ContractCall,
  DISPUTES_CONTRACT,
  auditCalls,
  disputesCalls,
  ordersCalls,
} from '#contracts';
import { hashOf } from '#libs/crypto';
import { encodeWith } from '#libs/kernel';
import { TRANSACTION_DOMAIN, type TransactionBody, transactionBody } from '#libs/ledger';
import type { MarketConfig } from './model/config.ts';
import type { MarketCall, TransactionRow } from './model/rows.ts';

export function marketCallToCalls(call: MarketCall): readonly ContractCall[] {
  switch (call.kind) {
    case 'place': {
      const { order, topUp } = call;
      const placed = ordersCalls.place(order);
      if (topUp === undefined) return [placed];
      const { consumer: account } = order.order;
      return [ordersCalls.deposit({ account, amount: topUp }), placed];
    }
    case 'bind': {
      const { order, provider, price, fence } = call;
      return [ordersCalls.bind({ order, provider, price, fence })];
    }
    case 'deliver':
      return [ordersCalls.deliver(call.delivery)];
    case 'settle':
      return [ordersCalls.settle({ order: call.order, fence: call.fence })];
    case 'reject':
      return [ordersCalls.reject({ order: call.order, fence: call.fence, reason: call.reason })];
    case 'cancel':
      return [ordersCalls.cancel({ order: call.order })];
    case 'refund':
      return [ordersCalls.refund({ order: call.order })];
    case 'anchor':
      return [auditCalls.anchor({ size: call.size, root: call.root })];
    case 'dispute':
      return [disputesCalls.open({ order: call.order, claim: call.claim })];
    case 'convict':
      return [disputesCalls.convict({ order: call.order, others: call.others })];
    case 'convictUnits':
      return [disputesCalls.convictUnits({ odd: call.odd, others: call.others })];
    case 'move': {
      const { method, args } = call;
      return [{ contract: DISPUTES_CONTRACT, method, args }];
    }
    default:
      return batchCallToCalls(call);
  }
}

type BatchCall = Extract<
  MarketCall,
  { kind: 'bindUnits' | 'payUnits' | 'refuseUnits' | 'releaseUnits' }
>;

/** Calls about a batch; a payment hands the delivery in and settles it in one transaction, all or nothing. */
function batchCallToCalls(call: BatchCall): readonly ContractCall[] {
  switch (call.kind) {
    case 'bindUnits': {
      const { order, provider, unitPrice, fence, units } = call;
      return [ordersCalls.bindUnits({ order, provider, unitPrice, fence, units })];
    }
    case 'payUnits': {
      const { delivery: signed, isDelivered, withheld } = call;
      const { order, fence } = signed.delivery;
      const settle = ordersCalls.settleUnits({ order, fence, ...(withheld && { withheld }) });
      return isDelivered ? [settle] : [ordersCalls.deliverUnits(signed), settle];
    }
    case 'refuseUnits': {
      const { order, fence, withheld, reason } = call;
      return [ordersCalls.settleUnits({ order, fence, withheld, reason })];
    }
    case 'releaseUnits':
      return [ordersCalls.releaseUnits({ order: call.order, fence: call.fence })];
  }
}

/** One key per step of one order: whatever is retried, the step happens once. */
export function keyOfCall(order: string, call: MarketCall): string {
  switch (call.kind) {
    case 'anchor':
      return `anchor/${call.size}`;
    case 'move':
      return `move/${call.key}`;
    case 'bind':
    case 'settle':
    case 'reject':
    case 'bindUnits':
    case 'refuseUnits':
    case 'releaseUnits':
    case 'convictUnits':
      return `${call.kind}/${order}/${call.fence}`;
    case 'deliver':
    case 'payUnits':
      return `${call.kind}/${order}/${call.delivery.delivery.fence}`;
    default:
      return `${call.kind}/${order}`;
  }
}

type Sendable = Pick<TransactionRow, 'call' | 'nonce' | 'validUntilUs'>;

/** The unsigned body; the same row always gives the same bytes, and so the same id. */
export function bodyOf(config: MarketConfig, row: Sendable): TransactionBody {
  return {
    chain: config.chain,
    publicKey: config.signer.publicKey,
    nonce: row.nonce,
    validUntilUs: row.validUntilUs,
    fuelLimit: config.fuelLimit,
    fuelPrice: config.fuelPrice,
    calls: [...marketCallToCalls(row.call)],
  };
}

export const transactionIdOf = (config: MarketConfig, row: Sendable): string =>
  hashOf(TRANSACTION_DOMAIN, encodeWith(transactionBody, bodyOf(config, row)));
