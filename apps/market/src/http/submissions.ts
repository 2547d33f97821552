/** From the body of a request to what the market is asked to take on. */
import { type AccountId, hexToBytes } from '#libs/kernel';
import type { Submission } from '#libs/market';
import { platformError } from '#libs/platform';
import { manifestFromDocument, signedOrderFromDocument } from './documents.ts';
import type { MarketApi } from './market-api.ts';
import type { OrderRequest } from './schemas.ts';

/** @throws HTTP_OVERLOADED */
export function refuseWhenCrowded({ isCrowded }: MarketApi): void {
  if (isCrowded)
    throw platformError('HTTP_OVERLOADED', 'the market is busy with running work', {
      detail: { retryAfterSeconds: 1 },
    });
}

/** @throws HTTP_FORBIDDEN when it is of another account than the request */
export function submissionOf(body: OrderRequest, by: AccountId): Submission {
  const order = signedOrderFromDocument(body.order);
  if (order.order.consumer !== by)
    throw platformError('HTTP_FORBIDDEN', 'the order is of another account than the request');
  const quote = body.quote === undefined ? undefined : hexToBytes(body.quote);
  return { order, manifest: manifestFromDocument(body.manifest), ...(quote && { quote }) };
}
