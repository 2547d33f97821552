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

/** What every process may see of our own environment. */
function inherited(): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const name of ['PATH', 'LANG', 'TZ', 'TMPDIR', 'SEELE_LOG_LEVEL']) {
    const value = process.env[name];
    if (value !== undefined) kept[name] = value;
  }
  return kept;
}

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
    env: { ...inherited(), SEELE_HOME: home.path, ...settings, ...extra },
    logFile: join(home.logs, `${name}.log`),
  };
}
