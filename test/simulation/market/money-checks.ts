/** Money on the chain of a simulation: where somebody owns it, and nowhere twice. */
import {
  ORDERS_CONTRACT,
  TOKEN_CONTRACT,
  orderRecord,
  ordersKeys,
  prepaid,
  tokenAmount,
  tokenKeys,
} from '#contracts';
import { contractAccount } from '#libs/crypto';
import { bytesToHex, decodeWith } from '#libs/kernel';
import type { Chain } from '#libs/ledger';

const SCAN = 10_000;

/** I1, I2 and I4: supply, balances and what each order holds. */
export function checkMoney(
  chain: Chain,
  expected: bigint,
  check: (holds: boolean, name: string, text: () => string) => void,
): void {
  let supply = 0n;
  for (const [, bytes] of chain.scan(TOKEN_CONTRACT, tokenKeys.balances, { limit: SCAN }))
    supply += decodeWith(tokenAmount, bytes);
  check(supply === expected, 'I1', () => `${supply} tokens of ${expected}`);
  let held = 0n;
  for (const [, bytes] of chain.scan(ORDERS_CONTRACT, ordersKeys.allPrepaid, { limit: SCAN }))
    held += decodeWith(prepaid, bytes).balance;
  for (const [key, bytes] of chain.scan(ORDERS_CONTRACT, ordersKeys.orders, { limit: SCAN })) {
    const { escrow, paid, refunded, order, state } = decodeWith(orderRecord, bytes);
    held += escrow;
    const id = (): string => bytesToHex(key.subarray(ordersKeys.orders.length));
    const isArray = order.array !== undefined;
    const isSound = isArray
      ? escrow + paid <= order.priceCap
      : escrow + paid + refunded === order.priceCap;
    check(isSound, 'I2', () => `sums of order ${id()}`);
    check(
      state === 'settled' || isArray || paid === 0n,
      'I4',
      () => `order ${id()} paid and ${state}`,
    );
  }
  const { balance } = chain.account(contractAccount(ORDERS_CONTRACT));
  check(balance === held, 'I1', () => `orders holds ${balance}, owes ${held}`);
}
