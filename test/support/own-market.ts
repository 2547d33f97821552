/**
 * A second market on a local machine, with its own database, keys and providers, on the machine's chain
 * and storage. Nobody restarts it but who started it: so it can be killed as often as is wanted.
 */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { type MarketClient, createMarketClient } from '#libs/sdk';
import { type LocalMachine, type Orderer, createOrderer } from './local-machine.ts';
import { type OwnProcess, freePort, startOwnProcess } from './own-process.ts';

const FUNDS = '800';
const LIMIT_MS = 60_000;
const POLL_MS = 20;

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

/** Settings of a process that belongs to this machine, with a home of its own below the machine's. */
export function settingsBeside(machine: LocalMachine, home: string) {
  const path = join(machine.home, home);
  mkdirSync(path, { recursive: true, mode: 0o700 });
  return {
    SEELE_HOME: path,
    SEELE_PASSPHRASE: 'for a bench',
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

/** @param providers settings of each of its providers, by their names */
export async function startOwnMarket(
  machine: LocalMachine,
  providers: Readonly<Record<string, Readonly<Record<string, string>>>>,
): Promise<OwnMarket> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const common = settingsBeside(machine, 'own-market');
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
    const sent = await machine.seele('account', 'send', account, FUNDS);
    if (sent.code !== 0) throw new Error(`the market has no money: ${sent.stderr}`);
    const providersAreBack = async () => {
      for (const fromMs = performance.now(); performance.now() - fromMs < LIMIT_MS;) {
        const found = await market.providers().catch(() => []);
        if (found.filter(({ online }) => online).length >= named.length) return;
        await sleep(POLL_MS);
      }
      throw new Error('the providers do not come back');
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
