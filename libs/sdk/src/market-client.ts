/**
 * A market's HTTP API for programs: quotes, orders, their events, results and receipts. What changes
 * something is signed with the account key (RFC 9421).
 */
import createClient from 'openapi-fetch';
import type { Signer } from '#libs/crypto';
import { bytesToHex, hasCode } from '#libs/kernel';
import type { SignedOrder } from '#contracts';
import type { Manifest } from '#libs/market';
import { errorFromProblem, sdkError } from './errors.ts';
import { type FollowOptions, followEvents } from './event-stream.ts';
import type { paths } from './generated/market-api.ts';
import type {
  JobEventDocument,
  ManifestDocument,
  MarketStatus,
  OrderDocument,
  OrderRequestDocument,
  ProviderDocument,
  QuoteDocument,
  WebhookDocument,
  WebhookReplayRequestDocument,
  WebhookRequestDocument,
  WebhookTestDocument,
  WhyDocument,
} from './market-types.ts';
import { type SendOptions, type TransportOptions, createTransport, pause } from './transport.ts';

export interface MarketClientOptions extends TransportOptions {
  /** e.g. `http://127.0.0.1:7400` */
  readonly url: string;
  /** Account that orders; without one only public things can be read. */
  readonly signer?: Signer;
}

/** An order as it is submitted. */
export interface OrderRequest {
  readonly signed: SignedOrder;
  readonly manifest: Manifest;
  /** `signed` of a quote: its price is the cap. */
  readonly quote?: string;
}

export interface WaitOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

export interface MarketClient {
  readonly url: string;
  status(): Promise<MarketStatus>;
  quote(manifest: Manifest): Promise<QuoteDocument>;
  /** Idempotent by the order's id. With `signed` of a quote its price is the cap. */
  submit(signed: SignedOrder, manifest: Manifest, quote?: string): Promise<OrderDocument>;
  /** Orders that read each other's results, makers first: all are taken or none. */
  submitGraph(orders: readonly OrderRequest[]): Promise<readonly OrderDocument[]>;
  orders(filter?: { readonly limit?: number }): Promise<readonly OrderDocument[]>;
  order(id: string): Promise<OrderDocument>;
  cancel(id: string): Promise<OrderDocument>;
  /** Why it waits, and every decision about it with its inputs. */
  why(id: string): Promise<WhyDocument>;
  /** Every event of the job from the first on, live, across disconnects. */
  events(id: string, options?: FollowOptions): AsyncGenerator<JobEventDocument>;
  result(id: string): Promise<Uint8Array>;
  /**
   * The receipt. Its last log entries are anchored a moment after the order ended: with `wait` that
   * moment is waited for. @throws MARKET_NOT_READY
   */
  receipt(
    id: string,
    wait?: WaitOptions,
    /** The small receipt of one task of an order of many. */
    task?: number,
  ): Promise<Uint8Array>;
  providers(): Promise<readonly ProviderDocument[]>;
  readonly webhooks: WebhookCalls;
  /** The order once it ended. @throws SDK_TIMEOUT */
  waitForEnd(id: string, options: WaitOptions): Promise<OrderDocument>;
}

/** Webhooks of the client's account. */
export interface WebhookCalls {
  /** The same again gives the one there is. @throws WEBHOOK_URL, WEBHOOK_LIMIT */
  add(webhook: WebhookRequestDocument): Promise<WebhookDocument>;
  list(): Promise<readonly WebhookDocument[]>;
  remove(id: string): Promise<void>;
  /** Switched off: on again, and what waits is sent. */
  resume(id: string): Promise<WebhookDocument>;
  /** Sends a range of an order's events once more. @throws WEBHOOK_RANGE */
  replay(id: string, range: WebhookReplayRequestDocument): Promise<{ readonly queued: number }>;
  /** Sends an event `test` now. */
  test(id: string): Promise<WebhookTestDocument>;
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
  /** Things of one account are signed even when they are only read. */
  const own: SendOptions = options.signer ? { sign: true } : {};
  const api = createClient<paths>({
    baseUrl: url,
    fetch: (request) => transport.send(request, isPublic(request) ? { sign: false } : own),
  });

  /** The answer of a call, or the error that it carries. */
  const answer = async <T>(called: Promise<{ data?: T; error?: unknown; response: Response }>) => {
    const { data, error, response } = await called;
    if (data !== undefined && response.ok) return data;
    throw errorFromProblem(response.status, error, response.url || url);
  };
  const bytes = async (
    called: Promise<{ data?: ArrayBuffer; error?: unknown; response: Response }>,
  ) => new Uint8Array(await answer(called));

  const client: MarketClient = {
    url,
    status: () => answer(api.GET('/v1/status')),
    quote: (manifest) =>
      answer(api.POST('/v1/quotes', { body: { manifest: manifestToDocument(manifest) } })),
    submit: (signed, manifest, quote) => {
      const body = requestOf({ signed, manifest, ...(quote !== undefined && { quote }) });
      return answer(api.POST('/v1/orders', { body }));
    },
    async submitGraph(orders) {
      const body = { orders: orders.map(requestOf) };
      return (await answer(api.POST('/v1/graphs', { body }))).items;
    },
    async orders({ limit = 20 } = {}) {
      const params = { query: { limit } };
      return (await answer(api.GET('/v1/orders', { params }))).items;
    },
    order: (id) => answer(api.GET('/v1/orders/{id}', { params: { path: { id } } })),
    why: (id) => answer(api.GET('/v1/orders/{id}/why', { params: { path: { id } } })),
    cancel: (id) => answer(api.POST('/v1/orders/{id}/cancel', { params: { path: { id } } })),
    async *events(id, follow = {}) {
      const from = `${url}/v1/orders/${encodeURIComponent(id)}/events`;
      const signed = own.sign === undefined ? {} : { sign: own.sign };
      for await (const { event, data } of followEvents(transport, from, { ...signed, ...follow })) {
        // A snapshot stands for entries that were skipped; the log itself has them.
        if (event === 'snapshot') continue;
        yield JSON.parse(data) as JobEventDocument;
      }
    },
    result: (id) => {
      const params = { path: { id } };
      return bytes(api.GET('/v1/orders/{id}/result', { params, parseAs: 'arrayBuffer' }));
    },
    async receipt(id, { timeoutMs, signal } = { timeoutMs: 0 }, task) {
      const params = { path: { id }, ...(task !== undefined && { query: { task } }) };
      const deadline = performance.now() + timeoutMs;
      for (;;) {
        try {
          return await bytes(
            api.GET('/v1/orders/{id}/receipt', { params, parseAs: 'arrayBuffer' }),
          );
        } catch (error) {
          const early = hasCode(error, 'MARKET_NOT_READY');
          if (!early || performance.now() > deadline || signal?.aborted) throw error;
        }
        await pause(POLL_MS, signal);
      }
    },
    async providers() {
      return (await answer(api.GET('/v1/providers'))).items;
    },
    webhooks: {
      add: (body) => answer(api.POST('/v1/webhooks', { body })),
      list: async () => (await answer(api.GET('/v1/webhooks'))).items,
      remove: async (id) => {
        const { response, error } = await api.DELETE('/v1/webhooks/{id}', {
          params: { path: { id } },
        });
        if (!response.ok) throw errorFromProblem(response.status, error, response.url || url);
      },
      resume: (id) => answer(api.POST('/v1/webhooks/{id}/resume', { params: { path: { id } } })),
      replay: (id, body) =>
        answer(api.POST('/v1/webhooks/{id}/replay', { params: { path: { id } }, body })),
      test: (id) => answer(api.POST('/v1/webhooks/{id}/test', { params: { path: { id } } })),
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

const requestOf = ({ signed, manifest, quote }: OrderRequest): OrderRequestDocument => ({
  order: signedOrderToDocument(signed),
  manifest: manifestToDocument(manifest),
  ...(quote !== undefined && { quote }),
});

/** What anyone may ask: signing it would only tell who asks. */
function isPublic(request: Request): boolean {
  return /^\/v1\/(quotes|status|providers)\b/.test(new URL(request.url).pathname);
}

function manifestToDocument({
  resources,
  metering,
  placement,
  array,
  validator,
  from,
  ...manifest
}: Manifest): ManifestDocument {
  const { diskBytes, ...needed } = resources;
  return {
    ...manifest,
    version: 1,
    ...(placement && { placement: placementToDocument(placement) }),
    ...(array && { array: arrayToDocument(array) }),
    ...(validator && {
      validator: {
        ...{ code: validator.code, params: validator.params },
        ...(validator.fuel !== undefined && { fuel: validator.fuel.toString() }),
      },
    }),
    ...(metering && {
      metering: {
        fuel: metering.fuel.toString(),
        ...(metering.checkpointFuel !== undefined && {
          checkpointFuel: metering.checkpointFuel.toString(),
        }),
        ...(metering.epochMs !== undefined && { epochMs: metering.epochMs }),
      },
    }),
    inputs: [...manifest.inputs],
    ...(from && { from: from.map(whole) }),
    resources: { ...needed, ...(diskBytes === undefined ? {} : { diskBytes }) },
  };
}

type Given<T> = { [K in keyof T]: Exclude<T[K], undefined> };

/** Without the fields that are not set. */
const whole = <T extends object>(value: T): Given<T> =>
  Object.fromEntries(Object.entries(value).filter(([, part]) => part !== undefined)) as Given<T>;

function arrayToDocument({
  taskInput,
  check,
  ...rest
}: NonNullable<Manifest['array']>): NonNullable<ManifestDocument['array']> {
  return {
    ...rest,
    ...(check && { check }),
    ...(taskInput && { taskInput: whole(taskInput) }),
  };
}

function placementToDocument({
  domains,
  levels,
  priority,
  regions,
  weights,
}: NonNullable<Manifest['placement']>): NonNullable<ManifestDocument['placement']> {
  return {
    ...(weights && { weights }),
    ...(priority !== undefined && { priority }),
    ...(domains && { domains: [...domains] }),
    ...(levels && { levels: [...levels] }),
    ...(regions && { regions: [...regions] }),
  };
}

/** The signed order as JSON: amounts as decimal strings, the signature in hex. */
function signedOrderToDocument({
  order,
  publicKey,
  signature,
}: SignedOrder): OrderRequestDocument['order'] {
  const { array, ...rest } = order;
  return {
    order: {
      ...rest,
      priceCap: order.priceCap.toString(),
      ...(array && { array: { ...array, unitPrice: array.unitPrice.toString() } }),
    },
    publicKey,
    signature: bytesToHex(signature),
  };
}
