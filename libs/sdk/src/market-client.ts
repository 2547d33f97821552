/**
 * A market's HTTP API for programs: quotes, orders, their events, results and receipts. What changes
 * something is signed with the account key (RFC 9421).
 */
import type { Signer } from '#libs/crypto';
import { bytesToHex } from '#libs/kernel';
import type { SignedOrder } from '#contracts';
import type { Manifest } from '#libs/market';
import { errorFromProblem, sdkError } from './errors.ts';
import { type FollowOptions, followEvents } from './event-stream.ts';
import type {
  JobEventDocument,
  MarketStatus,
  OrderDocument,
  ProviderDocument,
  QuoteDocument,
} from './market-types.ts';
import { type SendOptions, type TransportOptions, createTransport, pause } from './transport.ts';

export interface MarketClientOptions extends TransportOptions {
  /** e.g. `http://127.0.0.1:7400` */
  readonly url: string;
  /** Account that orders; without one only public things can be read. */
  readonly signer?: Signer;
}

export interface WaitOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

export interface MarketClient {
  readonly url: string;
  status(): Promise<MarketStatus>;
  quote(manifest: Manifest): Promise<QuoteDocument>;
  /** Idempotent by the order's id. */
  submit(signed: SignedOrder, manifest: Manifest): Promise<OrderDocument>;
  orders(filter?: { readonly limit?: number }): Promise<readonly OrderDocument[]>;
  order(id: string): Promise<OrderDocument>;
  cancel(id: string): Promise<OrderDocument>;
  /** Every event of the job from the first on, live, across disconnects. */
  events(id: string, options?: FollowOptions): AsyncGenerator<JobEventDocument>;
  result(id: string): Promise<Uint8Array>;
  receipt(id: string): Promise<Uint8Array>;
  providers(): Promise<readonly ProviderDocument[]>;
  /** The order once it ended. @throws SDK_TIMEOUT */
  waitForEnd(id: string, options: WaitOptions): Promise<OrderDocument>;
}

/** An order in one of these states never changes again. */
export const ENDED: ReadonlySet<OrderDocument['status']> = new Set([
  'settled',
  'refunded',
  'cancelled',
  'rejected',
]);

const POLL_MS = 100;
const POLL_MAX_MS = 1_000;

export function createMarketClient(options: MarketClientOptions): MarketClient {
  const url = options.url.replace(/\/+$/, '');
  const transport = createTransport(options);

  const send = async (
    method: string,
    path: string,
    body?: unknown,
    how: SendOptions = {},
  ): Promise<Response> => {
    const headers: Record<string, string> =
      body === undefined ? {} : { 'content-type': 'application/json' };
    const text = body === undefined ? {} : { body: JSON.stringify(body) };
    const request = new Request(url + path, { method, headers, ...text });
    const response = await transport.send(request, how);
    if (response.ok) return response;
    throw errorFromProblem(response.status, await response.json().catch(() => null), url + path);
  };

  const json = async <T>(method: string, path: string, body?: unknown, how?: SendOptions) => {
    const response = await send(method, path, body, how);
    try {
      return (await response.json()) as T;
    } catch (error) {
      throw sdkError('SDK_ANSWER_INVALID', `${url}${path} did not answer JSON`, { cause: error });
    }
  };
  const bytes = async (path: string) =>
    new Uint8Array(await (await send('GET', path, undefined, own)).arrayBuffer());
  /** Things of one account are signed even when they are only read. */
  const own: SendOptions = options.signer ? { sign: true } : {};
  const orderPath = (id: string) => `/v1/orders/${encodeURIComponent(id)}`;

  const client: MarketClient = {
    url,
    status: () => json('GET', '/v1/status'),
    quote: (manifest) => json('POST', '/v1/quotes', { manifest }, { sign: false }),
    submit: (signed, manifest) =>
      json('POST', '/v1/orders', { order: signedOrderToJson(signed), manifest }, own),
    async orders({ limit = 20 } = {}) {
      const page = await json<{ items: OrderDocument[] }>(
        'GET',
        `/v1/orders?limit=${limit}`,
        undefined,
        own,
      );
      return page.items;
    },
    order: (id) => json('GET', orderPath(id), undefined, own),
    cancel: (id) => json('POST', `${orderPath(id)}/cancel`, {}, own),
    async *events(id, follow = {}) {
      const from = `${url}${orderPath(id)}/events`;
      const signed = own.sign === undefined ? {} : { sign: own.sign };
      for await (const { event, data } of followEvents(transport, from, { ...signed, ...follow })) {
        // A snapshot stands for entries that were skipped; the log itself has them.
        if (event === 'snapshot') continue;
        yield JSON.parse(data) as JobEventDocument;
      }
    },
    result: (id) => bytes(`${orderPath(id)}/result`),
    receipt: (id) => bytes(`${orderPath(id)}/receipt`),
    async providers() {
      return (await json<{ items: ProviderDocument[] }>('GET', '/v1/providers')).items;
    },
    async waitForEnd(id, { timeoutMs, signal }) {
      const deadline = performance.now() + timeoutMs;
      for (let delay = POLL_MS; ; delay = Math.min(POLL_MAX_MS, delay * 1.5)) {
        const order = await client.order(id);
        if (ENDED.has(order.status) || signal?.aborted) return order;
        if (performance.now() > deadline)
          throw sdkError('SDK_TIMEOUT', `order ${id} is still ${order.status}`);
        await pause(delay, signal);
      }
    },
  };
  return client;
}

/** The signed order as JSON: amounts as decimal strings, the signature in hex. */
export function signedOrderToJson({ order, publicKey, signature }: SignedOrder): object {
  return {
    order: { ...order, priceCap: order.priceCap.toString() },
    publicKey,
    signature: bytesToHex(signature),
  };
}
