/**
 * A development machine for tests and benches: `seele up` in a temporary home on free ports, with
 * clients for it. `stop` leaves no process and no file behind.
 */
import { execFile } from 'node:child_process';
import { chmodSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ordersCalls } from '#contracts';
import { type Signer, createSigner } from '#libs/crypto';
import { TOKEN, parseAccount, utf8 } from '#libs/kernel';
import { encodeManifest } from '#libs/market';
import { homePassphrase, keystorePath, readKeystoreFile } from '#libs/platform';
import {
  type JobDescription,
  type MarketClient,
  type QuoteDocument,
  createMarketClient,
  createNodeClient,
  describeJob,
  sendCalls,
  signOrder,
} from '#libs/sdk';
import { type BlobStore, createKuboBlobStore } from '#libs/storage';
import { mustEnd, temporaryFolder } from './started.ts';

const root = process.cwd();
const CLI = join(root, 'dist/apps/cli/src/main.js');
const UP_LIMIT_MS = 120_000;

export interface CliOutcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `seele …` of this build to its end. */
export function seele(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  { isRead = true } = {},
): Promise<CliOutcome> {
  const merged = { ...process.env, ...env };
  delete merged['SEELE_HOME'];
  delete merged['NODE_OPTIONS'];
  return new Promise((resolve) => {
    const options = { env: { ...merged, ...env }, timeout: UP_LIMIT_MS, maxBuffer: 2 ** 26 };
    const child = execFile(process.execPath, [CLI, ...args], options, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 1;
      resolve({ code, stdout, stderr });
    });
    if (!isRead) child.stdout?.destroy();
  });
}

export interface ProcessState {
  readonly name: string;
  readonly state: string;
  readonly pid?: number;
  readonly restarts: number;
}

/**
 * Makes a function that orders this job, each call a new order; stores what it needs once. With cap
 * `quoted` each order asks for a quote first, and passes the first cell's price and the quote with it.
 */
export type Orderer = (
  job: Omit<JobDescription, 'code'> & {
    readonly code: string;
    readonly priceCap: bigint | 'quoted';
    /** Told of the quote that an order comes with, before the order is sent. */
    readonly onQuote?: (id: string, quote: QuoteDocument) => void;
  },
) => Promise<() => Promise<string>>;

export interface LocalMachine {
  readonly home: string;
  readonly chain: string;
  readonly urls: { readonly market: string; readonly node: string; readonly storage: string };
  readonly signer: Signer;
  readonly market: MarketClient;
  readonly store: BlobStore;
  /** Runs `seele …` in this home. */
  seele(...args: readonly string[]): Promise<CliOutcome>;
  /** Process id of the supervisor, parent of everything that runs. */
  readonly supervisorPid: number;
  /** What the supervisor knows now. */
  processes(): readonly ProcessState[];
  readonly orderer: Orderer;
  stop(): Promise<void>;
}

interface UpDocument {
  readonly chain: string;
  readonly urls: LocalMachine['urls'];
}

function runState(home: string): { readonly pid: number; readonly processes: ProcessState[] } {
  return JSON.parse(readFileSync(join(home, 'run/supervisor.json'), 'utf8')) as ReturnType<
    typeof runState
  >;
}

/** Orders at this market, whose account is given. */
export const createOrderer =
  (
    { signer, store, chain }: Pick<LocalMachine, 'signer' | 'store' | 'chain'>,
    market: MarketClient,
    marketAccount: string,
  ): Orderer =>
  async ({ code, priceCap, onQuote, ...job }) => {
    const stored = await store.put(utf8(code));
    const manifest = describeJob({ minIsolation: 'S0', ...job, code: stored.cid });
    const { cid } = await store.putBlock(encodeManifest(manifest), { codec: 'dag-cbor' });
    return async () => {
      const isQuoted = priceCap === 'quoted';
      const quote = isQuoted ? await market.quote(manifest) : undefined;
      const cap = isQuoted ? BigInt(quote?.options[0]?.priceCap ?? 0) : priceCap;
      const units = BigInt((manifest.array?.tasks ?? 1) * (manifest.array?.replicas ?? 1));
      const { id, signed } = signOrder(signer, {
        chain,
        market: parseAccount(marketAccount),
        manifest: cid,
        priceCap: cap,
        nowUs: Date.now() * 1000,
        ...(manifest.array && {
          array: {
            ...{ tasks: manifest.array.tasks, replicas: manifest.array.replicas },
            unitPrice: cap / units,
          },
        }),
      });
      if (quote) onQuote?.(id, quote);
      await market.submit(signed, manifest, quote?.signed);
      return id;
    };
  };

export async function startLocalMachine(
  env: Readonly<Record<string, string>> = {},
  depositTokens = 100,
  folder = tmpdir(),
): Promise<LocalMachine> {
  const home = temporaryFolder('seele-test-', folder);
  chmodSync(home, 0o711);
  const inHome = (...args: readonly string[]) => seele([...args, '--home', home], env);
  let starting: Promise<unknown> = Promise.resolve();
  const stop = mustEnd(async () => {
    await starting;
    await inHome('down');
    rmSync(home, { recursive: true, force: true });
  });
  // Four more processes start and run only where a test is about them.
  const ordering = env['SEELE_TEST_VALIDATORS'] === undefined ? ['--solo'] : [];
  const upping = inHome('up', '--ports', 'auto', '--json', ...ordering);
  starting = upping;
  const up = await upping;
  if (up.code !== 0) {
    await stop();
    throw new Error(`seele up failed: ${up.stderr}`);
  }
  try {
    const { chain, urls } = JSON.parse(up.stdout) as UpDocument;
    const passphrase = await homePassphrase(home, env['SEELE_PASSPHRASE']);
    const key = await readKeystoreFile(keystorePath(home, 'default'), passphrase);
    const signer = createSigner(key.seed);
    const market = createMarketClient({ url: urls.market, signer });
    const token = readFileSync(join(home, 'storage-token'), 'utf8').trim();
    const store = createKuboBlobStore({ url: urls.storage, token });
    if (depositTokens > 0) {
      const amount = BigInt(depositTokens) * TOKEN;
      const call = ordersCalls.deposit({ account: signer.account, amount });
      await sendCalls(createNodeClient(urls.node), signer, [call]);
    }
    const { market: marketAccount } = await market.status();
    return {
      home,
      chain,
      urls,
      signer,
      market,
      store,
      seele: inHome,
      supervisorPid: runState(home).pid,
      processes: () => runState(home).processes,
      orderer: createOrderer({ signer, store, chain }, market, marketAccount),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
