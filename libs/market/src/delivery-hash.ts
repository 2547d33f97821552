/** Deliveries by their hash: a provider may sign two under one fence, and only one of them counts. */
import { DELIVERY_DOMAIN, type Delivery, deliveryBytes } from '#contracts';
import { hashOf } from '#libs/crypto';
import type { ChainView } from './model/rows.ts';

export const deliveryHash = (delivery: Delivery): string =>
  hashOf(DELIVERY_DOMAIN, deliveryBytes(delivery));

/** True when the chain holds another delivery under the same fence: somebody relayed it there. */
export const isContradicted = (chain: ChainView, delivery: Delivery): boolean =>
  chain.state === 'delivered' &&
  chain.fence === delivery.fence &&
  chain.delivery !== deliveryHash(delivery);
