/**
 * The processes of one development machine: what each is started with. Every app gets its own
 * settings and nothing else of our environment; providers get no address of queue or database.
 */
import { join } from 'node:path';
import type { Home } from '../frame/home.ts';
import type { ProcessSpec } from './child.ts';
import type { Ports } from './ports.ts';

export interface ProviderProfile {
  readonly name: string;
  readonly domain: 'public' | 'vetted' | 'confidential' | 'private';
  readonly level: 'eco' | 'standard' | 'fast' | 'assured';
  readonly slots: number;
  /** Smallest units. */
  readonly pricePerCoreSecond: bigint;
  readonly pricePerGibSecond: bigint;
  /** What it stands to lose in disputes, smallest units. */
  readonly bond?: bigint;
  /** Storage offered for deals; none when left out. */
  readonly storageBytes?: number;
  /** Smallest units for a GiB in a day. */
  readonly storagePrice?: bigint;
}

const DEVELOPMENT_STORAGE_BYTES = 2 ** 30;
/** Enough to be drawn for a panel. */
const DEVELOPMENT_BOND = 10_000_000_000n;

const ASSURED = {
  domain: 'confidential',
  level: 'assured',
  slots: 2,
  pricePerCoreSecond: 8_000_000n,
  pricePerGibSecond: 800_000n,
  // A lie is found out once in twenty and costs half of it: enough for jobs of up to 5 tokens.
  bond: 210_000_000_000n,
} as const;

/** What `seele up` starts: one provider per kind of consumer, and for tier C one that checks the other. */
export const DEVELOPMENT_PROVIDERS: readonly ProviderProfile[] = [
  {
    name: 'eco',
    domain: 'public',
    level: 'eco',
    slots: 2,
    pricePerCoreSecond: 1_000_000n,
    pricePerGibSecond: 100_000n,
    storageBytes: DEVELOPMENT_STORAGE_BYTES,
    storagePrice: 1_000_000_000n,
  },
  {
    name: 'fast',
    domain: 'vetted',
    level: 'fast',
    slots: 2,
    pricePerCoreSecond: 3_000_000n,
    pricePerGibSecond: 300_000n,
    storageBytes: DEVELOPMENT_STORAGE_BYTES,
    storagePrice: 2_000_000_000n,
  },
  {
    ...ASSURED,
    name: 'assured',
    storageBytes: DEVELOPMENT_STORAGE_BYTES,
    storagePrice: 4_000_000_000n,
  },
  { ...ASSURED, name: 'witness' },
];

export const SEQUENCER_KEY = 'sequencer';
/** Keys of the validators, in the order of the genesis. */
export const VALIDATOR_KEYS = ['validator-1', 'validator-2', 'validator-3', 'validator-4'] as const;
export const MARKET_KEY = 'market';
export const REPAIRER_KEY = 'repairer';
export const DEFAULT_ACCOUNT = 'default';

/** Name of a provider's process, its key and its data folder's last part. */
export function providerProcess(name: string): string {
  return `provider-${name}`;
}

export interface Deployment {
  readonly home: Home;
  readonly ports: Ports;
  readonly passphrase: string;
  /** Bearer token of the storage RPC. */
  readonly storageToken: string;
  readonly providers: readonly ProviderProfile[];
  /** Public keys of the validators that run here; none on a chain of one sequencer. */
  readonly validators: readonly string[];
  /** Extra settings for every process, e.g. failpoints of a test. */
  readonly extra?: Readonly<Record<string, string>>;
}

const apps = join(import.meta.dirname, '../../..');

function program(app: string): string {
  return join(apps, app, 'src/main.js');
}

const SEEN_BY_ALL = new Set([
  'PATH',
  'LANG',
  'TZ',
  'TMPDIR',
  'SEELE_LOG_LEVEL',
  'SEELE_FAILPOINTS',
  'SEELE_FAILPOINTS_FILE',
]);

/** What a process may see of our own environment: the settings of its app, and what all may see. */
function inherited(app: string): Record<string, string> {
  const prefix = `SEELE_${app.toUpperCase()}_`;
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(process.env)) {
    const its = name.startsWith(prefix) || (app === 'market' && name === 'REDIS_URL');
    if (value !== undefined && value !== '' && (its || SEEN_BY_ALL.has(name))) kept[name] = value;
  }
  return kept;
}

/** As trustworthy as the code beside it; where it cannot be written, Node goes without. */
const COMPILE_CACHE = join(apps, '../../node_modules/.cache/compiled');

export interface Urls {
  readonly market: string;
  readonly node: string;
  readonly storage: string;
  readonly gateway: string;
}

export function urlsOf(ports: Ports): Urls {
  const at = (port: number) => `http://127.0.0.1:${port}`;
  return {
    ...{ market: at(ports.market), node: at(ports.node) },
    ...{ storage: at(ports.storage), gateway: at(ports.gateway) },
  };
}

function spec(
  deployment: Deployment,
  name: string,
  app: string,
  settings: Readonly<Record<string, string>>,
): ProcessSpec {
  const { home, extra } = deployment;
  return {
    name,
    command: process.execPath,
    args: [program(app)],
    env: {
      ...inherited(app),
      // Compiled once, loaded by every later start: halves the time until a process serves.
      NODE_COMPILE_CACHE: COMPILE_CACHE,
      SEELE_HOME: home.path,
      ...settings,
      ...extra,
    },
    logFile: join(home.logs, `${name}.log`),
  };
}

export function providerSpec(deployment: Deployment, profile: ProviderProfile): ProcessSpec {
  const { ports, passphrase, storageToken } = deployment;
  const urls = urlsOf(ports);
  const name = providerProcess(profile.name);
  return spec(deployment, name, 'provider', {
    SEELE_PASSPHRASE: passphrase,
    SEELE_PROVIDER_NAME: profile.name,
    SEELE_PROVIDER_KEY: name,
    SEELE_PROVIDER_DOMAIN: profile.domain,
    SEELE_PROVIDER_LEVEL: profile.level,
    SEELE_PROVIDER_SLOTS: String(profile.slots),
    SEELE_PROVIDER_BOND: String(profile.bond ?? DEVELOPMENT_BOND),
    SEELE_PROVIDER_PRICE_PER_CORE_SECOND: String(profile.pricePerCoreSecond),
    SEELE_PROVIDER_PRICE_PER_GIB_SECOND: String(profile.pricePerGibSecond),
    SEELE_MARKET_URL: urls.market,
    SEELE_NODE_URL: urls.node,
    SEELE_PROVIDER_STORAGE_BYTES: String(profile.storageBytes ?? 0),
    SEELE_PROVIDER_STORAGE_PRICE: String(profile.storagePrice ?? 0n),
    SEELE_PROVIDER_GATEWAY_URL: urls.gateway,
    STORAGE_RPC_URL: urls.storage,
    STORAGE_RPC_TOKEN: storageToken,
  });
}

/** The chain: its validators, or its sequencer. The first one is the node that others talk to. */
function nodeSpecs(deployment: Deployment): readonly ProcessSpec[] {
  const { home, ports, passphrase, validators } = deployment;
  const common = { SEELE_PASSPHRASE: passphrase };
  if (validators.length === 0) {
    const own = { SEELE_NODE_PORT: String(ports.node), SEELE_NODE_KEY: SEQUENCER_KEY };
    return [spec(deployment, 'node', 'node', { ...common, ...own })];
  }
  const http = [ports.node, ports.node2, ports.node3, ports.node4];
  const links = [ports.link1, ports.link2, ports.link3, ports.link4];
  const peers = validators.map((publicKey, i) => `${publicKey}@127.0.0.1:${links[i]}`).join(',');
  return validators.map((_, i) => {
    const name = i === 0 ? 'node' : `node-${i + 1}`;
    return spec(deployment, name, 'node', {
      ...common,
      SEELE_NODE_NAME: name,
      SEELE_NODE_DATA: home.data(name),
      SEELE_NODE_PORT: String(http[i]),
      SEELE_NODE_KEY: VALIDATOR_KEYS[i] as string,
      SEELE_NODE_LISTEN: `127.0.0.1:${links[i]}`,
      SEELE_NODE_PEERS: peers,
    });
  });
}

/** Everything, in the order it starts: what serves others first. */
export function planOf(deployment: Deployment): readonly (readonly ProcessSpec[])[] {
  const { home, ports, passphrase, storageToken } = deployment;
  const urls = urlsOf(ports);
  const ownDatabase = process.env['DATABASE_URL'] || undefined;
  const nodes = nodeSpecs(deployment);
  const storage = spec(deployment, 'storage', 'storage', {
    SEELE_STORAGE_PORT: String(ports.storage),
    SEELE_STORAGE_TOKEN: storageToken,
    SEELE_STORAGE_GATEWAY: `127.0.0.1:${ports.gateway}`,
  });
  const postgres = spec(deployment, 'postgres', 'postgres', {
    SEELE_POSTGRES_PORT: String(ports.postgres),
  });
  const market = spec(deployment, 'market', 'market', {
    SEELE_PASSPHRASE: passphrase,
    SEELE_MARKET_PORT: String(ports.market),
    SEELE_MARKET_KEY: MARKET_KEY,
    SEELE_NODE_URL: urls.node,
    STORAGE_RPC_URL: urls.storage,
    STORAGE_RPC_TOKEN: storageToken,
    ...(ownDatabase === undefined
      ? { DATABASE_URL_FILE: join(home.run, 'postgres.url') }
      : { DATABASE_URL: ownDatabase }),
  });
  const repairer = spec(deployment, 'repairer', 'repairer', {
    SEELE_PASSPHRASE: passphrase,
    SEELE_REPAIRER_KEY: REPAIRER_KEY,
    SEELE_REPAIRER_GATEWAY_URL: urls.gateway,
    SEELE_NODE_URL: urls.node,
    STORAGE_RPC_URL: urls.storage,
    STORAGE_RPC_TOKEN: storageToken,
  });
  const providers = deployment.providers.map((profile) => providerSpec(deployment, profile));
  const first = ownDatabase === undefined ? [...nodes, storage, postgres] : [...nodes, storage];
  // Providers take as long to start as the market, and try until they reach it.
  return [first, [market, ...providers, repairer]];
}
