/**
 * Contract `deals`: content kept for money. A consumer pays in advance; providers put collateral down
 * for one shard each, answer a challenge drawn from a block's hash in every epoch, and are paid for
 * each epoch they proved. Who misses or lies loses collateral, and the shard goes to another provider.
 */
import type { SystemContract } from '#libs/ledger';
import { callBuilders } from '../contract-kit.ts';
import { proposingMethods } from './proposing.ts';
import { provingMethods } from './proving.ts';
import { DEALS_CONTRACT, dealsSettings } from './state.ts';

export const dealsMethods = { ...proposingMethods, ...provingMethods };
export const dealsCalls = callBuilders(DEALS_CONTRACT, dealsMethods);
export const dealsContract: SystemContract = {
  name: DEALS_CONTRACT,
  methods: dealsMethods,
  genesis: (context, parameters) => dealsSettings.write(context, parameters),
};
