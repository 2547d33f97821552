/**
 * A provider: the real agent reducer, a journal on a disk, a connection to the market, and slots whose
 * guests do what their order's script says. Some providers cheat.
 */
import {
  DELIVERY_DOMAIN,
  type Delivery,
  type ExitClass,
  type SignedDelivery,
  deliveryBytes,
  unitsOf,
} from '#contracts';
import type { SeededRandomness } from '#libs/kernel';
import {
  type Agent,
  type AgentEffect,
  type AgentEvent,
  type AgentMessage,
  type MarketMessage,
  type ProviderOffer,
  type UnitsReport,
  type StoredLease,
  type StoredUnits,
  applyAgentEvent,
  createAgent,
  decodeAgentMessage,
  decodeMarketMessage,
  encodeAgentMessage,
  encodeMarketMessage,
  nextAgentTickMs,
} from '#libs/market';
import { lieOf, truthOf } from './audit-checks.ts';
import { type BatchCheats, batchSent } from './batch-cheats.ts';
import type { MarketProcess } from './market-process.ts';
import { type ResultStore, cidOf, unitOutput } from './result-store.ts';
import type { JobScript } from './scripts.ts';
import { Alarm, Channel, Life } from './world.ts';

/** Of an array whose program crashes, every so many tasks break their slot. */
const POISON_EVERY = 37;
const UNITS_PER_STEP = 64;
export const TRUE_OUTPUT = unitOutput(0);

export const AGENT_TIMES = {
  reconnectMs: 50,
  reconnectMaxMs: 1000,
  flushMs: 20,
  progressMs: 50,
  resendMs: 1000,
} as const;

export interface AgentOptions extends BatchCheats {
  readonly offer: ProviderOffer;
  readonly market: MarketProcess;
  readonly results: ResultStore;
  /** Of units it says something else in so many of a hundred; always the same lie of its own. */
  readonly lie?: { readonly number: number; readonly share: number } | undefined;
  /** It says something else of so many whole jobs of a hundred. */
  readonly wholeLies?: number | undefined;
  /** What the job under this manifest does. */
  readonly scriptOf: (manifest: string) => JobScript | undefined;
  /** Hands a signed delivery to the chain, past the market. */
  readonly relay: (delivery: SignedDelivery) => void;
  /** Messages cross the line as bytes. */
  readonly usesWire: boolean;
}

interface Link {
  readonly session: string;
  readonly up: Channel;
  readonly down: Channel;
  isOpen: boolean;
}

export class AgentProcess {
  readonly life = new Life();
  readonly #options: AgentOptions;
  readonly #random: SeededRandomness;
  readonly #journal = new Map<string, StoredLease>();
  readonly #batches = new Map<string, StoredUnits>();
  readonly #running = new Map<string, number>();
  #agent: Agent | undefined;
  #link: Link | undefined;
  #sessions = 0;
  #runs = 0;
  readonly #alarm: Alarm;
  #pausedUntilUs = 0;
  /** How wrong its clock is. */
  readonly #skewUs: number;

  constructor(options: AgentOptions) {
    this.#options = options;
    this.#random = options.world.random.fork(`agent ${options.offer.name}`);
    this.#skewUs = this.#random.chance(0.3) ? (this.#random.below(7200) - 3600) * 1e6 : 0;
    if (this.#skewUs !== 0) options.world.count('fault clock of an agent wrong');
    this.#alarm = new Alarm(options.world, this.life, 'agent tick', () =>
      this.#apply({ kind: 'tick' }),
    );
  }

  start(): void {
    const { signer, offer } = this.#options;
    this.#alarm.begin();
    this.#agent = createAgent({ signer, offer, times: AGENT_TIMES, attempts: 2 });
    this.#running.clear();
    this.life.begin();
    this.#apply({
      kind: 'restored',
      leases: [...this.#journal.values()],
      units: [...this.#batches.values()],
    });
  }

  crash(): void {
    if (!this.life.isUp) return;
    this.#options.world.count('fault agent crash');
    this.#startAgain();
  }

  /** Finishes what it has, stops, and comes back. */
  drain(): void {
    this.#options.world.count('fault agent drained');
    this.#apply({ kind: 'drain' });
  }

  #startAgain(): void {
    const { world } = this.#options;
    this.life.end();
    this.#cut();
    world.after(world.between(50, 5000), 'agent starts', () => this.start());
  }

  /** SIGSTOP: nothing is done for a while, then everything at once. */
  pause(): void {
    const { world } = this.#options;
    world.count('fault agent paused');
    this.#pausedUntilUs = world.nowUs + Math.ceil(world.between(1000, 8000) * 1000);
  }

  cut(): void {
    this.#options.world.count('fault line cut');
    this.#cut();
  }

  #cut(): void {
    const link = this.#link;
    if (!link?.isOpen) return;
    link.isOpen = false;
    this.#options.market.disconnect(link.session);
    if (this.life.isUp) this.#apply({ kind: 'disconnected' });
  }

  #apply(event: AgentEvent): void {
    const { world } = this.#options;
    const agent = this.#agent;
    if (!agent || !this.life.isUp) return;
    if (world.nowUs < this.#pausedUntilUs) {
      const waitMs = (this.#pausedUntilUs - world.nowUs) / 1000;
      world.after(waitMs, 'resumed', () => this.#apply(event), this.life.guard());
      return;
    }
    const now = { timeUs: world.nowUs + this.#skewUs, monotonicMs: this.#alarm.nowMs };
    for (const effect of applyAgentEvent(agent, event, now, this.#random)) this.#perform(effect);
    this.#alarm.set(nextAgentTickMs(agent));
  }

  #perform(effect: AgentEffect): void {
    const { world } = this.#options;
    const isAlive = this.life.guard();
    switch (effect.kind) {
      case 'connect':
        return this.#connect();
      case 'close':
        return this.#cut();
      case 'send':
        return this.#send(effect.message);
      case 'save': {
        const { lease, what } = effect;
        const save = (): void => {
          this.#journal.set(lease.lease, lease);
          this.#apply({ kind: 'saved', lease: lease.lease, what });
        };
        return world.after(world.between(0.5, 5), 'journal', save, isAlive);
      }
      case 'forget':
        this.#batches.delete(effect.lease);
        return void this.#journal.delete(effect.lease);
      case 'saveUnits': {
        const { units, what } = effect;
        const save = (): void => {
          this.#batches.set(units.lease, units);
          this.#apply({ kind: 'saved', lease: units.lease, what });
        };
        return world.after(world.between(0.5, 5), 'journal', save, isAlive);
      }
      case 'runUnits':
        return this.#runBatch(effect.units);
      case 'run':
        return this.#runJob(effect.lease);
      case 'kill':
        return void this.#running.delete(effect.lease);
      case 'drained':
        return this.#startAgain();
      default:
        return;
    }
  }

  // ---- connection -----------------------------------------------------------------------------

  #connect(): void {
    const { world, offer, market, usesWire } = this.#options;
    const session = `${offer.name}/${(this.#sessions += 1)}`;
    const up = new Channel(world, 'to market');
    const down = new Channel(world, 'to agent');
    const link: Link = { session, up, down, isOpen: true };
    this.#link = link;
    const isOpen = (): boolean => link.isOpen && this.life.isUp;
    const receive = (message: MarketMessage): void => {
      const arrived = usesWire ? decodeMarketMessage(encodeMarketMessage(message)) : message;
      this.#apply({ kind: 'message', message: arrived });
    };
    const socket = {
      session,
      deliver: (message: MarketMessage) =>
        down.send(() => receive(message), isOpen, isGreeting(message)),
      close: () => {
        if (!link.isOpen) return;
        link.isOpen = false;
        world.after(1, 'closed', () => this.#apply({ kind: 'disconnected' }), this.life.guard());
      },
    };
    world.after(world.between(1, 5), 'connect', () => {
      if (!link.isOpen || !this.life.isUp) return;
      if (market.life.isUp) {
        this.#apply({ kind: 'connected' });
        market.connect(socket);
        return;
      }
      link.isOpen = false;
      this.#apply({ kind: 'disconnected' });
    });
  }

  #send(original: AgentMessage): void {
    const { market, usesWire } = this.#options;
    const link = this.#link;
    if (!link?.isOpen) return;
    const message =
      original.kind === 'deliver'
        ? this.#spoiled(original)
        : original.kind === 'deliverUnits'
          ? batchSent(this.#options, original)
          : original;
    if (message.kind === 'deliver') {
      this.#maybeRelay(message.delivery);
      this.#maybeShowTwoFaces(message.delivery);
    }
    const arrived = usesWire ? decodeAgentMessage(encodeAgentMessage(message)) : message;
    link.up.send(
      () => market.receive(link.session, arrived),
      () => link.isOpen,
      message.kind === 'hello',
    );
  }

  /** A provider that is not answered turns to the chain itself. */
  #maybeRelay(delivery: SignedDelivery): void {
    const { world, relay } = this.#options;
    if (!world.fault('delivery relayed to the chain', 0.15)) return;
    world.after(world.between(1, 4000), 'relay', () => relay(delivery));
  }

  /** One delivery for the market, and a dearer one for the chain, under the same fence. */
  #maybeShowTwoFaces({ delivery, publicKey }: SignedDelivery): void {
    const { world, isCheat, signer, relay } = this.#options;
    if (!isCheat || !world.fault('two faces', 0.5)) return;
    const dearer = { ...delivery, charge: delivery.charge + 1n };
    const signature = signer.sign(DELIVERY_DOMAIN, deliveryBytes(dearer));
    world.after(world.between(1, 100), 'relay', () =>
      relay({ delivery: dearer, publicKey, signature }),
    );
  }

  #spoiled(message: Extract<AgentMessage, { kind: 'deliver' }>): typeof message {
    const { world, isCheat, signer } = this.#options;
    if (!isCheat || !world.fault('cheat', 0.5)) return message;
    const { delivery } = message.delivery;
    const changed = this.#random.pick<Partial<Delivery>>([
      { charge: delivery.charge * 2n + 1n },
      { fence: delivery.fence + 1 },
      { order: 'ab'.repeat(32) },
      { logHead: 'cd'.repeat(32) },
      ...(delivery.result === undefined ? [] : [{ result: cidOf('nothing there') }]),
    ]);
    const spoiled = { ...delivery, ...changed };
    const signature = signer.sign(DELIVERY_DOMAIN, deliveryBytes(spoiled));
    return { ...message, delivery: { ...message.delivery, delivery: spoiled, signature } };
  }

  // ---- slots ----------------------------------------------------------------------------------

  #runJob(stored: StoredLease): void {
    const { world, offer, scriptOf } = this.#options;
    const script = scriptOf(stored.manifest);
    const { lease } = stored;
    if (!script || world.fault('input not to be had', 0.02)) {
      this.#apply({ kind: 'failed', lease, code: 'PROVIDER_INPUT', reason: 'no manifest' });
      return;
    }
    const run = (this.#runs += 1);
    this.#running.set(lease, run);
    const isAlive = this.life.guard();
    const isRunning = (): boolean => isAlive() && this.#running.get(lease) === run;
    const started = { kind: 'started', lease, code: script.code, inputs: [] } as const;
    const begin = (): void => this.#apply({ ...started, isolation: offer.isolation });
    world.after(world.between(1, 30), 'guest starts', begin, isRunning);
    const line = { kind: 'line', lease, level: 'info', text: 'at work' } as const;
    world.after(40, 'guest speaks', () => this.#apply(line), isRunning);
    if (script.ending === 'hangs' || world.fault('slot hangs', 0.01)) return;
    const late = world.fault('result late', 0.03) ? world.between(1000, 20_000) : 0;
    const wallMs = Math.round(script.runMs + late);
    const end = (): void => this.#finish(stored, script, wallMs);
    world.after(50 + wallMs, 'guest ends', end, isRunning);
  }

  /** Units of a batch, a few at a time; the slot may die in between, and some units break it always. */
  #runBatch(stored: StoredUnits): void {
    const { world, scriptOf, results: store } = this.#options;
    const { lease, order, fence } = stored;
    const script = scriptOf(stored.manifest);
    const fail = (code: string): void =>
      this.#apply({ kind: 'failed', lease, code, reason: 'a fault of the simulation' });
    if (!script || world.fault('batch not begun', 0.03)) return fail('PROVIDER_STORAGE');
    const run = (this.#runs += 1);
    this.#running.set(lease, run);
    const isAlive = this.life.guard();
    const isRunning = (): boolean => isAlive() && this.#running.get(lease) === run;
    const units = unitsOf(stored.units);
    const done: UnitsReport['results'][number][] = [];
    const step = (): void => {
      if (world.fault('slot of a batch dies', 0.02)) return fail('PROVIDER_SLOT');
      for (const unit of units.slice(done.length, done.length + UNITS_PER_STEP)) {
        const task = script.tasks === undefined ? unit : unit % script.tasks;
        const isPoison = script.ending === 'crash' && task % POISON_EVERY === 3;
        const exit: ExitClass = isPoison ? 'crash' : task % 11 === 5 ? 'guest-error' : 'ok';
        const usage = { cpuMs: 3, wallMs: 3, peakMemoryBytes: 1, inputBytes: 0, outputBytes: 9 };
        done.push({ unit, exit, usage, ...(exit === 'ok' && { output: this.#output() }) });
      }
      const isLast = done.length >= units.length;
      const document = cidOf(`${order}/${fence}/${done.length}/${this.#random.below(1000)}`);
      store.put(document, 100);
      if (isLast) this.#running.delete(lease);
      const report = { results: [...done], document, limits: script.limits, isLast };
      this.#apply({ kind: 'unitsReported', lease, report });
      if (!isLast) world.after(world.between(20, 300), 'units', step, isRunning);
    };
    world.after(world.between(10, 200), 'units', step, isRunning);
  }

  #output() {
    const { world, lie } = this.#options;
    if (!lie || this.#random.below(100) >= lie.share) return TRUE_OUTPUT;
    world.count('fault wrong output');
    return unitOutput(lie.number);
  }

  /** The same by whoever runs it, unless one lies. */
  #result(manifest: string): string {
    const { world, wholeLies = 0 } = this.#options;
    if (wholeLies === 0 || this.#random.below(100) >= wholeLies) return truthOf(manifest);
    world.count('fault lie about a whole job');
    return lieOf(manifest);
  }

  #finish({ lease, manifest }: StoredLease, script: JobScript, wallMs: number): void {
    const { world, results } = this.#options;
    this.#running.delete(lease);
    let exit: ExitClass = script.ending === 'hangs' ? 'wall-limit' : script.ending;
    if (world.fault('slot crashes', 0.03)) exit = 'crash';
    const outputBytes = exit === 'ok' ? 100 : 0;
    const usage = { cpuMs: wallMs, wallMs, peakMemoryBytes: 1, inputBytes: 0, outputBytes };
    const isLarge = world.fault('result too large', 0.01);
    const result = isLarge ? cidOf(`too much of ${manifest}`) : this.#result(manifest);
    if (exit === 'ok') results.put(result, isLarge ? 10 ** 9 : outputBytes);
    this.#apply({
      kind: 'finished',
      lease,
      outcome: { exit, usage, limits: script.limits, ...(exit === 'ok' && { result }) },
    });
  }
}

/** The first words of a connection: a line that loses them is cut, which is another fault. */
const isGreeting = ({ kind }: MarketMessage): boolean => kind === 'challenge' || kind === 'welcome';
