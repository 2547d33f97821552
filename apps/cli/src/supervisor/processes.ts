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
}

/** What `seele up` starts: one provider per kind of consumer. */
export const DEVELOPMENT_PROVIDERS: readonly ProviderProfile[] = [
  {
    name: 'eco',
    domain: 'public',
    level: 'eco',
    slots: 2,
    pricePerCoreSecond: 1_000_000n,
    pricePerGibSecond: 100_000n,
  },
  {
    name: 'fast',
    domain: 'vetted',
    level: 'fast',
    slots: 2,
    pricePerCoreSecond: 3_000_000n,
    pricePerGibSecond: 300_000n,
  },
  {
    name: 'assured',
    domain: 'confidential',
    level: 'assured',
    slots: 2,
    pricePerCoreSecond: 8_000_000n,
    pricePerGibSecond: 800_000n,
  },
];

export const SEQUENCER_KEY = 'sequencer';
export const MARKET_KEY = 'market';
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
}

export function urlsOf(ports: Ports): Urls {
  const at = (port: number) => `http://127.0.0.1:${port}`;
  return { market: at(ports.market), node: at(ports.node), storage: at(ports.storage) };
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
    SEELE_PROVIDER_PRICE_PER_CORE_SECOND: String(profile.pricePerCoreSecond),
    SEELE_PROVIDER_PRICE_PER_GIB_SECOND: String(profile.pricePerGibSecond),
    SEELE_MARKET_URL: urls.market,
    SEELE_NODE_URL: urls.node,
    STORAGE_RPC_URL: urls.storage,
    STORAGE_RPC_TOKEN: storageToken,
  });
}

/** Everything, in the order it starts: what serves others first. */
export function planOf(deployment: Deployment): readonly (readonly ProcessSpec[])[] {
  const { home, ports, passphrase, storageToken } = deployment;
  const urls = urlsOf(ports);
  const ownDatabase = process.env['DATABASE_URL'] || undefined;
  const node = spec(deployment, 'node', 'node', {
    SEELE_PASSPHRASE: passphrase,
    SEELE_NODE_PORT: String(ports.node),
    SEELE_NODE_KEY: SEQUENCER_KEY,
  });
  const storage = spec(deployment, 'storage', 'storage', {
    SEELE_STORAGE_PORT: String(ports.storage),
    SEELE_STORAGE_TOKEN: storageToken,
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
  const providers = deployment.providers.map((profile) => providerSpec(deployment, profile));
  const first = ownDatabase === undefined ? [node, storage, postgres] : [node, storage];
  // Providers take as long to start as the market, and try until they reach it.
  return [first, [market, ...providers]];
}
