/**
 * A second market on a local machine, with its own database, keys and providers, on the machine's chain
 * and storage. Nobody restarts it but who started it: so it can be killed as often as is wanted.
 */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { tokenCalls } from '#contracts';
import { generateKeyPair, sealKeystore } from '#libs/crypto';
import { TOKEN, parseAccount } from '#libs/kernel';
import { createSystemRandomness, keystorePath, writePrivateFile } from '#libs/platform';
import { type MarketClient, createMarketClient, createNodeClient, sendCalls } from '#libs/sdk';
import { type LocalMachine, type Orderer, createOrderer } from './local-machine.ts';
import { type OwnProcess, freePort, startOwnProcess } from './own-process.ts';

const FUNDS = 800n * TOKEN;
const LIMIT_MS = 60_000;
/** Seldom, because listing the providers is work of the market that is just starting. */
const POLL_MS = 50;

export interface OwnMarket {
  readonly market: MarketClient;
  readonly orderer: Orderer;
  /** SIGKILL; nothing is told. */
  kill(): Promise<void>;
  /** Starts it again on the same rows, with these settings instead of the earlier ones. */
  start(settings?: Readonly<Record<string, string>>): Promise<void>;
  /** Until every provider is connected. */
  providersAreBack(): Promise<void>;
  stop(): Promise<void>;
}

const PASSPHRASE = 'for a bench';
/** Cheap to open: providers are started by the dozen, and how soon is measured of none. */
const KEY_COST = { n: 2 ** 10, r: 8, p: 1 };

/**
 * Settings of processes that belong to this machine, with a home of their own below the machine's.
 *
 * @param providers names of the providers among them
 */
export async function settingsBeside(
  machine: LocalMachine,
  home: string,
  providers: readonly string[],
) {
  const path = join(machine.home, home);
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const randomness = createSystemRandomness();
  for (const name of providers) {
    const { seed } = generateKeyPair(randomness);
    const sealed = sealKeystore(seed, PASSPHRASE, randomness, KEY_COST);
    await writePrivateFile(keystorePath(path, `provider-${name}`), sealed);
  }
  return {
    SEELE_HOME: path,
    SEELE_PASSPHRASE: PASSPHRASE,
    SEELE_NODE_URL: machine.urls.node,
    STORAGE_RPC_URL: machine.urls.storage,
    STORAGE_RPC_TOKEN: readFileSync(join(machine.home, 'storage-token'), 'utf8').trim(),
  };
}

/** A database of its own in the machine's PostgreSQL. */
async function ownDatabase({ home }: LocalMachine, name: string): Promise<string> {
  const url = new URL(readFileSync(join(home, 'run/postgres.url'), 'utf8').trim());
  const client = new pg.Client({ connectionString: url.href });
  await client.connect();
  await client.query(`create database ${name}`);
  await client.end();
  url.pathname = `/${name}`;
  return url.href;
}

const LOG_LINES = 20;

/** A log goes with its home: what explains a failure is told with it. */
const lastOf = (file: string): string =>
  [file, ...readFileSync(file, 'utf8').trimEnd().split('\n').slice(-LOG_LINES)].join('\n');

/** @param providers settings of each of its providers, by their names */
export async function startOwnMarket(
  machine: LocalMachine,
  providers: Readonly<Record<string, Readonly<Record<string, string>>>>,
): Promise<OwnMarket> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const common = await settingsBeside(machine, 'own-market', Object.keys(providers));
  const own = {
    ...common,
    SEELE_MARKET_PORT: String(port),
    DATABASE_URL: await ownDatabase(machine, 'own_market'),
  };
  const log = (name: string) => join(machine.home, 'own-market', `${name}.log`);
  const running: OwnProcess[] = [];
  let process: OwnProcess | undefined;
  const start = async (settings: Readonly<Record<string, string>> = {}) => {
    process = await startOwnProcess('market', { ...own, ...settings }, log('market'));
  };
  const stop = async () => {
    await Promise.all([process, ...running].flatMap((one) => one?.kill() ?? []));
  };
  try {
    const named = Object.entries(providers);
    const starting = named.map(async ([name, settings]) =>
      running.push(
        await startOwnProcess(
          'provider',
          { ...common, SEELE_MARKET_URL: url, SEELE_PROVIDER_NAME: name, ...settings },
          log(name),
        ),
      ),
    );
    await Promise.all([start(), ...starting]);
    const market = createMarketClient({ url, signer: machine.signer });
    const { market: account } = await market.status();
    const to = parseAccount(account);
    const call = tokenCalls.transfer({ to, amount: FUNDS });
    await sendCalls(createNodeClient(machine.urls.node), machine.signer, [call]);
    const providersAreBack = async () => {
      let found: unknown;
      for (const fromMs = performance.now(); performance.now() - fromMs < LIMIT_MS;) {
        const views = await market.providers().catch((error: unknown) => String(error));
        found = views;
        if (Array.isArray(views) && views.filter(({ online }) => online).length >= named.length)
          return;
        await sleep(POLL_MS);
      }
      const logs = ['market', ...Object.keys(providers)].map((name) => lastOf(log(name)));
      throw new Error(
        `the providers do not come back: ${JSON.stringify(found)}\n${logs.join('\n')}`,
      );
    };
    await providersAreBack();
    return {
      ...{ market, start, stop, providersAreBack },
      orderer: createOrderer(machine, market, account),
      kill: async () => {
        await process?.kill();
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
