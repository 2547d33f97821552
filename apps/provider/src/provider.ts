/** Puts a provider together: slots, journal, storage, link, agent. */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Signer, createSigner } from '#libs/crypto';
import { formatAccount } from '#libs/kernel';
import {
  type AgentEvent,
  type AgentTimes,
  DEFAULT_AGENT_TIMES,
  type JobKind,
  type ProviderOffer,
  agentFreeSlots,
} from '#libs/market';
import {
  type JobRun,
  type Logger,
  type RunningService,
  createHealth,
  createMetrics,
  createNodeClient,
  createSystemClock,
  createSystemRandomness,
  endProcess,
  ensureHomeKey,
  ensurePrivateDirectory,
  homePassphrase,
} from '#libs/platform';
import { type BlobStore, createKuboBlobStore } from '#libs/storage';
import { type SlotIsolation, type SlotPool, createSlotPool } from '#sandbox';
import { type AgentLoop, createAgentLoop } from './agent-loop.ts';
import { providerError } from './errors.ts';
import { createContentCache } from './content-cache.ts';
import { startDisputeDuty } from './dispute-duty.ts';
import { createJobContent } from './job-content.ts';
import { type JobRunner, createJobRunner } from './job-runner.ts';
import { openLeaseJournal } from './journal.ts';
import { type MarketLink, createMarketLink } from './market-link.ts';
import { probeMachine } from './probe-machine.ts';
import { keepOfferRegistered } from './register-offer.ts';
import type { ProviderSettings } from './settings.ts';
import { startShardKeeping } from './shard-keeping.ts';
import { startStatusServer } from './status-server.ts';
import { type UnitRunner, createUnitRunner } from './unit-runner.ts';

/** A slot that keeps dying is started this often before the job is delivered as `crash`. */
const ATTEMPTS = 2;
const FLUSH_MS = 1_000;
const PROBE_MS = 3_600_000;

async function signerOf(settings: ProviderSettings): Promise<Signer> {
  const passphrase = await homePassphrase(settings.home, settings.passphrase);
  const name = settings.key ?? `provider-${settings.name}`;
  const { seed } = await ensureHomeKey(settings.home, name, passphrase);
  return createSigner(seed);
}

/** The offer: what was probed, under the prices and the name that were set. */
async function makeOffer(
  settings: ProviderSettings,
  folder: string,
  signer: Signer,
  pool: SlotPool,
): Promise<ProviderOffer> {
  const facts = await probeMachine(folder);
  const { name, domain, level, region, pricePerCoreSecond, pricePerGibSecond } = settings;
  return {
    ...{ provider: signer.account, name, domain, level, pricePerCoreSecond, pricePerGibSecond },
    ...(region !== undefined && { region }),
    ...facts,
    cores: settings.cores ?? facts.cores,
    slots: pool.freeSlots,
    kinds: [...pool.kinds],
    ...isolationOf(pool.isolation, pool.kinds),
  };
}

const clipped = (text: string, length: number): string => text.slice(0, length).toWellFormed();

/** What the probe found, in the offer's words. */
function isolationOf(
  { level, flags, failing, attempts, v8, codeHash }: SlotIsolation,
  kinds: readonly JobKind[],
) {
  const verdicts = attempts.map(({ attempt, refused, seen }) => ({
    ...{ attempt: clipped(attempt, 40), refused, seen: clipped(seen, 120) },
  }));
  const lowest = failing && {
    failing: { layer: clipped(failing.name, 40), evidence: clipped(failing.evidence, 300) },
  };
  return {
    isolation: level,
    probe: {
      flags: `${flags.join('')}${kinds.includes('js') ? '' : 'M'}`,
      ...lowest,
      verdicts,
      v8: clipped(v8, 40),
      codeHash,
    },
  };
}

/** Probes every hour; when what holds has changed, the offer is made anew. */
function probeHourly(
  pool: SlotPool,
  logger: Logger,
  changed: (isolation: SlotIsolation) => void,
): () => void {
  const timer = setInterval(() => {
    const summary = ({ level, failing, attempts }: SlotIsolation) =>
      [level, failing?.name, ...attempts.map(({ refused }) => refused)].join();
    const before = summary(pool.isolation);
    pool
      .probe()
      .then((isolation) => {
        if (summary(isolation) === before) return;
        logger.warn({ isolation }, 'the isolation of slots has changed');
        changed(isolation);
      })
      .catch((error: unknown) => logger.error({ err: error }, 'the sandbox could not be probed'));
  }, PROBE_MS);
  timer.unref();
  return () => clearInterval(timer);
}

async function stop(
  loop: AgentLoop,
  parts: {
    readonly link: MarketLink;
    readonly runner: JobRunner;
    readonly units: UnitRunner;
    readonly pool: SlotPool;
  },
  drainMs: number,
): Promise<void> {
  loop.emit({ kind: 'drain' });
  await Promise.race([loop.drained, delay(drainMs)]);
  loop.emit({ kind: 'stop' });
  await parts.link.flush(FLUSH_MS);
  parts.runner.killAll();
  parts.units.killAll();
  parts.pool.close();
}

export interface Provider extends RunningService {
  readonly loop: AgentLoop;
  readonly pool: SlotPool;
  /** From now on no new lease is taken; running ones go on. Nothing takes it back but a restart. */
  drain(): void;
}

export interface ProviderParts {
  /** For tests: another storage. */
  readonly blobs?: BlobStore;
  readonly times?: AgentTimes;
  /** For tests: what a liar says of its work, and shows in disputes. */
  readonly liar?: {
    readonly say: (event: AgentEvent) => AgentEvent;
    readonly show: (run: JobRun) => JobRun;
  };
}

/** Starts a provider. @throws whatever its parts throw: SANDBOX_, STORE_, KEYSTORE_, PLATFORM_ */
export async function startProvider(
  settings: ProviderSettings,
  logger: Logger,
  parts: ProviderParts = {},
): Promise<Provider> {
  const folder = settings.providerHome ?? join(settings.home, 'providers', settings.name);
  await ensurePrivateDirectory(folder);
  const signer = await signerOf(settings);
  const journal = openLeaseJournal(folder, logger);
  const slots = settings.slots ?? availableParallelism();
  const { jitless, spares } = settings;
  const pool = await createSlotPool({ slots, spares, jitless, kinds: settings.kinds });
  if (pool.meteredProblem !== undefined)
    logger.warn({ problem: pool.meteredProblem }, 'metered jobs do not run here');
  if (settings.networkRequired && !pool.isolation.networkClosed) {
    pool.close();
    throw providerError('PROVIDER_NETWORK_OPEN', 'slots cannot be cut off from the network here');
  }
  let offer = await makeOffer(settings, folder, signer, pool);
  logger.info({ isolation: pool.isolation, benchmark: offer.benchmarkScore }, 'sandbox probed');
  const { storageToken, storageUrl } = settings;
  const token = storageToken === undefined ? {} : { token: storageToken };
  const blobs = parts.blobs ?? createKuboBlobStore({ url: storageUrl, ...token });
  const loop: AgentLoop = createAgentLoop({
    config: {
      ...{ signer, attempts: ATTEMPTS, times: parts.times ?? DEFAULT_AGENT_TIMES },
      get offer() {
        return offer;
      },
      ...(settings.chain === undefined ? {} : { chain: settings.chain }),
    },
    clock: createSystemClock(),
    randomness: createSystemRandomness(),
    ...{ journal, logger, link: () => link, runner: () => runner, units: () => units },
    onFatal: (error) => endProcess(logger, error, 'the lease journal failed'),
  });
  const link = createMarketLink({
    ...{ url: settings.marketUrl, logger },
    onConnected: () => loop.emit({ kind: 'connected' }),
    onMessage: (message) => loop.emit({ kind: 'message', message }),
    onDisconnected: () => loop.emit({ kind: 'disconnected' }),
  });
  const { maxCodeBytes, maxOutputBytes } = settings;
  const content = createJobContent({
    ...{ pool, blobs, logger, maxCodeBytes, maxOutputBytes },
    cache: createContentCache(settings.cacheBytes),
  });
  const { liar } = parts;
  const emit = liar ? (event: AgentEvent) => loop.emit(liar.say(event)) : loop.emit;
  const runner = createJobRunner({
    ...{ pool, blobs, content, logger, emit },
  });
  const units = createUnitRunner({
    ...{ pool, blobs, content, logger, emit, isNoop: settings.noop },
  });
  if (settings.noop) logger.warn('batches of units are not run: this provider is for measurements');
  const health = createHealth();
  health.add('market', () => {
    if (loop.agent.link !== 'up') throw new Error('not connected to the market');
  });
  const metrics = createMetrics('provider');
  metrics.gauge(
    'seele_provider_leases',
    'Leases held',
    () => loop.agent.leases.size + loop.agent.units.size,
  );
  metrics.gauge('seele_provider_free_slots', 'Free slots', () => agentFreeSlots(loop.agent));
  const node = createNodeClient(settings.nodeUrl);
  const clock = createSystemClock();
  const keeping = startShardKeeping(settings, {
    ...{ folder, signer, node, blobs, clock, logger, metrics },
  });
  const duty = startDisputeDuty(settings, {
    ...{ signer, node, blobs, clock, logger, tamper: liar?.show },
  });
  const server = await startStatusServer({
    ...{ port: settings.port, health, metrics },
    status: () => ({
      ...{ name: settings.name, account: formatAccount(signer.account), slots },
      ...{ freeSlots: agentFreeSlots(loop.agent), market: loop.agent.link },
      draining: loop.agent.draining,
      leases: [...loop.agent.leases, ...loop.agent.units].map(([lease, { stage }]) => ({
        lease,
        stage,
      })),
      ...(keeping && { storage: keeping.keeper.status() }),
      kinds: [...pool.kinds],
      ...(pool.meteredProblem !== undefined && { meteredProblem: pool.meteredProblem }),
      isolation: pool.isolation,
    }),
  });
  const ending = new AbortController();
  let registering = new AbortController();
  const register = (): void => {
    registering.abort();
    registering = new AbortController();
    const signal = AbortSignal.any([ending.signal, registering.signal]);
    void keepOfferRegistered({ node, signer, offer, clock, logger }, signal);
  };
  register();
  const stopProbing = probeHourly(pool, logger, (isolation) => {
    offer = { ...offer, ...isolationOf(isolation, pool.kinds) };
    register();
    // The market hears the new offer in the next hello; leases outlive the line.
    link.close();
  });
  loop.emit({ kind: 'restored', leases: journal.restored, units: journal.restoredUnits });
  return {
    ...{ url: server.url, loop, pool },
    facts: { account: formatAccount(signer.account), isolation: pool.isolation.level },
    drain() {
      logger.info({ leases: loop.agent.leases.size }, 'draining: no new work is taken');
      loop.emit({ kind: 'drain' });
    },
    async stop() {
      health.stopping();
      ending.abort();
      stopProbing();
      duty.stop();
      await keeping?.stop();
      await stop(loop, { link, runner, units, pool }, settings.drainMs);
      await server.close();
      await journal.close();
      await blobs.close();
    },
  };
}
