/**
 * Webhooks on the receiver's side: is this request of that market, unchanged, fresh, and new? Nothing
 * but the market's account is needed, no network and no shared secret (RFC 9421, RFC 9530).
 *
 * @example
 * const receive = createWebhookReceiver({ market: 'seele1…', url: 'https://hooks.example.com/seele' });
 * const { event, isRepeated } = receive({ method, headers, body }); // body: the bytes as received
 * if (!isRepeated) await handle(event);
 * answer(204);
 */
import { verifyRequest } from '#libs/crypto';
import { parseAccount, utf8Decode } from '#libs/kernel';
import { sdkError } from './errors.ts';
import type { WebhookEventDocument } from './market-types.ts';

export interface WebhookRequestParts {
  readonly method: string;
  /** The address as it was registered, also when a proxy stands before the receiver. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** Exactly the bytes that came. */
  readonly body: Uint8Array;
}

export interface VerifyWebhookOptions {
  /** Account of the market, `seele1…`: `seele webhooks list` and /v1/status tell it. */
  readonly market: string;
  /** Seconds since the Unix epoch; preset: now. */
  readonly nowS?: number;
}

/** A signature older than this is refused: the window for replays by others. */
const SIGNATURE_MAX_S = 300;
const BODY_MAX_BYTES = 1024 * 1024;
const EVENT_ID = /^([0-9a-f]{64}-\d{1,10}|test-[0-9a-f]{1,64})$/;

const malformed = (why: string, cause?: unknown) => sdkError('SDK_WEBHOOK', why, { cause });

function eventOf(body: Uint8Array): WebhookEventDocument {
  if (body.length > BODY_MAX_BYTES) throw malformed(`the body has ${body.length} bytes`);
  let event: Partial<WebhookEventDocument> | null;
  try {
    event = JSON.parse(utf8Decode(body)) as Partial<WebhookEventDocument> | null;
  } catch (cause) {
    throw malformed('the body is not JSON', cause);
  }
  const isEvent =
    typeof event?.id === 'string' &&
    EVENT_ID.test(event.id) &&
    typeof event.kind === 'string' &&
    typeof event.time === 'string';
  if (!isEvent) throw malformed('the body is not an event of a market');
  return event as WebhookEventDocument;
}

/**
 * The event of a request, once its signature, digest, age and sender hold.
 *
 * @throws HTTP_SIGNATURE_MISSING, HTTP_SIGNATURE_MALFORMED, HTTP_SIGNATURE_INSUFFICIENT,
 *   HTTP_SIGNATURE_EXPIRED, HTTP_SIGNATURE_WRONG, HTTP_DIGEST_MISMATCH, KERNEL_ID_INVALID, SDK_WEBHOOK
 */
export function verifyWebhook(
  request: WebhookRequestParts,
  { market, nowS = Math.floor(Date.now() / 1000) }: VerifyWebhookOptions,
): WebhookEventDocument {
  const account = parseAccount(market);
  const proof = verifyRequest(request, {
    nowS,
    maxLifetimeS: SIGNATURE_MAX_S,
    alsoRequire: ['webhook-id'],
  });
  if (proof.account !== account)
    throw malformed('it is signed by another account than the market’s');
  const event = eventOf(request.body);
  const id = Object.entries(request.headers).find(([name]) => name.toLowerCase() === 'webhook-id');
  if (id?.[1] !== event.id) throw malformed('webhook-id is not the id of the event');
  return event;
}

export interface WebhookReceiverOptions {
  readonly market: string;
  /** The address as it was registered. */
  readonly url: string;
  /** Ids remembered to recognise repetitions; the oldest are forgotten. Keep them in your database
   *  when a repetition must be noticed across restarts. */
  readonly rememberMax?: number;
}

export interface ReceivedWebhook {
  readonly event: WebhookEventDocument;
  /** It came before (at least once means: sometimes twice): answer with 204 and do nothing. */
  readonly isRepeated: boolean;
}

const REMEMBER_MAX = 100_000;

/** A verifier of one webhook that also remembers what it has seen. */
export function createWebhookReceiver({
  market,
  url,
  rememberMax = REMEMBER_MAX,
}: WebhookReceiverOptions): (request: Omit<WebhookRequestParts, 'url'>) => ReceivedWebhook {
  const seen = new Set<string>();
  return (request) => {
    const event = verifyWebhook({ ...request, url }, { market });
    const isRepeated = seen.has(event.id);
    if (!isRepeated) {
      const [oldest] = seen;
      if (seen.size >= rememberMax && oldest !== undefined) seen.delete(oldest);
      seen.add(event.id);
    }
    return { event, isRepeated };
  };
}
