/**
 * Contract `orders`: prepaid money, and orders that hold it in escrow until they are settled, refunded
 * or cancelled. Who may do what and when: `rules.ts`; what is stored: `state.ts`.
 */
import type { SystemContract } from '#libs/ledger';
import { callBuilders } from '../contract-kit.ts';
import { createBatchMethods } from './batches.ts';
import { createEndingMethods } from './ending.ts';
import { createPrepaidMethods } from './prepaid.ts';
import { type OrdersRules, ordersRules } from './rules.ts';
import { ORDERS_CONTRACT, ordersSettings } from './state.ts';
import { viewMethods } from './views.ts';
import { createWorkingMethods } from './working.ts';

function createMethods(rules: OrdersRules) {
  return {
    ...createPrepaidMethods(rules),
    ...createWorkingMethods(rules),
    ...createEndingMethods(rules),
    ...createBatchMethods(rules),
    ...viewMethods,
  };
}

/**
 * The contract under given rules. A chain runs it under `ordersRules`; simulations replace single
 * rules to show that a broken contract is noticed.
 */
export function createOrdersContract(rules: OrdersRules = ordersRules): SystemContract {
  return {
    name: ORDERS_CONTRACT,
    methods: createMethods(rules),
    genesis: (context, parameters) => ordersSettings.write(context, parameters),
  };
}

export const ordersMethods = createMethods(ordersRules);
export const ordersCalls = callBuilders(ORDERS_CONTRACT, ordersMethods);
export const ordersContract = createOrdersContract();
