/**
 * From the SIGKILL of a provider until each of its tasks is begun by another one, as a consumer sees it
 * in the events of its jobs. The providers are of this bench: nobody starts a killed one again, so every
 * take-over is one by somebody else.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseAccount } from '#libs/kernel';
import type { LocalMachine } from '../support/local-machine.ts';
import { settingsBeside } from '../support/own-market.ts';
import { type OwnProcess, startOwnProcess } from '../support/own-process.ts';
import { percentile } from './harness.ts';

/** Waits, so that many of them side by side measure the take-over and not the processor. */
const WAITS = `export default async () => {
  await new Promise((done) => setTimeout(done, 80_000));
  return 'done';
};`;
const LIMITS = { wallMs: 90_000, cpuMs: 5_000 };
/** Dear enough for no other job of the bench to go there. */
const PRICE = '100000000';
const HEIR_PRICE = '200000000';
const PRICE_CAP = 200_000_000n * 70n;
const LIMIT_MS = 60_000;
const LEVELS = ['standard', 'fast'] as const;
const HEIR = 'heir';
const victimOf = (level: TakeoverLevel): string => `victim-${level}`;
type TakeoverLevel = (typeof LEVELS)[number];

export interface Takeovers {
  readonly takeoverMsP95: Readonly<Record<TakeoverLevel, number | null>>;
  /** Tasks that ran on the killed provider, side by side. */
  readonly takeoverTries: Readonly<Record<TakeoverLevel, number>>;
  /** Of those, tasks that nobody else began in a minute; with any there is no P95. */
  readonly takeoverMissed: Readonly<Record<TakeoverLevel, number>>;
}

/** One task, seen by its consumer: who has it, and when somebody begins it. */
class Watched {
  readonly id: string;
  readonly #stop = new AbortController();
  readonly #starts: { readonly provider: unknown; readonly atMs: number }[] = [];
  #failure: unknown;
  #told: () => void = () => {};

  constructor(machine: LocalMachine, id: string) {
    this.id = id;
    this.#follow(machine).catch((error: unknown) => (this.#failure = error));
  }

  async #follow({ market }: LocalMachine): Promise<void> {
    const { signal } = this.#stop;
    for await (const { kind, data } of market.events(this.id, { signal })) {
      if (kind !== 'started') continue;
      this.#starts.push({ provider: data['provider'], atMs: performance.now() });
      this.#told();
    }
  }

  /** When a provider other than this one began it; undefined when nobody did in time. */
  async begun(isAnother: (provider: unknown) => boolean): Promise<number | undefined> {
    for (const deadline = performance.now() + LIMIT_MS; performance.now() < deadline;) {
      const found = this.#starts.find(({ provider }) => isAnother(provider));
      if (found) return found.atMs;
      if (this.#failure !== undefined) throw this.#failure;
      const told = new Promise<void>((resolve) => (this.#told = resolve));
      await Promise.race([told, sleep(1_000, undefined, { ref: false })]);
    }
    return undefined;
  }

  get providers(): readonly unknown[] {
    return this.#starts.map(({ provider }) => provider);
  }

  stop(): void {
    this.#stop.abort();
  }
}

interface Victim {
  readonly level: TakeoverLevel;
  readonly process: OwnProcess;
  readonly tasks: readonly Watched[];
}

async function starter(machine: LocalMachine, slots: number) {
  const common = {
    ...(await settingsBeside(machine, 'takeover', [HEIR, ...LEVELS.map(victimOf)])),
    SEELE_MARKET_URL: machine.urls.market,
    SEELE_PROVIDER_SPARES: '0',
    SEELE_PROVIDER_KINDS: 'js',
  };
  return (name: string, level: TakeoverLevel, price: string, times: number) =>
    startOwnProcess(
      'provider',
      {
        ...common,
        SEELE_PROVIDER_NAME: name,
        SEELE_PROVIDER_REGION: name,
        SEELE_PROVIDER_LEVEL: level,
        SEELE_PROVIDER_SLOTS: String(slots * times),
        // Its jobs only wait.
        SEELE_PROVIDER_CORES: String(slots * times),
        SEELE_PROVIDER_PRICE_PER_CORE_SECOND: price,
      },
      join(common.SEELE_HOME, `${name}.log`),
    );
}

async function online(machine: LocalMachine, names: readonly string[]): Promise<void> {
  for (const fromMs = performance.now(); performance.now() - fromMs < LIMIT_MS; await sleep(20)) {
    const found = await machine.market.providers();
    if (names.every((name) => found.some((one) => one.name === name && one.online))) return;
  }
  throw new Error('the providers do not reach the market');
}

export interface Killing {
  /** When the tasks of that provider were begun elsewhere: what else is done meanwhile would count against it. */
  readonly of: Readonly<Record<TakeoverLevel, Promise<unknown>>>;
  readonly all: Promise<Takeovers>;
}

export interface Preparation {
  /** Kills both providers now. */
  kill(): Killing;
  stop(): Promise<void>;
}

/** Two providers, one of each level, with `tries` tasks each in work, and one with room for them all. */
export async function prepareTakeover(machine: LocalMachine, tries: number): Promise<Preparation> {
  const start = await starter(machine, tries);
  const running: OwnProcess[] = [];
  const watched: Watched[] = [];
  const stop = async () => {
    for (const task of watched) task.stop();
    await Promise.all(running.map((one) => one.kill()));
  };
  try {
    const started = await Promise.all([
      // A machine that is busy for two seconds is not to count as its loss.
      start(HEIR, 'standard', HEIR_PRICE, LEVELS.length),
      ...LEVELS.map((level) => start(victimOf(level), level, PRICE, 1)),
    ]);
    running.push(...started);
    await online(machine, [HEIR, ...LEVELS.map(victimOf)]);
    const victims = await Promise.all(
      LEVELS.map(async (level, i): Promise<Victim> => {
        const order = await machine.orderer({
          // The cheapest of the two that may take it is the one to be killed.
          ...{ code: WAITS, limits: LIMITS, tier: 'A', priceCap: PRICE_CAP },
          placement: { regions: [victimOf(level), HEIR] },
        });
        const ids = await Promise.all(Array.from({ length: tries }, order));
        const tasks = ids.map((id) => new Watched(machine, id));
        watched.push(...tasks);
        await Promise.all(tasks.map((task) => task.begun(() => true)));
        return { level, tasks, process: started[i + 1] as OwnProcess };
      }),
    );
    return { kill: () => killAll(machine, victims), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function killAll(machine: LocalMachine, victims: readonly Victim[]): Killing {
  const providers = machine.market.providers();
  const kill = async ({ level, process, tasks }: Victim) => {
    const found = (await providers).find(({ name }) => name === victimOf(level));
    const own = parseAccount(found?.provider ?? '');
    const its = tasks.filter((task) => task.providers.every((one) => one === own));
    const fromMs = performance.now();
    await process.kill();
    const begun = await Promise.all(its.map((task) => task.begun((one) => one !== own)));
    const tookMs = begun.flatMap((atMs) => (atMs === undefined ? [] : [atMs - fromMs]));
    await Promise.allSettled(tasks.map(({ id }) => machine.market.cancel(id)));
    return { level, tookMs, missed: begun.length - tookMs.length };
  };
  const measuring = victims.map(kill);
  const of = Object.fromEntries(victims.map(({ level }, i) => [level, measuring[i]]));
  return {
    of: of as Record<TakeoverLevel, Promise<unknown>>,
    all: Promise.all(measuring).then(report),
  };
}

function report(
  measured: readonly { level: TakeoverLevel; tookMs: readonly number[]; missed: number }[],
): Takeovers {
  const by = <T>(value: (one: (typeof measured)[number]) => T) =>
    Object.fromEntries(measured.map((one) => [one.level, value(one)])) as Record<TakeoverLevel, T>;
  return {
    takeoverMsP95: by(({ tookMs, missed }) =>
      tookMs.length === 0 || missed > 0 ? null : Math.round(percentile(tookMs, 0.95)),
    ),
    takeoverTries: by(({ tookMs, missed }) => tookMs.length + missed),
    takeoverMissed: by(({ missed }) => missed),
  };
}
