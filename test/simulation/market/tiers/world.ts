/**
 * The world of the tiers scenario: orders come, the real scheduler places their replicas, providers
 * come and go, some lie, and the real verification policy decides what is accepted and who is paid.
 */
import { type SeededRandomness, createSeededRandomness } from '#libs/kernel';
import {
  AUDIT_TERMS,
  type ReplicaDecision,
  auditChance,
  checkChance,
  isTrusted,
  judgeReplicas,
  provedRight,
  provedWrong,
} from '#libs/market';
import { DOMAIN_BITS, FairShare } from '#libs/scheduler';
import { EventQueue } from '../../eda/event-queue.ts';
import { CONSUMERS, CONSUMER_JOBS, CROWD, TENANT_CELL, TENANT_JOBS } from './consumers.ts';
import { Placements } from './placement.ts';
import { type Liars, type SimProvider, createProviders } from './scenario.ts';
import { type Attempt, type JobClass, RIGHT, type SimTask, answerOf } from './task.ts';

const MINUTE_MS = 60_000;
/** Tenants and the crowd order until then, consumers A, B and C during the first half. */
export const TIERS_MINUTES = 40;
/** Results accepted on one trusted provider's word can be taken back for so long: the chain's settle window. */
export const HOLD_MS = 10 * MINUTE_MS;
const WORK_MS = 60_000;
const CROWD_EVERY_MS = 120;
const AWAY_MS = 2 * MINUTE_MS;
/** A finished task lets so many waiting ones try. */
const WAITING_SCAN = 4;
/** How far ahead of somebody who finds no room others may get. */
const OVERTAKING = 1.05;
const SHARES_EVERY_MS = 1000;
/** From when on shares are compared: the cell is full. */
export const FULL_MS = 2 * MINUTE_MS;

type Happening =
  | { readonly kind: 'order'; readonly job: JobClass }
  | { readonly kind: 'crowd' }
  | { readonly kind: 'end'; readonly attempt: Attempt }
  | { readonly kind: 'leave' | 'return'; readonly provider: SimProvider }
  | { readonly kind: 'shares' };

interface Held {
  readonly task: SimTask;
  readonly untilMs: number;
}

export class TiersWorld {
  readonly providers: readonly SimProvider[];
  readonly placements: Placements;
  readonly tasks: SimTask[] = [];
  /** Sums of each tenant's dominant share, once a second while the cell is full. */
  readonly shareSums = TENANT_JOBS.map(() => 0);
  lostLeases = 0;
  takenBack = 0;
  /** What became of results of one provider that others did again at random. */
  readonly audits = { drawn: 0, lies: 0, caught: 0, expected: 0, gained: 0n, lost: 0n };
  events = 0;
  nowMs = 0;
  readonly #endMs: number;
  readonly #random: SeededRandomness;
  readonly #queue = new EventQueue<Happening>();
  readonly #fair: FairShare;
  /** Replicas of tenants' tasks that go before new tasks. */
  readonly #again = new Map<string, SimTask[]>(TENANT_JOBS.map(({ owner }) => [owner, []]));
  /** Replicas of the others that found no room. */
  readonly #waiting = new Map<JobClass, SimTask[]>();
  readonly #held = new Map<SimProvider, Held[]>();
  readonly #running = new Map<SimProvider, Set<Attempt>>();
  readonly #byId: ReadonlyMap<string, SimProvider>;

  constructor(seed: number, liars: Liars, minutes = TIERS_MINUTES) {
    this.#endMs = minutes * MINUTE_MS;
    const random = createSeededRandomness(seed);
    this.providers = createProviders(random, liars);
    this.#byId = new Map(this.providers.map((one) => [one.id, one]));
    this.#random = random.fork(`world ${liars}`);
    this.placements = new Placements(this.providers, this.#random.fork('places'));
    const [cpu, memory] = this.placements.capacityOf(TENANT_CELL);
    const quota = [cpu, memory].map((amount) => amount / (2 * TENANT_JOBS.length));
    this.#fair = new FairShare(
      [cpu, memory],
      TENANT_JOBS.map(({ owner }) => ({ name: owner, weight: 1, quota })),
    );
  }

  run(): void {
    this.#plan();
    this.#serveTenants();
    for (let next = this.#queue.pop(); next; next = this.#queue.pop()) {
      this.nowMs = next.atUs;
      this.events++;
      this.#happen(next.item);
    }
  }

  #plan(): void {
    const draws = this.#random.fork('plan');
    for (const job of CONSUMERS)
      for (let i = 0; i < CONSUMER_JOBS; i++)
        this.#queue.push(((i + 0.5) * this.#endMs) / 2 / CONSUMER_JOBS, { kind: 'order', job });
    this.#queue.push(0, { kind: 'crowd' });
    for (const provider of this.providers)
      if (provider.staysMs)
        this.#queue.push(draws.float() * provider.staysMs, { kind: 'leave', provider });
    this.#queue.push(FULL_MS, { kind: 'shares' });
  }

  #happen(event: Happening): void {
    switch (event.kind) {
      case 'order':
        return this.#submit(event.job);
      case 'crowd':
        if (this.nowMs >= this.#endMs) return;
        this.#submit(CROWD);
        this.#queue.push(this.nowMs + CROWD_EVERY_MS, event);
        return;
      case 'end':
        return this.#end(event.attempt);
      case 'leave':
        return this.#leave(event.provider);
      case 'return':
        event.provider.isOnline = true;
        if (this.nowMs < this.#endMs)
          this.#queue.push(this.nowMs + (event.provider.staysMs ?? 0), {
            ...{ kind: 'leave', provider: event.provider },
          });
        return this.#serveAll(event.provider);
      case 'shares':
        return this.#measureShares();
    }
  }

  #measureShares(): void {
    if (this.nowMs >= this.#endMs) return;
    for (const [i, { owner }] of TENANT_JOBS.entries())
      this.shareSums[i]! += this.#fair.dominantShare(owner);
    this.#queue.push(this.nowMs + SHARES_EVERY_MS, { kind: 'shares' });
  }

  #newTask(job: JobClass): SimTask {
    const task: SimTask = {
      ...{ id: this.tasks.length, job, submittedMs: this.nowMs, attempts: [], answers: [] },
      // Sizes differ by some tens of percent, and nobody knows them beforehand.
      workMs: Math.round(WORK_MS * Math.exp(0.2 * gauss(this.#random))),
      ...{ pending: 0, isChecked: false, isCompared: false, cost: 0n },
    };
    this.tasks.push(task);
    return task;
  }

  #submit(job: JobClass): void {
    const task = this.#newTask(job);
    const { regime } = job;
    task.isCompared = regime.kind === 'quorum' && !regime.isAdaptive;
    this.#want(task, task.isCompared ? regime.terms.quorum : 1);
  }

  /** So many replicas more: at once, or as soon as there is room. */
  #want(task: SimTask, replicas: number): void {
    for (let i = 0; i < replicas; i++) {
      task.pending++;
      const again = this.#again.get(task.job.owner);
      if (again) again.push(task);
      else if (!this.#start(task)) this.#waitingOf(task.job).push(task);
    }
  }

  /** `from` is where the replica waited; it leaves it before anything follows from its start. */
  #start(task: SimTask, from?: SimTask[]): boolean {
    const placed = this.placements.place(task, this.nowMs);
    if (!placed) return false;
    from?.shift();
    const { provider, price } = placed;
    const endedMs = this.nowMs + task.workMs / provider.speed;
    const attempt: Attempt = {
      ...{ task, provider, price, beganMs: this.nowMs, endedMs, state: 'running' },
    };
    task.attempts.push(attempt);
    this.#runningOn(provider).add(attempt);
    this.#queue.push(endedMs, { kind: 'end', attempt });
    const isFirst = task.attempts.length === 1;
    if (isFirst && task.job.regime.isAdaptive) this.#decideReplicas(task, provider);
    return true;
  }

  /** BOINC's rule: alone if trusted, and even then sometimes not, which it cannot know. */
  #decideReplicas(task: SimTask, provider: SimProvider): void {
    task.isChecked = this.#random.chance(checkChance(provider.trust));
    task.isCompared = !isTrusted(provider.trust);
    if (task.isCompared) this.#want(task, task.job.regime.terms.quorum - 1);
  }

  #runningOn(provider: SimProvider): Set<Attempt> {
    const known = this.#running.get(provider);
    if (known) return known;
    const fresh = new Set<Attempt>();
    this.#running.set(provider, fresh);
    return fresh;
  }

  #stop(attempt: Attempt, state: 'done' | 'lost'): void {
    const { task, provider } = attempt;
    attempt.state = state;
    attempt.endedMs = this.nowMs;
    this.#runningOn(provider).delete(attempt);
    this.placements.release(provider, task.job);
    if (this.#again.has(task.job.owner)) this.#fair.give(task.job.owner, amountsOf(task.job));
  }

  #end(attempt: Attempt): void {
    if (attempt.state !== 'running') return;
    const { task, provider } = attempt;
    this.#stop(attempt, 'done');
    task.pending--;
    this.placements.finished(task.job, task.workMs);
    const key = answerOf(provider, task, this.#random);
    task.answers.push({ replica: task.answers.length, provider: provider.id, key });
    this.#judge(task, attempt, key);
    this.#serveAll(provider);
  }

  #judge(task: SimTask, attempt: Attempt, key: string): void {
    const { regime } = task.job;
    const isAlone = task.answers.length === 1 && !task.isCompared;
    if (isAlone && regime.kind === 'single') {
      this.#accept(task, key, [attempt]);
      return this.#drawAudit(task, attempt);
    }
    if (task.audited) return this.#judgeAudit(task, task.audited);
    if (isAlone && !task.isChecked) {
      this.#accept(task, key, [attempt]);
      this.#heldOf(attempt.provider).push({ task, untilMs: this.nowMs + HOLD_MS });
      return;
    }
    task.isCompared = true;
    const decision = judgeReplicas(regime.terms, task.answers, task.pending);
    if (decision.kind === 'more') this.#want(task, decision.replicas);
    if (decision.kind !== 'accepted') return;
    const agreeing = new Set(decision.agreeing.map((one) => one.provider));
    const paid = task.attempts.filter(({ provider }) => agreeing.has(provider.id));
    this.#accept(task, decision.key, paid);
    this.#learn(decision);
  }

  #learn({ agreeing, odd }: Extract<ReplicaDecision, { kind: 'accepted' }>): void {
    for (const { provider } of agreeing) this.#proved(provider, true);
    for (const { provider } of odd) this.#proved(provider, false);
  }

  /** One word was taken: shall another operator do it again? The result stands meanwhile, and is paid. */
  #drawAudit(task: SimTask, attempt: Attempt): void {
    const { provider, price } = attempt;
    const chance = auditChance(provider.trust, { gain: price, atStake: provider.stake / 2n });
    const isLie = task.accepted !== RIGHT;
    if (isLie) {
      this.audits.lies++;
      this.audits.expected += chance;
      this.audits.gained += price;
    }
    if (!this.#random.chance(chance)) return;
    this.audits.drawn++;
    task.audited = attempt;
    task.isCompared = true;
    this.#want(task, 1);
  }

  #judgeAudit(task: SimTask, audited: Attempt): void {
    const decision = judgeReplicas(AUDIT_TERMS, task.answers, task.pending);
    if (decision.kind === 'more') this.#want(task, decision.replicas);
    if (decision.kind !== 'accepted') return;
    this.#learn(decision);
    if (decision.odd.every(({ provider }) => provider !== audited.provider.id)) return;
    this.audits.caught++;
    this.audits.lost += audited.provider.stake / 2n;
  }

  #accept(task: SimTask, key: string, paid: readonly Attempt[]): void {
    if (task.accepted !== undefined && task.accepted !== key) this.takenBack++;
    task.accepted = key;
    task.acceptedMs ??= this.nowMs;
    task.cost = paid.reduce((sum, { price }) => sum + price, 0n);
  }

  #heldOf(provider: SimProvider): Held[] {
    const known = this.#held.get(provider);
    if (known) return known;
    const fresh: Held[] = [];
    this.#held.set(provider, fresh);
    return fresh;
  }

  #proved(id: string, isRight: boolean): void {
    const provider = this.#byId.get(id) as SimProvider;
    provider.trust = isRight
      ? provedRight(provider.trust)
      : provedWrong(provider.trust, this.nowMs * 1000);
    if (isRight) return;
    // What it delivered alone and was not yet paid for is compared after all.
    const held = this.#held.get(provider) ?? [];
    this.#held.delete(provider);
    for (const { task, untilMs } of held) {
      if (untilMs <= this.nowMs || task.isCompared) continue;
      task.isCompared = true;
      this.#want(task, 1);
    }
  }

  #leave(provider: SimProvider): void {
    provider.isOnline = false;
    for (const attempt of [...this.#runningOn(provider)]) {
      this.#stop(attempt, 'lost');
      this.lostLeases++;
      attempt.task.pending--;
      this.#want(attempt.task, 1);
    }
    this.#queue.push(this.nowMs + AWAY_MS, { kind: 'return', provider });
    this.#serveAll(provider);
  }

  #waitingOf(job: JobClass): SimTask[] {
    const known = this.#waiting.get(job);
    if (known) return known;
    const fresh: SimTask[] = [];
    this.#waiting.set(job, fresh);
    return fresh;
  }

  /** Something changed on this provider's machine. */
  #serveAll({ domain, level }: SimProvider): void {
    for (const [{ floors }, waiting] of this.#waiting) {
      const isPermitted =
        (DOMAIN_BITS[domain] & floors.domains) !== 0 &&
        (floors.levels.length === 0 || floors.levels.includes(level));
      if (isPermitted) this.#serveWaiting(waiting);
    }
    if (`${domain}.${level}` === TENANT_CELL) this.#serveTenants();
  }

  #serveWaiting(waiting: SimTask[]): void {
    const tried = waiting.splice(0, WAITING_SCAN);
    waiting.push(...tried.filter((task) => !this.#start(task)));
  }

  /**
   * Whoever has the smallest dominant share is served next. Who finds no room for its large tasks is
   * not overtaken far by those with small ones: they wait until its share is near theirs again.
   */
  #serveTenants(): void {
    const wanting = new Map(TENANT_JOBS.map((job) => [job.owner, job]));
    while (wanting.size > 0) {
      const owner = this.#fair.next([...wanting.keys()]) as string;
      if (this.#serveTenant(wanting.get(owner) as JobClass)) continue;
      wanting.delete(owner);
      const most = this.#fair.dominantShare(owner) * OVERTAKING;
      for (const other of wanting.keys())
        if (this.#fair.dominantShare(other) > most) wanting.delete(other);
    }
  }

  #serveTenant(job: JobClass): boolean {
    const again = this.#again.get(job.owner) as SimTask[];
    const amounts = amountsOf(job);
    if (again.length === 0 && this.nowMs >= this.#endMs) return false;
    const { kind } = this.#fair.gate(job.owner, amounts);
    if (kind !== 'own' && kind !== 'borrow') return false;
    const isNew = again.length === 0;
    const task = again[0] ?? this.#newTask(job);
    // Counted before it starts: starting it may ask for the next replica at once.
    if (isNew) task.pending++;
    if (!this.#start(task, isNew ? undefined : again)) {
      if (isNew) this.tasks.pop();
      return false;
    }
    this.#fair.take(job.owner, amounts);
    return true;
  }
}

const amountsOf = ({ shape }: JobClass): readonly number[] => [shape.cpuMilli, shape.memoryMib];

/** Standard normal, by Box and Muller. */
function gauss(random: SeededRandomness): number {
  const radius = Math.sqrt(-2 * Math.log(1 - random.float()));
  return radius * Math.cos(2 * Math.PI * random.float());
}
