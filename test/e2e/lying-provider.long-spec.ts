/**
 * A provider that lies, beside honest ones on real processes: found out by an audit and convicted; by a replay,
 * disputed, narrowed, judged by a panel, slashed; outvoted in an array with replicas; turned down by a validator.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DISPUTES_CONTRACT, bondRecord, disputesKeys, tokenCalls } from '#contracts';
import { createSigner } from '#libs/crypto';
import { decodeWith } from '#libs/kernel';
import { DEFAULT_AGENT_TIMES, type AgentEvent } from '#libs/market';
import {
  type JobRun,
  createLogger,
  ensureHomeKey,
  homePassphrase,
  loadSettings,
} from '#libs/platform';
import { arrayOutputs, createNodeClient, sendCalls } from '#libs/sdk';
import { type Checkpoint, checkpointsRoot } from '#libs/vm';
import { type Provider, startProvider } from '../../apps/provider/src/provider.ts';
import { providerSettings } from '../../apps/provider/src/settings.ts';
import { type LocalMachine, startLocalMachine } from '../support/local-machine.ts';

let machine: LocalMachine;
let folder: string;
let liar: Provider;
let account: string;

/** From this checkpoint on it shows what no machine ever computed. */
const LIES_FROM = 3;
const LIE = 'ab'.repeat(32);
/** What it says of tasks instead of their outputs. */
const isLyingInUnits = true;
/** Of a whole job it gives this instead of its result. */
let lieAboutJobs: string | undefined;

const spoil = (checkpoint: Checkpoint, index: number): Checkpoint =>
  index < LIES_FROM ? checkpoint : { ...checkpoint, root: LIE };

/** Checkpoints as it states them, by lease. */
const stated = new Map<string, Checkpoint[]>();

function say(event: AgentEvent): AgentEvent {
  if (event.kind === 'checkpoints') {
    const items = event.items.map((item, i) => spoil(item, event.first + i));
    stated.set(event.lease, [...(stated.get(event.lease) ?? []).slice(0, event.first), ...items]);
    return { ...event, items };
  }
  if (event.kind === 'finished' && event.outcome.metered) {
    const checkpoints = stated.get(event.lease) ?? [];
    const root = checkpointsRoot(checkpoints);
    const metered = { ...event.outcome.metered, outputChain: LIE, checkpointsRoot: root };
    return { ...event, outcome: { ...event.outcome, metered } };
  }
  if (event.kind === 'finished' && event.outcome.exit === 'ok' && lieAboutJobs !== undefined)
    return { ...event, outcome: { ...event.outcome, result: lieAboutJobs } };
  if (event.kind === 'unitsReported' && isLyingInUnits) {
    const results = event.report.results.map(({ output, ...rest }) => {
      if (!output) return rest;
      // The CID of something that is not there.
      const other = output.slice();
      other[other.length - 1] = (other.at(-1) as number) ^ 1;
      return { ...rest, output: other };
    });
    return { ...event, report: { ...event.report, results } };
  }
  return event;
}

function show(run: JobRun): JobRun {
  const checkpoints = run.checkpoints.map(spoil);
  const claim = { ...run.claim, outputChain: LIE, checkpointsRoot: checkpointsRoot(checkpoints) };
  return { ...run, checkpoints, claim };
}

interface Dispute {
  readonly id: string;
  readonly order: string;
  readonly phase: string;
  readonly ruling: string | null;
  readonly agreed: number;
  readonly open: number;
  readonly panel: readonly { readonly finding: string | null }[];
}

async function until<T>(what: string, look: () => Promise<T | undefined>, ms = 90_000): Promise<T> {
  for (const end = Date.now() + ms; ;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > end) throw new Error(`waited for ${what} in vain`);
    await new Promise((resume) => setTimeout(resume, 500));
  }
}

const bondOf = async (of: string): Promise<bigint> => {
  const value = await createNodeClient(machine.urls.node).state(
    DISPUTES_CONTRACT,
    disputesKeys.bond(of),
  );
  return value === undefined ? 0n : decodeWith(bondRecord, value).bonded;
};

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'seele-liar-'));
  machine = await startLocalMachine({
    SEELE_MARKET_REPLAY_SHARE: '1',
    SEELE_MARKET_AUDIT_SHARE: '1',
    SEELE_MARKET_DISPUTES_EVERY_MS: '300',
    SEELE_PROVIDER_DISPUTES_EVERY_MS: '300',
  });
  ({ provider: liar, account } = await startLiar('liar'));
}, 240_000);

/** A provider under a key and a bond of its own, cheaper than all others. */
async function startLiar(name: string) {
  const passphrase = await homePassphrase(machine.home, undefined);
  const { seed } = await ensureHomeKey(machine.home, `provider-${name}`, passphrase);
  const { account: of } = createSigner(seed);
  const node = createNodeClient(machine.urls.node);
  await sendCalls(node, machine.signer, [tokenCalls.transfer({ to: of, amount: 50_000_000_000n })]);
  const settings = loadSettings(providerSettings, {
    env: {
      ...{ SEELE_HOME: machine.home, SEELE_PROVIDER_NAME: name, SEELE_PROVIDER_LEVEL: 'eco' },
      ...{ SEELE_MARKET_URL: machine.urls.market, SEELE_NODE_URL: machine.urls.node },
      ...{ STORAGE_RPC_URL: machine.urls.storage, SEELE_PROVIDER_SLOTS: '2' },
      STORAGE_RPC_TOKEN: readFileSync(join(machine.home, 'storage-token'), 'utf8').trim(),
      // The cheapest of all, so that it is asked first.
      ...{
        SEELE_PROVIDER_PRICE_PER_CORE_SECOND: '1000',
        SEELE_PROVIDER_PRICE_PER_GIB_SECOND: '1000',
      },
      ...{ SEELE_PROVIDER_BOND: '20000000000', SEELE_PROVIDER_DISPUTES_EVERY_MS: '300' },
      ...{ SEELE_PROVIDER_DRAIN_MS: '100', SEELE_PROVIDER_PORT: '0' },
    },
  });
  const logger = createLogger({ name, level: 'silent' });
  const provider = await startProvider(settings, logger, {
    ...{ times: DEFAULT_AGENT_TIMES, liar: { say, show } },
  });
  await until('the bond of the liar', async () =>
    (await bondOf(of)) === 20_000_000_000n ? true : undefined,
  );
  await until('the liar’s offer', async () =>
    (await machine.market.providers()).some((one) => one.name === name && one.online)
      ? true
      : undefined,
  );
  return { provider, account: of };
}

afterAll(async () => {
  await liar?.stop();
  await machine?.stop();
  rmSync(folder, { recursive: true, force: true });
}, 60_000);

describe('a provider that lies about a js job of tier A', () => {
  it('is paid, then found out by two others at the market’s cost, and convicted; the price goes back', async () => {
    const { cid } = await machine.store.put(new TextEncoder().encode('a lie'), { pin: true });
    lieAboutJobs = cid;
    const order = await machine.orderer({
      ...{ code: 'export default () => "the truth"', tier: 'A', priceCap: 2_000_000_000n },
    });
    const id = await order();
    const ended = await machine.market.waitForEnd(id, { timeoutMs: 60_000 });
    lieAboutJobs = undefined;
    expect(ended).toMatchObject({ status: 'settled', result: cid });
    const texts = async () => {
      const { decisions } = await machine.market.why(id);
      return decisions.map(({ text }) => text).join('\n');
    };
    const said = await until('the conviction', async () => {
      const all = await texts();
      return all.includes('convicted') ? all : undefined;
    });
    expect(said).toContain('two other operators came to something else');
    expect(await bondOf(account)).toBe(10_000_000_000n);
  }, 150_000);
});

describe('a provider that lies about a verifiable job', () => {
  let order: string;
  let dispute: Dispute;

  it('is paid, then found out by the market’s own run, which disputes it', async () => {
    const book = join(folder, 'book.txt');
    writeFileSync(book, 'the cat and the dog\n'.repeat(400));
    const source = join(process.cwd(), 'examples/jobs/top-words.ts');
    const ran = await machine.seele(
      ...['run', source, '--kind', 'verifiable', '--in', `text=${book}`, '--follow', '--json'],
      ...['--fuel', '10000000000', '--checkpoint-fuel', '5000000'],
    );
    const followed = JSON.parse(ran.stdout) as { order: { id: string; status: string } };
    expect(followed.order.status).toBe('settled');
    order = followed.order.id;
    const list = async () =>
      (
        JSON.parse((await machine.seele('dispute', 'list', '--json')).stdout) as {
          disputes: Dispute[];
        }
      ).disputes;
    dispute = await until('the ruling', async () =>
      (await list()).find((one) => one.order === order && one.phase === 'decided'),
    );
    expect(dispute.ruling).toBe('challenger');
    // Narrowed to the first checkpoint that differs, one opened pair per round.
    expect([dispute.agreed, dispute.open]).toEqual([LIES_FROM, LIES_FROM]);
    expect(dispute.panel.map(({ finding }) => finding)).toEqual([
      'challenger',
      'challenger',
      'challenger',
    ]);
  }, 180_000);

  it('loses half of its bond, and its reputation says so', async () => {
    expect(await bondOf(account)).toBe(5_000_000_000n);
    const reputation = await machine.seele('audit', 'reputation', '--json');
    const { providers } = JSON.parse(reputation.stdout) as {
      providers: { disputesLost: number; isSame: boolean }[];
    };
    expect(providers.filter(({ disputesLost }) => disputesLost === 2)).toHaveLength(1);
    const why = await machine.seele('why', order);
    expect(why.stdout).toContain('replay-wrong');
    expect(why.stdout).toContain('disputed');
    const shown = await machine.seele('dispute', 'show', dispute.id.slice(0, 12));
    expect(shown.stdout).toContain('decided: challenger');
  }, 60_000);
});

describe('a provider that lies about tasks', () => {
  const TASKS = 12;
  const code = 'export default ({ task }) => `task ${task?.index}`';

  it('is outvoted where several operators do each task, and not paid for what it lied in', async () => {
    const job = await machine.orderer({
      code,
      tasks: TASKS,
      replicas: 3,
      priceCap: 36_000_000_000n,
    });
    const id = await job();
    const ended = await machine.market.waitForEnd(id, { timeoutMs: 120_000 });
    expect(ended).toMatchObject({ status: 'settled', array: { tasks: TASKS, failed: 0 } });
    const { result } = await until('the result', async () => {
      const one = await machine.market.order(id);
      return one.result === undefined ? undefined : { result: one.result };
    });
    const outputs = new Map<number, string>();
    for await (const { task, output } of arrayOutputs(machine.store, result))
      outputs.set(task, new TextDecoder().decode(output));
    expect(outputs.size).toBe(TASKS);
    for (const [task, text] of outputs) expect(text).toBe(`task ${task}`);
    const { decisions } = await machine.market.why(id);
    const said = decisions.map(({ text }) => text).join('\n');
    expect(said).toContain('MARKET_ODD_RESULT');
  }, 150_000);

  it('nothing is taken on where fewer operators are there than must agree', async () => {
    const replicas = 15;
    const job = await machine.orderer({ code, replicas, priceCap: 20_000_000_000n });
    await expect(job()).rejects.toMatchObject({ code: 'MARKET_TOO_FEW_OPERATORS' });
  }, 30_000);
});

describe('a provider that lies about a batch nobody else does', () => {
  it('is paid, then found out by up to four of its tasks, and convicted by what it signed', async () => {
    // The other liar is known by now.
    await liar.stop();
    const fibber = await startLiar('fibber');
    liar = fibber.provider;
    const job = await machine.orderer({
      ...{ code: 'export default ({ task }) => `task ${task?.index}`', tasks: 10 },
      ...{ tier: 'A', priceCap: 12_000_000_000n },
    });
    const id = await job();
    expect(await machine.market.waitForEnd(id, { timeoutMs: 60_000 })).toMatchObject({
      ...{ status: 'settled', array: { tasks: 10, failed: 0 } },
    });
    const said = await until('the conviction', async () => {
      const { decisions } = await machine.market.why(id);
      const all = decisions.map(({ text }) => text).join('\n');
      return all.includes('convicted') ? all : undefined;
    });
    expect(said).toContain('two other operators came to something else');
    expect(await bondOf(fibber.account)).toBe(10_000_000_000n);
    // Anyone draws again; at the least chance few are drawn, and those were ordered or could not be.
    const draws = JSON.parse((await machine.seele('audit', 'draws', '--json')).stdout) as {
      settled: number;
      convicted: number;
      draws: { draw: number }[];
    };
    expect(draws.convicted).toBeGreaterThanOrEqual(1);
    expect(draws.settled).toBeGreaterThanOrEqual(1);
    for (const { draw } of draws.draws) expect(draw).toBeLessThan(0.02);
  }, 180_000);
});

describe('a validator program', () => {
  const wanted =
    'export default async ({ inputs, params }) => {\n' +
    '  const said = JSON.parse(await inputs.result.text());\n' +
    '  return said >= params.least ? { accept: true } : { accept: false, reason: `${said} is below ${params.least}` };\n' +
    '};';

  it('accepts or rejects each result; what it rejects is not paid', async () => {
    const validator = { code: (await machine.store.put(new TextEncoder().encode(wanted))).cid };
    const limits = { outputBytes: 1000 };
    const code = 'export default ({ params }) => params.value';
    const order = async (value: number) => {
      const job = await machine.orderer({
        ...{ code, limits, params: { value }, priceCap: 1_000_000_000n },
        validator: { ...validator, params: { least: 10 } },
      });
      return machine.market.waitForEnd(await job(), { timeoutMs: 120_000 });
    };
    expect(await order(12)).toMatchObject({ status: 'settled', exit: 'ok' });
    const refused = await order(3);
    expect(refused).toMatchObject({ status: 'cancelled', chain: { paid: '0' } });
    expect(refused.reason?.text).toContain('3 is below 10');
  }, 240_000);
});
