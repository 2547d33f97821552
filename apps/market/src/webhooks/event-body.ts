/** What a webhook gets: one event as JSON, in a request signed with the market's key (RFC 9421). */
import { randomBytes } from 'node:crypto';
import { type Signer, signRequest } from '#libs/crypto';
import { formatAccount, utf8 } from '#libs/kernel';
import { jobEventToDocument } from '../http/documents.ts';
import type { LogEvent } from '../http/market-api.ts';
import type { SendRequest } from './sender.ts';
import type { Webhook } from './webhook.ts';

export interface EventSource {
  readonly signer: Signer;
  /** Genesis id. */
  readonly chain: string;
  readonly bodyBytesMax: number;
}

/** How long a signature is good: the receiver's window for replays by others. */
export const WEBHOOK_SIGNATURE_LIFETIME_S = 300;

/** The idempotency key: of an event, the same in every attempt and replay, and for every webhook. */
export const eventId = (order: string, seq: number): string => `${order}-${seq}`;

function signedPost(
  webhook: Pick<Webhook, 'url'>,
  id: string,
  content: object,
  source: EventSource,
  nowUs: number,
): SendRequest {
  const body = utf8(JSON.stringify(content));
  const headers = { 'content-type': 'application/json', 'webhook-id': id };
  const signed = signRequest({ method: 'POST', url: webhook.url, headers, body }, source.signer, {
    nowS: Math.floor(nowUs / 1_000_000),
    nonce: randomBytes(16).toString('hex'),
    lifetimeS: WEBHOOK_SIGNATURE_LIFETIME_S,
    alsoCover: ['content-type', 'webhook-id'],
  });
  return {
    url: webhook.url,
    body,
    headers: { ...headers, ...signed, 'user-agent': 'seele-webhooks/1' },
  };
}

/** The request for one event; too large ones say so and leave out their data. */
export function eventRequest(
  webhook: Webhook,
  order: string,
  event: LogEvent,
  source: EventSource,
  nowUs: number,
): SendRequest {
  const id = eventId(order, event.seq);
  const about = {
    id,
    webhook: webhook.id,
    market: formatAccount(source.signer.account),
    chain: source.chain,
    order,
  };
  const document = jobEventToDocument(event);
  const whole = signedPost(webhook, id, { ...about, ...document }, source, nowUs);
  if (whole.body.length <= source.bodyBytesMax) return whole;
  const cut = { ...about, ...document, data: {}, dataTooLarge: true };
  return signedPost(webhook, id, cut, source, nowUs);
}

/** The request of `seele webhooks test`. */
export function testRequest(webhook: Webhook, source: EventSource, nowUs: number): SendRequest {
  const id = `test-${randomBytes(8).toString('hex')}`;
  const content = {
    id,
    webhook: webhook.id,
    market: formatAccount(source.signer.account),
    chain: source.chain,
    kind: 'test',
    time: new Date(Math.floor(nowUs / 1000)).toISOString(),
    data: {},
  };
  return signedPost(webhook, id, content, source, nowUs);
}
