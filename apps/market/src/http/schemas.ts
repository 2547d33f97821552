/**
 * The documents of the HTTP API. Amounts are decimal strings of the smallest unit, times ISO 8601
 * (inside a signed order: whole microseconds, as signed), accounts `seele1…`, hashes hex.
 */
import { z } from 'zod';

export const amount = z
  .string()
  .regex(/^(0|[1-9]\d{0,19})$/)
  .describe('Smallest units, decimal');
const fuelAmount = amount.describe('Fuel, decimal');
export const hash = z
  .string()
  .regex(/^[0-9a-f]{64}$/)
  .describe('32 bytes in lower-case hex');
export const account = z
  .string()
  .regex(/^seele1[02-9ac-hj-np-z]{58}$/)
  .describe('Account, seele1…');
/** Signed documents hold accounts as 32 bytes; both spellings of them are read. */
const accountInput = z
  .string()
  .regex(/^(seele1[02-9ac-hj-np-z]{58}|[0-9a-f]{64})$/)
  .describe('Account, seele1… or 32 bytes in hex');
const cid = z
  .string()
  .min(8)
  .max(128)
  .regex(/^[A-Za-z0-9]+$/)
  .describe('CID');
export const time = z.iso.datetime().describe('ISO 8601, UTC');
const timeUs = z.int().min(0).describe('Microseconds since the Unix epoch');
export const count = z.int().min(0);
const tier = z.enum(['A', 'B', 'C']).describe('A cheap, B fast, C safe');
const isolation = z.enum(['S0', 'S1', 'S2', 'S3', 'S4']);
const domain = z.enum(['public', 'vetted', 'confidential', 'private']);
const level = z.enum(['eco', 'standard', 'fast', 'assured']);
const weight = z.int().min(0).max(1000);
const share = z.number().min(0).max(1);

const taskCount = z.int().min(1).max(10_000);
const replicaCount = z.int().min(1).max(16);
const ranges = z.array(z.object({ from: count, count }));

export const orderIdParameter = hash.describe('Order id');

export const manifestDocument = z
  .strictObject({
    version: z.literal(1),
    name: z.string().max(200),
    kind: z.enum(['js', 'wasm', 'verifiable']),
    metering: z
      .strictObject({
        fuel: fuelAmount,
        checkpointFuel: fuelAmount.optional(),
        epochMs: count.optional().describe('What the job’s clock says'),
      })
      .optional()
      .describe('For verifiable, possible for wasm'),
    code: cid,
    inputs: z.array(z.strictObject({ name: z.string().max(100), cid, sizeBytes: count })).max(64),
    from: z
      .array(
        z.strictObject({
          name: z.string().max(100),
          order: hash,
          task: z.int().min(0).max(9_999).optional(),
        }),
      )
      .max(64)
      .optional()
      .describe('Inputs that are results of earlier orders of the same account'),
    params: z.string().max(65_536).describe('JSON text, handed to the job'),
    limits: z.strictObject({
      wallMs: count,
      cpuMs: count,
      memoryBytes: count,
      outputBytes: count,
      logLines: count,
      logBytes: count,
      hostCalls: count,
    }),
    minIsolation: isolation,
    tier,
    resources: z.strictObject({
      cores: count,
      memoryBytes: count,
      diskBytes: count.optional(),
    }),
    placement: z
      .strictObject({
        weights: z
          .strictObject({ cost: weight, time: weight, risk: weight })
          .optional()
          .describe('How much each matters against the others; instead of the tier’s'),
        domains: z.array(domain).max(4).optional().describe('Only these'),
        levels: z.array(level).max(4).optional().describe('Only these'),
        regions: z.array(z.string().max(40)).max(16).optional().describe('Only these'),
        priority: z.int().min(0).max(9).optional().describe('Among your own waiting orders'),
      })
      .optional()
      .describe('Where it may run and what matters'),
    array: z
      .strictObject({
        tasks: taskCount,
        replicas: replicaCount,
        check: z
          .enum(['majority', 'adaptive'])
          .optional()
          .describe('How replicas decide: more than half of them, or two that agree'),
        taskInput: z
          .strictObject({ name: z.string().max(100), list: cid.optional(), order: hash.optional() })
          .optional()
          .describe('One input per task: from a document that lists them, or from another order'),
      })
      .optional()
      .describe('Many tasks of one program'),
    validator: z
      .strictObject({ code: cid, params: z.string().max(65_536), fuel: amount.optional() })
      .optional()
      .describe('A program that says of each result whether it counts'),
  })
  .meta({ id: 'Manifest' });
export type ManifestDocument = z.infer<typeof manifestDocument>;

export const quoteRequest = z
  .strictObject({ manifest: manifestDocument, priceCap: amount.optional() })
  .meta({ id: 'QuoteRequest' });

export const quoteDocument = z
  .object({
    options: z
      .array(
        z.object({
          provider: account.describe('The best of the cell at this moment'),
          name: z.string(),
          cell: z.string().describe('<domain>.<level>'),
          isolation,
          providers: count.describe('That could take it'),
          free: count.describe('Of those, with room now'),
          priceCap: amount.describe('Most that will be charged; what is not used is given back'),
          expectedPrice: amount,
          unitPrice: amount.optional().describe('Of many tasks: most for one unit'),
          units: count.optional().describe('Of many tasks: units that may be paid, replicas too'),
          startMs: z.number(),
          finishMs: z
            .object({ likely: z.number(), earliest: z.number(), latest: z.number() })
            .describe('From the order to its accepted result'),
          isCalibrated: z
            .boolean()
            .describe('False while too little was seen for more than a guess'),
          risk: z
            .object({
              wrong: share.describe('Probability that a wrong result is accepted'),
              colluders: share.describe('If this share of the operators lied together'),
              check: z.enum(['single', 'quorum', 'replay', 'validator']),
              replicas: count,
              isAdaptive: z
                .boolean()
                .describe(
                  'Two that agree decide; who is trusted works alone, checked now and then',
                ),
              checkChance: share.describe('Least share of results that somebody else looks at'),
            })
            .describe('What is done about wrong results there, and what is left'),
        }),
      )
      .describe('One for each cell that could take it, best first'),
    id: hash.describe('Names the quote'),
    validUntil: time.describe('Until then it binds'),
    signed: z
      .string()
      .regex(/^([0-9a-f]{2}){1,16384}$/)
      .describe('The terms and the market’s signature: pass them with an order'),
    considered: count,
    reasons: z.array(z.object({ code: z.string(), providers: count, text: z.string() })),
  })
  .meta({ id: 'Quote' });

export const orderRequest = z
  .strictObject({
    order: z.strictObject({
      order: z.strictObject({
        chain: hash.describe('Genesis id'),
        consumer: accountInput,
        market: accountInput,
        salt: z.string().regex(/^[0-9a-f]{32}$/),
        manifest: cid.describe('CID of the manifest as a dag-cbor block'),
        priceCap: amount,
        placeByUs: timeUs,
        completeByUs: timeUs,
        array: z
          .strictObject({ tasks: taskCount, replicas: replicaCount, unitPrice: amount })
          .optional()
          .describe('For an order of many tasks'),
      }),
      publicKey: z.string().regex(/^[0-9a-f]{66}$/),
      signature: z.string().regex(/^([0-9a-f]{2}){1,96}$/),
    }),
    manifest: manifestDocument,
    quote: z
      .string()
      .regex(/^([0-9a-f]{2}){1,16384}$/)
      .optional()
      .describe('`signed` of a quote for this manifest: its price then is the cap'),
  })
  .meta({ id: 'OrderRequest' });
export type OrderRequest = z.infer<typeof orderRequest>;

export const graphRequest = z
  .strictObject({
    orders: z
      .array(orderRequest)
      .min(1)
      .max(100)
      .describe('Of one account; those whose results others read come first'),
  })
  .meta({ id: 'GraphRequest' });
export type GraphRequest = z.infer<typeof graphRequest>;

export const reason = z.object({ code: z.string(), text: z.string() });
export const ORDER_STATUSES = [
  'blocked',
  'queued',
  'running',
  'paused',
  'leased',
  'checking',
  'delivered',
  'closing',
  'settled',
  'refunded',
  'cancelled',
  'rejected',
] as const;

export const orderDocument = z
  .object({
    id: hash,
    name: z.string(),
    consumer: account,
    kind: z.enum(['js', 'wasm', 'verifiable']),
    tier,
    status: z.enum(ORDER_STATUSES),
    reason: reason.optional(),
    priceCap: amount,
    acceptedAt: time,
    completeBy: time,
    endedAt: time.optional(),
    attempts: count,
    provider: account.optional(),
    price: amount.optional(),
    exit: z.string().optional(),
    result: cid.optional(),
    usage: z
      .object({
        cpuMs: count,
        wallMs: count,
        peakMemoryBytes: count,
        inputBytes: count,
        outputBytes: count,
      })
      .optional(),
    metered: z
      .object({
        engine: hash,
        fuel: fuelAmount,
        checkpoints: count,
        checkpointsRoot: hash,
        outputChain: hash,
        outputBytes: count,
      })
      .optional()
      .describe('What a run in the metered engine came to'),
    charge: amount.optional(),
    log: z.object({ length: count, head: hash }),
    array: z
      .object({
        tasks: count,
        replicas: count,
        unitPrice: amount,
        pending: count.describe('Units not in anybody’s hands'),
        done: count,
        failed: count,
        openBatches: count.describe('Batches that the chain has not settled'),
        givenUp: ranges,
      })
      .optional()
      .describe('Of an order of many tasks'),
    inputs: z
      .array(
        z.object({
          name: z.string(),
          order: hash,
          task: count.optional(),
          isEach: z.boolean().optional().describe('Each task reads the one of its number'),
          result: cid.optional().describe('That order’s result, once it is there'),
          cid: cid.optional().describe('What the job reads of it'),
          sizeBytes: count.optional(),
        }),
      )
      .optional()
      .describe('Inputs that other orders make'),
    logLost: z
      .boolean()
      .optional()
      .describe('The market lost its log: there is no receipt, the chain has the money'),
    chain: z.object({ state: z.string(), height: count, paid: amount, refunded: amount }),
  })
  .meta({ id: 'Order' });
export type OrderDocument = z.infer<typeof orderDocument>;

export const orderListQuery = z.object({
  consumer: accountInput.optional(),
  provider: accountInput.optional(),
  status: z.enum(ORDER_STATUSES).optional(),
  limit: z.coerce.number<string>().int().min(1).max(200).default(20),
  cursor: z
    .string()
    .regex(/^\d{1,16}-[0-9a-f]{64}$/)
    .optional()
    .describe('`next` of the page before'),
});
export type OrderListQuery = z.infer<typeof orderListQuery>;

export const receiptQuery = z.object({
  task: z.coerce
    .number<string>()
    .int()
    .min(0)
    .max(9_999)
    .optional()
    .describe('Only of this task of an order of many'),
});
export type ReceiptQuery = z.infer<typeof receiptQuery>;

export const orderListDocument = z
  .object({
    items: z.array(orderDocument).describe('Newest first'),
    next: z.string().optional().describe('`cursor` of the next page'),
  })
  .meta({ id: 'OrderList' });

export const graphDocument = z
  .object({ items: z.array(orderDocument).describe('As they were sent') })
  .meta({ id: 'Graph' });

export const providerDocument = z
  .object({
    provider: account,
    name: z.string(),
    cell: z.string(),
    online: z.boolean(),
    draining: z.boolean().describe('It finishes what it has and takes nothing new'),
    freeSlots: count,
    leases: count,
    completed: count,
    faults: count,
    lastSeen: time,
    offer: z.record(z.string(), z.union([z.string(), z.number()])),
  })
  .meta({ id: 'Provider' });

export const providerListDocument = z
  .object({ items: z.array(providerDocument) })
  .meta({ id: 'ProviderList' });

export const statusDocument = z
  .object({
    name: z.string(),
    market: account.describe('What an order names as its market'),
    chain: hash.describe('Genesis id'),
    height: count.describe('Last block taken in'),
    openOrders: count,
    providersOnline: count,
    quotes: z
      .object({
        ended: count,
        kept: count,
        late: count,
        dear: count,
        failed: count,
        keptShare: share.optional().describe('Absent until one ended'),
      })
      .describe('Orders with a quote: price and finish kept, or why not'),
  })
  .meta({ id: 'Status' });

export const problemDocument = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    code: z.string(),
    fix: z.string(),
    instance: z.string().optional(),
  })
  .meta({ id: 'Problem', description: 'RFC 9457 problem details' });

/** One `data:` line of the event stream. */
export const jobEventDocument = z
  .object({
    seq: count.optional().describe('Place in the job log; absent for progress'),
    kind: z.string(),
    time,
    data: z.record(z.string(), z.unknown()),
  })
  .meta({ id: 'JobEvent' });
export type JobEventDocument = z.infer<typeof jobEventDocument>;
