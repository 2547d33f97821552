/**
 * The market's process: the real reducer, a database whose commits take time and may be lost with the
 * process, and everything that the app does with effects. Effects come out after their commit.
 */
import { type Signer, type SignatureVerifier } from '#libs/crypto';
import { type SeededRandomness, bytesToHex } from '#libs/kernel';
import {
  type AgentMessage,
  type Market,
  type MarketConfig,
  type MarketEffect,
  type MarketEvent,
  type MarketMessage,
  RESTORED_TABLES,
  type Reply,
  type StoredRow,
  type Submission,
  applyEvent,
  blockToEvent,
  helloProblem,
  nextTickMs,
  restoreMarket,
} from '#libs/market';
import { type TransactionBody, signTransaction } from '#libs/ledger';
import { bondOf } from './audit-checks.ts';
import type { BindingQueue } from './binding-queue.ts';
import type { LeaseMessage } from './graph-checks.ts';
import { describeMarket, leavesOf } from './market-rows.ts';
import type { Invariants } from './invariants.ts';
import type { NodeProcess } from './node-process.ts';
import { type ResultStore, cidOf } from './result-store.ts';
import { Alarm, Channel, Life, type World } from './world.ts';

/** How a mutant breaks the process around the reducer; production code has no such places. */
export interface MarketHooks {
  /** Lets effects out before their rows are durable. */
  readonly releasesEarly?: boolean;
  /** After a restart nothing unfinished is set going again. */
  readonly forgetsToResume?: boolean;
  /** Every submission is a new transaction with a nonce of its own. */
  readonly postsAnew?: boolean;
  readonly changesEffects?: (effects: readonly MarketEffect[]) => readonly MarketEffect[];
  readonly changesEvent?: (event: MarketEvent, market: Market) => MarketEvent | undefined;
}

/** The market's end of an agent's connection. */
export interface AgentSocket {
  readonly session: string;
  deliver(message: MarketMessage): void;
  close(): void;
}

interface Batch {
  readonly saves: Map<string, StoredRow | null>;
  readonly effects: MarketEffect[];
}

export interface MarketOptions {
  readonly world: World;
  readonly config: MarketConfig;
  readonly signer: Signer;
  readonly verify: SignatureVerifier;
  readonly node: NodeProcess;
  readonly queue: BindingQueue;
  readonly results: ResultStore;
  readonly invariants: Invariants;
  /** A lease leaves, and what is durable then. */
  readonly onLease: (message: LeaseMessage, rows: ReadonlyMap<string, StoredRow>) => void;
  readonly hooks: MarketHooks;
}

const newBatch = (): Batch => ({ saves: new Map(), effects: [] });

export class MarketProcess {
  readonly life = new Life();
  /** What is durable, by `table/id`. */
  readonly rows = new Map<string, StoredRow>();
  readonly #options: MarketOptions;
  readonly #random: SeededRandomness;
  readonly #waiting = new Map<string, (reply: Reply) => void>();
  readonly #sockets = new Map<string, { socket: AgentSocket; nonce: string; greeted: boolean }>();
  #market: Market | undefined;
  readonly #alarm: Alarm;
  #batch = newBatch();
  #committing: Batch | undefined;
  #requests = 0;
  #follower = 0;
  #stream: Channel;
  #freshNonce: number | undefined;

  constructor(options: MarketOptions) {
    this.#options = options;
    this.#random = options.world.random.fork('market');
    this.#stream = new Channel(options.world, 'stream');
    this.#alarm = new Alarm(options.world, this.life, 'tick', () =>
      this.dispatch({ kind: 'tick' }),
    );
  }

  get market(): Market | undefined {
    return this.life.isUp ? this.#market : undefined;
  }

  start(): void {
    const { config, hooks, queue } = this.#options;
    this.#alarm.begin();
    const tables: readonly string[] = RESTORED_TABLES;
    const rows = [...this.rows.values()].filter(({ table }) => tables.includes(table));
    this.#market = restoreMarket(config, rows);
    this.#batch = newBatch();
    this.#committing = undefined;
    this.life.begin();
    this.#options.invariants.marketStarted(this.rows);
    if (!hooks.forgetsToResume || rows.length === 0) this.dispatch({ kind: 'resume' });
    else this.#follow(this.#market.meta.height + 1);
    queue.attach((order, binding, done) => {
      this.#request({ kind: 'bindingDue', order, binding }, done);
    }, this.life.guard());
  }

  crash(): void {
    if (!this.life.isUp) return;
    const { world } = this.#options;
    world.count('fault market crash');
    // A commit under way has reached the disk, or it has not.
    if (this.#committing && this.#random.chance(0.5)) this.#store(this.#committing);
    this.life.end();
    this.#market = undefined;
    this.#waiting.clear();
    for (const { socket } of this.#sockets.values()) socket.close();
    this.#sockets.clear();
    const downMs = world.fault('market down for long', 0.3) ? world.between(4000, 15_000) : 0;
    world.after(downMs + world.between(20, 1500), 'market starts', () => this.start());
  }

  // ---- events ---------------------------------------------------------------------------------

  dispatch(original: MarketEvent): void {
    const { world, hooks, invariants } = this.#options;
    const market = this.#market;
    if (!this.life.isUp || !market) return;
    const event = hooks.changesEvent ? hooks.changesEvent(original, market) : original;
    if (!event) return;
    const now = { timeUs: world.nowUs, monotonicMs: this.#alarm.nowMs };
    world.trace(event.kind);
    const applied = applyEvent(market, event, now, this.#random);
    const effects = hooks.changesEffects ? hooks.changesEffects(applied) : applied;
    for (const effect of effects) this.#take(effect);
    invariants.afterEvent(market);
    this.#flush();
    this.#alarm.set(nextTickMs(market));
  }

  #take(effect: MarketEffect): void {
    const { saves, effects } = this.#batch;
    if (effect.kind === 'save')
      saves.set(`${effect.table}/${effect.id}`, {
        table: effect.table,
        id: effect.id,
        bytes: effect.bytes,
      });
    else if (effect.kind === 'remove') saves.set(`${effect.table}/${effect.id}`, null);
    else effects.push(effect);
  }

  /** Events of the time that a commit takes share the next one. */
  #flush(): void {
    const { world, hooks } = this.#options;
    if (this.#committing) return;
    const batch = this.#batch;
    if (batch.saves.size === 0 && batch.effects.length === 0) return;
    this.#batch = newBatch();
    this.#committing = batch;
    if (hooks.releasesEarly) this.#release(batch.effects.splice(0));
    const commitMs = batch.saves.size === 0 ? 0 : world.between(0.5, 4);
    const finish = (): void => {
      if (world.fault('database error', 0.0005)) return this.crash();
      this.#store(batch);
      this.#committing = undefined;
      this.#release(batch.effects);
      this.#flush();
    };
    world.after(commitMs, 'commit', finish, this.life.guard());
  }

  #store(batch: Batch): void {
    for (const [key, row] of batch.saves)
      if (row) this.rows.set(key, row);
      else this.rows.delete(key);
  }

  #release(effects: readonly MarketEffect[]): void {
    for (const effect of effects) {
      // A crash in the middle: some effects were done, the others were not.
      if (this.#options.world.fault('market crash in release', 0.0005)) return this.crash();
      this.#perform(effect);
    }
  }

  // ---- requests of people and workers ---------------------------------------------------------

  /** Applies an event that asks for a reply; the reply comes after its commit, or never. */
  #request(event: RequestWithout<MarketEvent>, answer: (reply: Reply) => void): void {
    const request = `r${(this.#requests += 1)}`;
    this.#waiting.set(request, answer);
    this.dispatch({ ...event, request });
  }

  submit(
    event: Omit<Extract<MarketEvent, { kind: 'submitOrder' }>, 'request' | 'balance'>,
    answer: (reply: Reply) => void,
  ): void {
    const { consumer, placeByUs } = event.order.order;
    const balance = this.#options.node.readBalance(consumer, placeByUs);
    if (!this.life.isUp || !balance) return;
    this.#request({ ...event, balance }, answer);
  }

  submitGraph(orders: readonly Submission[], answer: (reply: Reply) => void): void {
    const [first] = orders;
    const { consumer = this.#options.signer.account, placeByUs = 0 } = first?.order.order ?? {};
    const balance = this.#options.node.readBalance(consumer, placeByUs);
    if (!this.life.isUp || !balance) return;
    this.#request({ kind: 'submitGraph', orders, balance }, answer);
  }

  cancel(order: string, by: string, answer: (reply: Reply) => void): void {
    if (this.life.isUp) this.#request({ kind: 'cancelOrder', order, by }, answer);
  }

  // ---- agents' gateway ------------------------------------------------------------------------

  /** An agent connects; undefined when nobody listens. */
  connect(socket: AgentSocket): boolean {
    if (!this.life.isUp) return false;
    const { config, signer } = this.#options;
    const nonce = Buffer.from(this.#random.bytes(32)).toString('hex');
    this.#sockets.set(socket.session, { socket, nonce, greeted: false });
    const { chain } = config;
    socket.deliver({ kind: 'challenge', version: 1, nonce, market: signer.account, chain });
    return true;
  }

  receive(session: string, message: AgentMessage): void {
    const known = this.#sockets.get(session);
    if (!this.life.isUp || !known) return;
    if (message.kind !== 'hello') {
      if (known.greeted) this.dispatch({ kind: 'agentMessage', session, message });
      return;
    }
    const challenge = { nonce: known.nonce, market: this.#options.signer.account };
    if (helloProblem(message, challenge, this.#options.verify)) return this.disconnect(session);
    known.greeted = true;
    const { publicKey, offer, leases, draining = false } = message;
    this.dispatch({ kind: 'agentHello', session, publicKey, offer, leases, draining });
  }

  disconnect(session: string): void {
    const known = this.#sockets.get(session);
    if (!known) return;
    this.#sockets.delete(session);
    known.socket.close();
    this.dispatch({ kind: 'agentGone', session, isCut: true });
  }

  // ---- effects --------------------------------------------------------------------------------

  #perform(effect: MarketEffect): void {
    const { world, queue, results, invariants } = this.#options;
    const isAlive = this.life.guard();
    switch (effect.kind) {
      case 'reply': {
        const answer = this.#waiting.get(effect.request);
        this.#waiting.delete(effect.request);
        if (effect.reply.is === 'orders')
          for (const { id } of effect.reply.views) invariants.acknowledged(id);
        if (effect.reply.is === 'order') invariants.acknowledged(effect.reply.view.id);
        if (answer) answer(effect.reply);
        return;
      }
      case 'enqueueBinding':
        return queue.add(effect.key, effect.order, effect.binding);
      case 'sendAgent': {
        const { message } = effect;
        if (message.kind === 'delivered' && message.accepted === 'yes') {
          invariants.deliveryAccepted(message.lease, this.#market);
          invariants.unitsAccepted(message.lease, this.#market);
        }
        if (message.kind === 'lease' || message.kind === 'leaseUnits')
          this.#options.onLease(message, this.rows);
        return this.#sockets.get(effect.session)?.socket.deliver(message);
      }
      case 'closeAgent':
        return this.disconnect(effect.session);
      case 'submitTransaction':
        return this.#post(effect.key, effect.id, effect.body);
      case 'readNonce':
        return this.#readNonce();
      case 'followChain':
        return this.#follow(effect.fromHeight);
      case 'checkResult': {
        const { order, fence, cid, maxBytes } = effect;
        results.check(cid, maxBytes, (outcome) => {
          if (isAlive()) this.dispatch({ kind: 'resultChecked', order, fence, outcome });
        });
        return;
      }
      case 'checkUnits': {
        const { lease, root, cid, maxBytes } = effect;
        results.check(cid, maxBytes, ({ is: outcome }) => {
          if (isAlive()) this.dispatch({ kind: 'unitsChecked', lease, root, outcome });
        });
        return;
      }
      case 'storeResult': {
        const { order, bytes } = effect;
        if (world.fault('result of an array not stored', 0.05)) return;
        const cid = cidOf(bytesToHex(bytes));
        const stored = { kind: 'resultStored', order, cid } as const;
        return world.after(5, 'stored', () => this.dispatch(stored), isAlive);
      }
      case 'makeInput': {
        const { order, name, result, task = -1 } = effect;
        if (world.fault('input not put together', 0.05)) return;
        const cid = cidOf(`${result} ${task}`);
        const isDown = world.fault('storage is down', 0.05);
        const isEmpty = world.fault('nothing to read', 0.05);
        const good = { is: 'good', cid, sizeBytes: 10 } as const;
        const bad = { is: 'impossible', text: 'a task has no output' } as const;
        const outcome = isDown ? ({ is: 'unavailable' } as const) : isEmpty ? bad : good;
        const tell = (): void => this.dispatch({ kind: 'inputMade', order, name, outcome });
        world.after(world.between(1, 20), 'input made', tell, isAlive);
        if (world.fault('input made twice', 0.05)) world.after(30, 'input made', tell, isAlive);
        return;
      }
      case 'readBalance': {
        const { account } = effect;
        if (world.fault('balance not read', 0.05)) return;
        const read = (): void => {
          const balance = this.#options.node.readBalance(account, world.nowUs);
          if (balance) this.dispatch({ kind: 'balanceRead', account, balance });
        };
        world.after(2, 'balance', read, isAlive);
        return;
      }
      case 'readLeaves': {
        const { order, fence } = effect;
        const leaves = leavesOf(this.rows, order, fence);
        if (!leaves || world.fault('leaves not read', 0.05)) return;
        const read = { kind: 'leavesRead', order, fence, leaves } as const;
        return world.after(2, 'leaves', () => this.dispatch(read), isAlive);
      }
      case 'readBond': {
        const { account } = effect;
        const { chain } = this.#options.node;
        const bonded = chain ? bondOf(chain, account) : 0n;
        const read = (): void => this.dispatch({ kind: 'bondRead', account, bonded });
        return world.after(2, 'bond', read, isAlive);
      }
      case 'jobEvent':
        return world.count(`log ${effect.event.kind}`);
      default:
        return;
    }
  }

  // ---- the chain ------------------------------------------------------------------------------

  #post(key: string, id: string, body: TransactionBody): void {
    const { world, node, signer, hooks, invariants } = this.#options;
    const isAlive = this.life.guard();
    invariants.submitted(key, this.#market);
    let sent = body;
    if (hooks.postsAnew) {
      const next = node.chain?.account(signer.account).nonce ?? 0;
      this.#freshNonce = Math.max(next, this.#freshNonce ?? 0);
      sent = { ...body, nonce: this.#freshNonce };
      this.#freshNonce += 1;
    }
    const envelope = signTransaction(signer, sent);
    // Broken: nobody answered in time, so the call is made again, as another transaction.
    if (hooks.postsAnew && this.#freshNonce !== undefined && this.#random.chance(0.3)) {
      const again = signTransaction(signer, { ...body, nonce: this.#freshNonce });
      this.#freshNonce += 1;
      world.after(5, 'post', () => node.submit(again));
    }
    if (world.fault('transaction lost', 0.02)) return;
    const arrive = (): void => {
      const answer = node.submit(envelope);
      if (!answer || 'ok' in answer || world.fault('answer of the node lost', 0.05)) return;
      const refused = { kind: 'transactionRefused', key, id, code: answer.code } as const;
      world.after(1, 'refusal', () => this.dispatch(refused), isAlive);
    };
    const delayMs = world.fault('transaction late', 0.01) ? world.between(50, 3000) : 1;
    world.after(delayMs, 'post', arrive);
    if (world.fault('transaction posted twice', 0.02)) world.after(delayMs + 5, 'post', arrive);
  }

  #readNonce(): void {
    const { world, node, signer } = this.#options;
    const isAlive = this.life.guard();
    world.after(1, 'read nonce', () => {
      const { chain } = node;
      if (!chain) return;
      const { nonce } = chain.account(signer.account);
      const { height } = chain.head.header;
      const answer = { kind: 'nonceRead', nonce, height } as const;
      world.after(1, 'nonce', () => this.dispatch(answer), isAlive);
    });
  }

  /** Follows the block stream from a height on; an older subscription ends. */
  #follow(fromHeight: number): void {
    this.#follower = fromHeight;
    this.#stream = new Channel(this.#options.world, 'stream');
    this.pumpBlocks();
  }

  /** Sends the follower what there is. A lost message is a lost connection: it is made again. */
  pumpBlocks(): void {
    const { world, node, signer } = this.#options;
    const isAlive = this.life.guard();
    const stream = this.#stream;
    const isCurrent = (): boolean => isAlive() && this.#stream === stream;
    if (this.#follower === 0 || !this.life.isUp || !node.life.isUp) return;
    while (this.#follower <= node.publishedHeight) {
      const found = node.published(this.#follower);
      if (!found) return;
      this.#follower += 1;
      const event = blockToEvent(found.block, found.receipts, signer);
      if (world.fault('block lost', 0.02)) {
        world.after(world.between(100, 500), 'stream again', () => this.#reconnect(), isCurrent);
        continue;
      }
      stream.send(() => this.dispatch(event), isCurrent, true);
      if (world.fault('block told twice', 0.02)) stream.send(() => this.dispatch(event), isCurrent);
    }
  }

  #reconnect(): void {
    if (this.#market) this.#follow(this.#market.meta.height + 1);
  }

  /** True when nothing waits to be committed or let out. */
  get isIdle(): boolean {
    return !this.#committing && this.#batch.saves.size === 0 && this.#batch.effects.length === 0;
  }

  /** What is unfinished, for the report of a violation. */
  describe(): string {
    return this.market ? describeMarket(this.market) : 'the market is down';
  }

  /** The node came back: the stream begins where the market is. */
  nodeStarted(): void {
    this.#reconnect();
  }
}

type RequestEvent = Extract<MarketEvent, { request: string }>;
type RequestWithout<E> = E extends RequestEvent ? Omit<E, 'request'> : never;
