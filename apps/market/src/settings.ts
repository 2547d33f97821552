import { z } from 'zod';
import { parseAccount } from '#libs/kernel';
import { AUDIT_LEAST, REPLAY_CHANCE } from '#libs/market';
import {
  type SettingsOf,
  defineSettings,
  durationMs,
  flag,
  httpUrl,
  plainText,
  portNumber,
  wholeNumber,
} from '#libs/platform';

const KIB = 1024;

const databaseUrl = z.url({
  protocol: /^postgres(ql)?$/,
  error: 'expected a postgresql:// URL',
});
const redisUrl = z.url({ protocol: /^rediss?$/, error: 'expected a redis:// or rediss:// URL' });

/** What a text stands for, or what is wrong with it. */
function orIssue<T>(read: () => T, context: z.RefinementCtx): T {
  try {
    return read();
  } catch (error) {
    context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : 'wrong' });
    return z.NEVER;
  }
}

const TENANTS_MAX = 1000;
const tenant = z.strictObject({
  account: z.string().transform((text, context) => orIssue(() => parseAccount(text), context)),
  weight: z.number().positive().max(1000).default(1),
  quota: z.number().min(0).max(1).default(0),
});
/** JSON, or what it stands for. */
const tenants = z
  .union([
    z.array(z.unknown()),
    z.string().transform((text, context) => orIssue((): unknown => JSON.parse(text), context)),
  ])
  .pipe(z.array(tenant).max(TENANTS_MAX))
  .refine(
    (list) => list.reduce((sum, { quota }) => sum + quota, 0) <= 1,
    'quotas add up to above 1',
  )
  .refine(
    (list) => new Set(list.map(({ account }) => account)).size === list.length,
    'an account is named twice',
  );

const PORTS_MAX = 16;
/** Numbers separated by commas, or a list of them. */
const ports = z
  .union([
    z.array(z.unknown()),
    z.string().transform((text) => text.split(',').map((part) => Number(part.trim()))),
  ])
  .pipe(z.array(z.int().min(1).max(65_535)).min(1).max(PORTS_MAX));

export const marketSettings = defineSettings('market', {
  host: {
    env: 'SEELE_MARKET_HOST',
    schema: plainText,
    default: '127.0.0.1',
    help: 'Address to listen on. Off loopback, put a proxy with TLS before it and set SEELE_MARKET_PUBLIC_URL.',
  },
  port: {
    env: 'SEELE_MARKET_PORT',
    schema: portNumber,
    default: 7400,
    help: 'HTTP port; 0 takes a free one.',
  },
  publicUrl: {
    env: 'SEELE_MARKET_PUBLIC_URL',
    schema: httpUrl,
    optional: true,
    help: 'Address that clients use when a proxy stands before the market; requests are signed for it.',
  },
  trustProxy: {
    env: 'SEELE_MARKET_TRUST_PROXY',
    schema: flag,
    default: false,
    help: 'Take client addresses from X-Forwarded-For: only behind a proxy that sets it.',
  },
  tenants: {
    env: 'SEELE_MARKET_TENANTS',
    schema: tenants,
    optional: true,
    help: 'Weights and quotas (shares of everything) of accounts: `[{"account":"seele1…","weight":2,"quota":0.25}]`.',
  },
  marketName: {
    env: 'SEELE_MARKET_NAME',
    schema: plainText,
    default: 'seele',
    help: 'Name shown in /v1/status.',
  },
  key: {
    env: 'SEELE_MARKET_KEY',
    schema: plainText,
    default: 'market',
    help: 'Name of the market’s key in `$SEELE_HOME/keys`; made when missing.',
  },
  passphrase: {
    env: 'SEELE_PASSPHRASE',
    schema: plainText,
    optional: true,
    secret: true,
    help: 'Passphrase of the key files; without one, a random one is kept in `$SEELE_HOME/keys/passphrase`.',
  },
  nodeUrl: {
    env: 'SEELE_NODE_URL',
    schema: httpUrl,
    default: 'http://127.0.0.1:7401',
    help: 'Chain node.',
  },
  storageUrl: {
    env: 'STORAGE_RPC_URL',
    schema: httpUrl,
    default: 'http://127.0.0.1:7402',
    help: 'Storage: the storage process or any Kubo RPC.',
  },
  storageToken: {
    env: 'STORAGE_RPC_TOKEN',
    schema: plainText,
    optional: true,
    secret: true,
    help: 'Bearer token of the storage RPC.',
  },
  databaseUrl: {
    env: 'DATABASE_URL',
    schema: databaseUrl,
    optional: true,
    secret: true,
    help: 'PostgreSQL 13 or later for rows and queue; without one, the built-in PostgreSQL runs in `$SEELE_HOME/postgres`.',
  },
  redisUrl: {
    env: 'REDIS_URL',
    schema: redisUrl,
    optional: true,
    secret: true,
    help: 'Moves the queue to Redis 6.2 or later; rows and money stay in PostgreSQL.',
  },
  requestsPerSecond: {
    env: 'SEELE_MARKET_REQUESTS_PER_SECOND',
    schema: wholeNumber.pipe(z.number().min(1)),
    default: 500,
    help: 'Requests per second and client address, on average; bursts of four times that.',
  },
  bodyLimitBytes: {
    env: 'SEELE_MARKET_BODY_LIMIT_BYTES',
    schema: wholeNumber.pipe(z.number().min(KIB)),
    default: 2048 * KIB,
    help: 'Largest request body.',
  },
  heartbeatMs: {
    env: 'SEELE_MARKET_HEARTBEAT_MS',
    schema: durationMs.pipe(z.number().min(100)),
    default: 5_000,
    help: 'How often agents speak.',
  },
  leaseMs: {
    env: 'SEELE_MARKET_LEASE_MS',
    schema: durationMs.pipe(z.number().min(300)),
    default: 15_000,
    help: 'A lease not extended for so long is given to another provider.',
  },
  sparql: {
    env: 'SEELE_MARKET_SPARQL',
    schema: flag,
    default: false,
    help: 'Answer SPARQL queries over the public directories at /v1/catalogue/sparql: a thread and about 600 bytes a statement, once a query comes.',
  },
  webhookLocal: {
    env: 'SEELE_MARKET_WEBHOOK_LOCAL',
    schema: flag,
    default: false,
    help: 'Let webhooks be http and on this machine (loopback), on any port: for development only.',
  },
  webhookPorts: {
    env: 'SEELE_MARKET_WEBHOOK_PORTS',
    schema: ports,
    default: [443, 8443],
    help: 'Ports that webhooks of other machines may have, separated by commas.',
  },
  replayShare: {
    env: 'SEELE_MARKET_REPLAY_SHARE',
    schema: z.coerce.number().min(0).max(1),
    default: REPLAY_CHANCE,
    help: 'Share of the results of wasm and verifiable jobs that the market runs again itself, drawn at random; what it finds wrong it disputes on the chain. Quotes tell it.',
  },
  auditShare: {
    env: 'SEELE_MARKET_AUDIT_SHARE',
    schema: z.coerce.number().min(0).max(1),
    default: AUDIT_LEAST,
    help: 'Least share of the results of js jobs of the tiers A and B (of many tasks: of batches) that the market has done again by another operator, at its own cost and drawn by block hashes; five times as much of who is not trusted yet. 0 for none. Quotes tell it.',
  },
  disputesEveryMs: {
    env: 'SEELE_MARKET_DISPUTES_EVERY_MS',
    schema: z.coerce.number().int().min(50).max(600_000),
    default: 2_000,
    help: 'How often it looks at the disputes in which it is a party.',
  },
  fuelPrice: {
    env: 'SEELE_MARKET_FUEL_PRICE',
    schema: wholeNumber,
    default: 1,
    help: 'What the market pays per unit of fuel for its transactions, smallest units.',
  },
});

export type MarketSettings = SettingsOf<typeof marketSettings>;
