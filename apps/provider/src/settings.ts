import {
  defineSettings,
  durationMs,
  filePath,
  flag,
  httpUrl,
  plainText,
  portNumber,
  type SettingsOf,
  wholeNumber,
} from '#libs/platform';
import { JOB_KINDS } from '#libs/market';
import { z } from 'zod';

/** Smallest units; the CLI shows tokens with nine decimals. */
const price = z.coerce.bigint<string | bigint>().min(0n);
const MIB = 2 ** 20;
const jobKinds = z.union([
  z.array(z.enum(JOB_KINDS)),
  z
    .string()
    .transform((words) => words.trim().split(/[\s,]+/))
    .pipe(z.array(z.enum(JOB_KINDS)).min(1)),
]);

export const providerSettings = defineSettings('provider', {
  name: {
    env: 'SEELE_PROVIDER_NAME',
    schema: z.string().regex(/^[a-z0-9][a-z0-9-]{0,29}$/),
    default: 'own',
    help: 'Name shown in lists; also of the data directory `$SEELE_HOME/providers/<name>`.',
  },
  key: {
    env: 'SEELE_PROVIDER_KEY',
    schema: plainText,
    optional: true,
    help: 'Name of the key in `$SEELE_HOME/keys` (default `provider-<name>`); made if missing.',
  },
  passphrase: {
    env: 'SEELE_PASSPHRASE',
    schema: plainText,
    optional: true,
    secret: true,
    help: 'Opens the key (default: the one in `$SEELE_HOME/keys/passphrase`).',
  },
  domain: {
    env: 'SEELE_PROVIDER_DOMAIN',
    schema: z.enum(['public', 'vetted', 'confidential', 'private']),
    default: 'public',
    help: 'Trust domain the offer is made in.',
  },
  region: {
    env: 'SEELE_PROVIDER_REGION',
    schema: z.string().regex(/^[a-z0-9][a-z0-9-]{0,39}$/),
    optional: true,
    help: 'Where the machine stands, e.g. `eu-west`, for jobs that name regions.',
  },
  level: {
    env: 'SEELE_PROVIDER_LEVEL',
    schema: z.enum(['eco', 'standard', 'fast', 'assured']),
    default: 'standard',
    help: 'Service level of the offer.',
  },
  slots: {
    env: 'SEELE_PROVIDER_SLOTS',
    schema: wholeNumber.min(1).max(4096),
    optional: true,
    help: 'Jobs at a time (default: one per core).',
  },
  cores: {
    env: 'SEELE_PROVIDER_CORES',
    schema: wholeNumber.min(1).max(4096),
    optional: true,
    help: 'Cores to offer (default: the machine’s). More than it has is only for jobs that mostly wait: others would slow each other.',
  },
  bond: {
    env: 'SEELE_PROVIDER_BOND',
    schema: price,
    default: 0n,
    help: 'Bond kept in contract `disputes`, smallest units; put down at start when it is less. Level `assured` needs one; from 5 tokens on the provider may be drawn to repeat disputed jobs.',
  },
  disputesEveryMs: {
    env: 'SEELE_PROVIDER_DISPUTES_EVERY_MS',
    schema: wholeNumber.min(50).max(600_000),
    default: 5_000,
    help: 'How often it looks whether a dispute asks something of it.',
  },
  spares: {
    env: 'SEELE_PROVIDER_SPARES',
    schema: wholeNumber.max(64),
    default: 1,
    help: 'Started slots kept ready, about 60 MB of memory each.',
  },
  noop: {
    env: 'SEELE_PROVIDER_NOOP',
    schema: flag,
    default: false,
    help: 'Run no unit of a batch and say that all ended well: only for measuring a market.',
  },
  jitless: {
    env: 'SEELE_PROVIDER_JITLESS',
    schema: flag,
    default: false,
    help: 'Run slots without V8’s compilers: 10 times slower, no WebAssembly, less to attack.',
  },
  pricePerCoreSecond: {
    env: 'SEELE_PROVIDER_PRICE_PER_CORE_SECOND',
    schema: price,
    default: 100_000n,
    help: 'Price of a core-second, smallest units.',
  },
  pricePerGibSecond: {
    env: 'SEELE_PROVIDER_PRICE_PER_GIB_SECOND',
    schema: price,
    default: 10_000n,
    help: 'Price of a GiB-second of memory limit, smallest units.',
  },
  kinds: {
    env: 'SEELE_PROVIDER_KINDS',
    schema: jobKinds,
    default: [...JOB_KINDS],
    help: 'Kinds of job to take, of `js wasm verifiable`; those that cannot run here are left out.',
  },
  maxOutputBytes: {
    env: 'SEELE_PROVIDER_MAX_OUTPUT_BYTES',
    schema: wholeNumber,
    default: 256 * MIB,
    help: 'Largest output limit taken; output is held in memory until the job ends.',
  },
  maxCodeBytes: {
    env: 'SEELE_PROVIDER_MAX_CODE_BYTES',
    schema: wholeNumber.max(32 * MIB),
    default: 16 * MIB,
    help: 'Longest job code taken.',
  },
  cacheBytes: {
    env: 'SEELE_PROVIDER_CACHE_BYTES',
    schema: wholeNumber,
    default: 64 * MIB,
    help: 'Memory for code and manifests of recent jobs.',
  },
  drainMs: {
    env: 'SEELE_PROVIDER_DRAIN_MS',
    schema: durationMs.max(4_000),
    default: 2_500,
    help: 'How long running jobs may go on after SIGTERM before they are handed back.',
  },
  networkRequired: {
    env: 'SEELE_PROVIDER_REQUIRE_CLOSED_NETWORK',
    schema: flag,
    default: false,
    help: 'Refuse to start where slots cannot be cut off from the network.',
  },
  port: {
    env: 'SEELE_PROVIDER_PORT',
    schema: portNumber,
    default: 0,
    help: 'Port of health, metrics and status on loopback; 0 lets the system choose.',
  },
  providerHome: {
    env: 'SEELE_PROVIDER_HOME',
    schema: filePath,
    optional: true,
    help: 'Folder of the lease journal (default `$SEELE_HOME/providers/<name>`).',
  },
  marketUrl: {
    env: 'SEELE_MARKET_URL',
    schema: httpUrl,
    default: 'http://127.0.0.1:7400',
    help: 'The market to take work from.',
  },
  nodeUrl: {
    env: 'SEELE_NODE_URL',
    schema: httpUrl,
    default: 'http://127.0.0.1:7401',
    help: 'Chain node where the offer is registered.',
  },
  chain: {
    env: 'SEELE_PROVIDER_CHAIN',
    schema: z.string().regex(/^[0-9a-f]{64}$/),
    optional: true,
    help: 'Genesis id of the chain; a market of another chain is refused. Without it any chain the market names is signed for.',
  },
  storageUrl: {
    env: 'STORAGE_RPC_URL',
    schema: httpUrl,
    default: 'http://127.0.0.1:7402',
    help: 'Kubo RPC where code and inputs are fetched and results put.',
  },
  storageBytes: {
    env: 'SEELE_PROVIDER_STORAGE_BYTES',
    schema: wholeNumber,
    default: 0,
    help: 'Bytes of storage offered for deals; 0 offers none.',
  },
  storagePrice: {
    env: 'SEELE_PROVIDER_STORAGE_PRICE',
    schema: price,
    default: 1_000_000n,
    help: 'Price of a GiB kept for a day, smallest units.',
  },
  storageMinEpochSeconds: {
    env: 'SEELE_PROVIDER_STORAGE_MIN_EPOCH_SECONDS',
    schema: wholeNumber.min(1),
    default: 5,
    help: 'Shortest time between two proofs of a deal that is taken.',
  },
  storageMaxCollateral: {
    env: 'SEELE_PROVIDER_STORAGE_MAX_COLLATERAL',
    schema: price,
    default: 10_000_000_000n,
    help: 'Most collateral put down for one shard, smallest units.',
  },
  gatewayUrl: {
    env: 'SEELE_PROVIDER_GATEWAY_URL',
    schema: httpUrl,
    optional: true,
    help: 'Gateway of the storage, where others read the shards that are kept; without it no storage is offered.',
  },
  operator: {
    env: 'SEELE_PROVIDER_OPERATOR',
    schema: plainText,
    optional: true,
    help: 'Who runs it (default: its account); offers of one operator are not chosen for one deal.',
  },
  storageToken: {
    env: 'STORAGE_RPC_TOKEN',
    schema: plainText,
    optional: true,
    secret: true,
    help: 'Bearer token of that RPC.',
  },
});

export type ProviderSettings = SettingsOf<typeof providerSettings>;
