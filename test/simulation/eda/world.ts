/**
 * A network of validators on a virtual clock. Everything random comes from one seed, so a seed replays
 * byte for byte; the trace hash says so.
 */
import {
  type Body,
  type EdaConfig,
  type EdaEffect,
  type EdaMessage,
  type EdaParameters,
  type EdaRules,
  type EraParameters,
  type JournalRecord,
  type Validator,
  type ValidatorSet,
  DEFAULT_PARAMETERS,
  EdaNode,
  SOUND_RULES,
  blockHash,
  createValidatorSet,
  decodeMessage,
  encodeMessage,
} from '#libs/eda';
import { hashOf, sha256Hex } from '#libs/crypto';
import { type SeededRandomness, createSeededRandomness, utf8 } from '#libs/kernel';
import type { Behaviour } from './adversaries.ts';
import { EventQueue } from './event-queue.ts';
import { Invariants } from './invariants.ts';
import { Links } from './links.ts';
import { loadOf } from './load-of.ts';
import { GENESIS_US, ROOTS, type SimNode, type WorldOptions } from './sim-node.ts';
import { type AuthFactory, createTokenAuth, createWireAuth } from './stand-in-auth.ts';
import { saidBy, wordsOf } from './words.ts';

export type { SimNode, WorldOptions } from './sim-node.ts';

type Item =
  | {
      /** `arrive`: at the receiver's link; `deliver`: it handles the message. */
      readonly kind: 'arrive' | 'deliver';
      readonly from: number;
      readonly to: number;
      readonly message: EdaMessage;
    }
  | { readonly kind: 'wake'; readonly node: number; readonly generation: number }
  | { readonly kind: 'call'; readonly run: () => void };

/** Does as the honest code says; that another process signs with its key makes it a liar. */
const TWIN: Behaviour = { name: 'twin', rewrite: (_sim, effects) => effects };

export class World {
  readonly options: WorldOptions;
  readonly random: SeededRandomness;
  readonly validators: readonly Validator[];
  /** The set at genesis. */
  readonly set: ValidatorSet;
  /** Sets of later eras, as state fixed them. */
  readonly #sets: Required<EdaConfig>['sets'][number][] = [];
  readonly parameters: EdaParameters;
  readonly nodes: SimNode[] = [];
  readonly invariants: Invariants;
  readonly auth: AuthFactory;
  readonly #queue = new EventQueue<Item>();
  readonly #rules: EdaRules;
  timeUs: number;
  events = 0;
  messages = 0;
  bytes = 0;
  readonly links: Links | undefined;
  /** What happened, for people; kept when it is a list. */
  log: string[] | undefined;
  readonly messagesByKind = new Map<string, number>();
  loss: number;
  /** Whether a link carries anything now. */
  isLinked: (from: number, to: number) => boolean = () => true;
  /** Last word on a message: undefined to lose it, else extra delay in µs. */
  intercept: (from: number, to: number, message: EdaMessage) => number | undefined = () => 0;
  /** What honest nodes proved of others. */
  readonly evidence: Extract<EdaEffect, { kind: 'evidence' }>[] = [];
  /** How strong honest nodes hold checkpoints. */
  readonly strengths: Extract<EdaEffect, { kind: 'strength' }>[] = [];
  readonly submittedAt = new Map<string, number>();
  readonly finalAt = new Map<string, number>();
  #trace = 0x811c9dc5;
  #payloads = 0;

  constructor(options: WorldOptions) {
    this.options = options;
    this.random = createSeededRandomness(options.seed);
    this.auth = options.wire ? createWireAuth() : createTokenAuth();
    this.parameters = { ...DEFAULT_PARAMETERS, ...options.parameters };
    this.#rules = { ...SOUND_RULES, ...options.rules };
    this.loss = options.loss ?? 0;
    const schedule = (delayUs: number, run: () => void) => this.at(delayUs, run);
    this.links = options.links && new Links(options.nodes, options.links, schedule);
    const validators = Array.from({ length: options.nodes }, (_, i) => ({
      publicKey: this.auth.keyOf(i),
      weight: options.weights?.[i] ?? 1,
      ...(options.bls && { bls: this.auth.blsKeyOf(i) }),
    }));
    this.validators = validators;
    this.set = this.setOf(validators.slice(0, options.members));
    this.invariants = new Invariants(this.set, this.parameters.epsilonUs);
    this.timeUs = options.genesisTimeUs ?? GENESIS_US;
    const { twinOf } = options;
    for (let index = 0; index < options.nodes + (twinOf === undefined ? 0 : 1); index++) {
      const isTwin = index === options.nodes || index === twinOf;
      this.nodes.push({
        index,
        key: this.auth.keyOf(this.#keyIndex(index)),
        behaviour: isTwin ? TWIN : options.behaviours?.get(index),
        node: undefined,
        journal: [],
        unsynced: 0,
        clockUs: options.clockUs?.(index) ?? 0,
        wakeAtUs: Number.POSITIVE_INFINITY,
        roots: ROOTS,
        executedSlot: 0,
        generation: 0,
        crashIn: Number.POSITIVE_INFINITY,
        recoveredAtUs: undefined,
      });
    }
    for (const sim of this.nodes) this.start(sim);
  }

  get traceHash(): string {
    return (this.#trace >>> 0).toString(16).padStart(8, '0');
  }

  #note(...values: number[]): void {
    for (const value of values) {
      this.#trace = Math.imul(this.#trace ^ (value & 0xffff_ffff), 0x01000193);
      this.#trace = Math.imul(this.#trace ^ Math.floor(value / 2 ** 32), 0x01000193);
    }
  }

  isHonest(index: number): boolean {
    return this.nodes[index]?.behaviour === undefined;
  }

  #keyIndex(index: number): number {
    return index < this.options.nodes ? index : (this.options.twinOf ?? index);
  }

  config(node: number): EdaConfig {
    const index = this.#keyIndex(node);
    return {
      chain: hashOf('seele/sim-chain/1', utf8(String(this.options.seed))),
      publicKey: this.auth.keyOf(index),
      auth: this.auth.of(index),
      parameters: this.parameters,
      genesisTimeUs: this.options.genesisTimeUs ?? GENESIS_US,
      genesisSet: this.set,
      genesisRoots: ROOTS,
      sets: this.#sets,
      rules: this.#rules,
    };
  }

  local(sim: SimNode): number {
    return this.timeUs + sim.clockUs;
  }

  // Life of a node.

  /** Starts a node from what is durable; with `journalLost`, from nothing. */
  start(sim: SimNode, journalLost = false): void {
    if (sim.generation > 0) this.#tell(() => `node ${sim.index} starts again`);
    sim.generation += 1;
    sim.crashIn = Number.POSITIVE_INFINITY;
    if (journalLost) sim.journal = [];
    const config = { ...this.config(sim.index), ...(journalLost && { journalLost }) };
    sim.node = new EdaNode(config, this.local(sim), sim.journal);
    sim.unsynced = 0;
    sim.roots = ROOTS;
    sim.executedSlot = 0;
    for (const record of sim.journal)
      if (record.kind === 'final') this.#execute(sim, record.body, []);
    sim.wakeAtUs = Number.POSITIVE_INFINITY;
    this.#arm(sim);
  }

  crash(sim: SimNode): void {
    if (sim.node) this.#tell(() => `node ${sim.index} dies, ${sim.unsynced} records lost`);
    sim.node = undefined;
    sim.generation += 1;
    sim.crashIn = Number.POSITIVE_INFINITY;
    if (sim.unsynced > 0) sim.journal.length -= sim.unsynced;
    sim.unsynced = 0;
  }

  at(delayUs: number, run: () => void): void {
    this.#queue.push(this.timeUs + delayUs, { kind: 'call', run });
  }

  /** Some node makes a block; false when it may not now. */
  submit(index: number, count = 1): boolean {
    const sim = this.nodes[index] as SimNode;
    if (!sim.node?.mayAuthor) return false;
    this.#feed(sim, { kind: 'author', payload: utf8(`payload ${this.#payloads++}`), count });
    return true;
  }

  #feed(sim: SimNode, event: Parameters<EdaNode['handle']>[0]): void {
    const { node } = sim;
    if (!node) return;
    const effects = node.handle(event, this.local(sim));
    this.carryOut(sim, effects);
    this.#arm(sim);
  }

  #arm(sim: SimNode): void {
    if (!sim.node) return;
    const atUs = Math.max(this.timeUs + 1, sim.node.nextWakeUs - sim.clockUs);
    if (atUs >= sim.wakeAtUs && sim.wakeAtUs > this.timeUs) return;
    sim.wakeAtUs = atUs;
    this.#queue.push(atUs, { kind: 'wake', node: sim.index, generation: sim.generation });
  }

  carryOut(sim: SimNode, effects: readonly EdaEffect[]): void {
    const own = sim.behaviour ? sim.behaviour.rewrite(sim, effects, this) : effects;
    for (const effect of own) {
      if (sim.crashIn-- <= 0) {
        this.crash(sim);
        return;
      }
      this.#apply(sim, effect);
      if (!sim.node) return;
    }
  }

  #apply(sim: SimNode, effect: EdaEffect): void {
    switch (effect.kind) {
      case 'journal':
        sim.journal.push(effect.record);
        sim.unsynced = this.options.forgetful ? sim.unsynced + 1 : 0;
        if (effect.record.kind === 'block') this.#onHeld(sim, effect.record);
        return;
      case 'broadcast':
        if (this.log && effect.message.kind !== 'tick')
          this.#tell(() => `node ${sim.index} says ${wordsOf(effect.message)}`);
        for (const { index } of this.nodes)
          if (index !== sim.index) this.transmit(sim.index, index, effect.message);
        // What it tells on of others (evidence) it did not say itself.
        if (!sim.behaviour && 'from' in effect.message && effect.message.from === sim.index)
          this.invariants.onSaid(sim.index, effect.message, saidBy(effect.message), this.timeUs);
        return;
      case 'send':
        this.transmit(sim.index, this.#indexOf(effect.to), effect.message);
        return;
      case 'decided':
        if (!sim.behaviour) this.#onDecided(sim, effect.body, effect);
        return;
      case 'ready': {
        const body = sim.journal.findLast((r) => r.kind === 'final' && r.body.slot === effect.slot);
        if (body?.kind === 'final') this.#execute(sim, body.body, effect.blocks);
        return;
      }
      case 'recovered':
        this.#tell(() => `node ${sim.index} votes again`);
        sim.recoveredAtUs = this.timeUs;
        return;
      case 'evidence':
        this.evidence.push(effect);
        return;
      case 'strength':
        if (!sim.behaviour) this.strengths.push(effect);
        return;
      case 'available':
        if (!sim.behaviour) this.invariants.onAvailable(effect.hash, this.timeUs);
        return;
      default:
        return;
    }
  }

  #indexOf(key: string): number {
    return this.validators.findIndex(({ publicKey }) => publicKey === key);
  }

  setOf(validators: readonly Validator[]): ValidatorSet {
    return createValidatorSet(validators, this.options.profile ?? 'seele-40');
  }

  /** State fixes the set of the era after the next, and what changes with it; returns the era. */
  fixSet(set: ValidatorSet, changed: EraParameters = {}): number {
    const era = Math.max(...this.nodes.map(({ node }) => node?.era ?? 0)) + 2;
    this.#sets.push({ era, set, ...changed });
    for (const sim of this.nodes)
      sim.node?.handle({ kind: 'set', era, set, ...changed }, this.local(sim));
    return era;
  }

  #onHeld(sim: SimNode, record: Extract<JournalRecord, { kind: 'block' }>): void {
    const { message } = record.block;
    const name = blockHash(message);
    if (message.author === sim.index && !this.submittedAt.has(name))
      this.submittedAt.set(name, this.timeUs);
    if (!sim.behaviour)
      this.invariants.onHeld(sim.index, record, name, this.isHonest(message.author));
  }
  #onDecided(sim: SimNode, body: Body, effect: Extract<EdaEffect, { kind: 'decided' }>): void {
    this.#tell(
      () =>
        `node ${sim.index} holds slot ${body.slot} final in view ${effect.certificate.view}: ${effect.hash.slice(0, 8)}`,
    );
    this.invariants.onDecided(sim.index, body, effect.certificate, this.timeUs);
    for (const { hash } of body.entries)
      if (!this.finalAt.has(hash)) this.finalAt.set(hash, this.timeUs);
  }

  #execute(sim: SimNode, body: Body, _blocks: readonly unknown[]): void {
    if (!sim.node || body.slot !== sim.executedSlot + 1) return;
    const order = body.entries.map(({ hash, pos }) => `${hash}@${pos}`).join();
    sim.roots = { ...ROOTS, stateRoot: sha256Hex(utf8(sim.roots.stateRoot), utf8(order)) };
    sim.executedSlot = body.slot;
    this.carryOut(
      sim,
      sim.node.handle({ kind: 'executed', slot: body.slot, roots: sim.roots }, this.local(sim)),
    );
  }

  // Network.

  transmit(from: number, to: number, message: EdaMessage): void {
    this.messages += 1;
    this.messagesByKind.set(message.kind, (this.messagesByKind.get(message.kind) ?? 0) + 1);
    if (this.options.measures) this.bytes += this.#load(message).bytes;
    const [low, high] = this.options.delayUs ?? [1000, 20_000];
    const delayUs = low + this.random.below(Math.max(1, high - low));
    const isLost = this.random.chance(this.loss);
    if (isLost || !this.isLinked(from, to)) return;
    const extraUs = this.intercept(from, to, message);
    if (extraUs === undefined) return;
    const carried = this.options.wire ? decodeMessage(encodeMessage(message)) : message;
    const item = { from, to, message: carried };
    const travelsUs = delayUs + extraUs;
    if (this.links)
      this.links.send(from, this.#load(message), this.timeUs, () =>
        this.#queue.push(this.timeUs + travelsUs, { kind: 'arrive', ...item }),
      );
    else this.#queue.push(this.timeUs + travelsUs, { kind: 'deliver', ...item });
  }

  #load(message: EdaMessage) {
    return loadOf(message, this.options.links?.transactionBytes ?? 0);
  }

  /** Milliseconds since the beginning, and what happened. */
  #tell(what: () => string): void {
    if (!this.log) return;
    const ms = (this.timeUs - (this.options.genesisTimeUs ?? GENESIS_US)) / 1000;
    this.log.push(`${ms.toFixed(1).padStart(8)} ms  ${what()}`);
  }

  /** Runs for so long; stops early at a violation. */
  run(durationUs: number): void {
    const endUs = this.timeUs + durationUs;
    while (this.#queue.nextUs <= endUs && this.invariants.violations.length === 0) {
      const next = this.#queue.pop();
      if (!next) break;
      this.timeUs = Math.max(this.timeUs, next.atUs);
      this.events += 1;
      this.#step(next.item);
    }
    this.timeUs = Math.max(this.timeUs, endUs);
  }

  #step(item: Item): void {
    if (item.kind === 'call') {
      item.run();
      return;
    }
    const sim = this.nodes[item.kind === 'wake' ? item.node : item.to] as SimNode;
    if (item.kind === 'wake') {
      if (item.generation !== sim.generation || !sim.node) return;
      sim.wakeAtUs = Number.POSITIVE_INFINITY;
      this.#note(this.timeUs, sim.index, sim.node.slot, sim.node.view);
      this.#feed(sim, { kind: 'wake' });
      return;
    }
    if (!this.isLinked(item.from, item.to)) return;
    if (item.kind === 'arrive' && this.links) {
      const atUs = this.links.handledUs(item.to, this.#load(item.message), this.timeUs);
      this.#queue.push(atUs, { ...item, kind: 'deliver' });
      return;
    }
    this.#note(this.timeUs, item.from, item.to, item.message.kind.length);
    const peer = (this.nodes[item.from] as SimNode).key;
    this.#feed(sim, { kind: 'message', peer, message: item.message });
  }

  // What tests ask.

  live(): SimNode[] {
    return this.nodes.filter(({ node, behaviour }) => node && !behaviour);
  }

  get cuts() {
    return this.invariants.cuts;
  }
}
