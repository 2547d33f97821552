import fc from 'fast-check';
import { LOG_START, type LogPosition, verifyBatch } from '#libs/audit';
import { keyedHashSigner, keyedHashVerifier } from '#libs/crypto';
import { createSeededRandomness, utf8 } from '#libs/kernel';
import type { MarketMessage, ProviderOffer } from '../agent-protocol.ts';
import { decodeAgentMessage, encodeAgentMessage } from '../agent-protocol.ts';
import { DEFAULT_JOB_LIMITS } from '../manifest.ts';
import {
  type Agent,
  agentFreeSlots,
  createAgent,
  marketTimeUs,
  nextAgentTickMs,
} from './agent-state.ts';
import { applyAgentEvent } from './agent.ts';
import { helloProblem } from './hello.ts';
import {
  type AgentEffect,
  type AgentEvent,
  DEFAULT_AGENT_TIMES,
  type StoredLease,
} from './model.ts';

const SECRET = utf8('test');
const signer = keyedHashSigner(SECRET, utf8('provider'));
const verify = keyedHashVerifier(SECRET);
const hex = (digit: string) => digit.repeat(64);
const CID = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy';
const NONCE = hex('9');
const MARKET = hex('8');
const CHAIN = hex('7');

const offer: ProviderOffer = {
  ...{ provider: signer.account, name: 'own', domain: 'public', level: 'eco' },
  ...{ slots: 2, cores: 2, memoryBytes: 2 ** 30, diskBytes: 2 ** 30, architecture: 'x86_64' },
  ...{ kernel: 'Linux', node: 'v24', benchmarkScore: 1, isolation: 'S1' },
  ...{ pricePerCoreSecond: 1_000n, pricePerGibSecond: 1_000n },
};

function createBench(restored: readonly StoredLease[] = []) {
  const agent: Agent = createAgent({ signer, offer, times: DEFAULT_AGENT_TIMES, attempts: 2 });
  const randomness = createSeededRandomness(1);
  let nowMs = 1_000;
  const give = (event: AgentEvent): AgentEffect[] =>
    applyAgentEvent(agent, event, { timeUs: nowMs * 1_000, monotonicMs: nowMs }, randomness);
  const hear = (message: MarketMessage) => give({ kind: 'message', message });
  const greet = () => {
    give({ kind: 'connected' });
    hear({ kind: 'challenge', version: 1, nonce: NONCE, market: MARKET, chain: CHAIN });
    return hear({ kind: 'welcome', heartbeatMs: 5_000, leaseMs: 15_000 });
  };
  give({ kind: 'restored', leases: restored });
  return { agent, give, hear, greet, pass: (ms: number) => (nowMs += ms), now: () => nowMs };
}

type Bench = ReturnType<typeof createBench>;
type Kind<K extends AgentEffect['kind']> = Extract<AgentEffect, { kind: K }>;

const only = <K extends AgentEffect['kind']>(effects: AgentEffect[], kind: K) =>
  effects.filter((effect): effect is Kind<K> => effect.kind === kind);
const sent = (effects: AgentEffect[]) => only(effects, 'send').map(({ message }) => message);
const sentKinds = (effects: AgentEffect[]) => sent(effects).map(({ kind }) => kind);

type LeaseMessage = Extract<MarketMessage, { kind: 'lease' }>;

const leaseMessage = (change: Partial<LeaseMessage> = {}): LeaseMessage => ({
  kind: 'lease',
  ...{ lease: hex('1'), order: hex('2'), fence: 1, manifest: CID, price: 100n },
  ...{ log: { length: 0, head: LOG_START }, completeByUs: 1e12 },
  ...change,
});

function working(bench: Bench, change = {}): string {
  const message = leaseMessage(change);
  bench.hear(message);
  bench.give({ kind: 'saved', lease: message.lease, what: 'lease' });
  return message.lease;
}

const usage = { cpuMs: 10, wallMs: 20, peakMemoryBytes: 1, inputBytes: 0, outputBytes: 2 };
const ok = { exit: 'ok', usage, result: CID, limits: DEFAULT_JOB_LIMITS } as const;
const started = (lease: string): AgentEvent => ({
  ...{ kind: 'started', lease, code: CID, inputs: [], isolation: 'S1' },
});

describe('agent: greeting', () => {
  it('proves its key over the challenge and the offer', () => {
    const { give, hear } = createBench();
    give({ kind: 'connected' });
    const effects = hear({
      kind: 'challenge',
      version: 1,
      nonce: NONCE,
      market: MARKET,
      chain: CHAIN,
    });
    const [hello] = sent(effects);
    if (hello?.kind !== 'hello') throw new Error('no hello');
    expect(helloProblem(hello, { nonce: NONCE, market: MARKET }, verify)).toBeUndefined();
    expect(helloProblem(hello, { nonce: hex('0'), market: MARKET }, verify)).toContain('nonce');
    expect(helloProblem(hello, { nonce: NONCE, market: hex('0') }, verify)).toContain('signature');
    const dearer = { ...hello, offer: { ...offer, pricePerCoreSecond: 2n } };
    expect(helloProblem(dearer, { nonce: NONCE, market: MARKET }, verify)).toContain('signature');
  });

  it('answers no market of another chain', () => {
    const bench = createBench();
    const agent = createAgent({ ...bench.agent.config, chain: hex('0') });
    const now = { timeUs: 1, monotonicMs: 1 };
    const step = (event: AgentEvent) =>
      applyAgentEvent(agent, event, now, createSeededRandomness(1));
    step({ kind: 'restored', leases: [] });
    step({ kind: 'connected' });
    const message = {
      kind: 'challenge',
      version: 1,
      nonce: NONCE,
      market: MARKET,
      chain: CHAIN,
    } as const;
    const effects = step({ kind: 'message', message });
    expect(effects.map(({ kind }) => kind)).toEqual(['note', 'close']);
  });

  it('waits longer after each failed connection, with jitter, and at most the maximum', () => {
    const { agent, give, pass } = createBench();
    const waits = Array.from({ length: 12 }, () => {
      const at = pass(0);
      give({ kind: 'disconnected' });
      const wait = agent.connectAtMs - at;
      pass(wait);
      expect(only(give({ kind: 'tick' }), 'connect')).toHaveLength(1);
      return wait;
    });
    expect(waits[0]).toBeLessThanOrEqual(375);
    expect(Math.max(...waits)).toBeLessThanOrEqual(15_000);
    expect(waits.at(-1)).toBeGreaterThan(4_000);
  });
});

describe('agent: a clock that is wrong', () => {
  it.each([-3_600_000, 3_600_000])('by %d ms harms nothing: the market’s counts', (skewMs) => {
    const bench = createBench();
    bench.give({ kind: 'connected' });
    bench.hear({ kind: 'challenge', version: 1, nonce: NONCE, market: MARKET, chain: CHAIN });
    const marketUs = 10_000_000_000 + skewMs * 1_000;
    bench.hear({ kind: 'welcome', heartbeatMs: 5_000, leaseMs: 15_000, timeUs: marketUs });
    const lease = working(bench, { completeByUs: marketUs + 20_000_000 });
    const effects = bench.give(started(lease));
    const [events] = sent(effects);
    if (events?.kind !== 'events') throw new Error('no events');
    expect(events.batch.entries[0]?.timeUs).toBe(marketUs);
    bench.pass(19_000);
    expect(sentKinds(bench.give({ kind: 'tick' }))).not.toContain('decline');
    bench.pass(2_000);
    const late = sent(bench.give({ kind: 'tick' })).find(({ kind }) => kind === 'decline');
    expect(late).toMatchObject({ lease, code: 'PROVIDER_LATE' });
  });
});

describe('agent: batches under a clock that is wrong', () => {
  it.each([-3_600_000, 3_600_000])('by %d ms are neither lost nor kept too long', (skewMs) => {
    const bench = createBench();
    bench.give({ kind: 'connected' });
    bench.hear({ kind: 'challenge', version: 1, nonce: NONCE, market: MARKET, chain: CHAIN });
    const marketUs = 10_000_000_000 + skewMs * 1_000;
    bench.hear({ kind: 'welcome', heartbeatMs: 5_000, leaseMs: 15_000, timeUs: marketUs });
    const lease = hex('5');
    const about = { lease, order: hex('6'), fence: 1, manifest: CID, unitPrice: 10n };
    const units = [{ from: 0, count: 4 }];
    const completeByUs = marketUs + 20_000_000;
    const kept = bench.hear({ kind: 'leaseUnits', ...about, units, completeByUs });
    expect(only(kept, 'saveUnits')).toHaveLength(1);
    expect(sentKinds(kept)).not.toContain('decline');
    expect(sentKinds(bench.give({ kind: 'saved', lease, what: 'lease' }))).toContain('accept');
    bench.pass(19_000);
    const during = bench.give({ kind: 'tick' });
    expect(sentKinds(during)).not.toContain('decline');
    // Heartbeats go by its own steady clock, so the lease is neither lost nor prolonged.
    expect(sent(during).find(({ kind }) => kind === 'heartbeat')).toMatchObject({
      leases: [lease],
    });
    bench.pass(2_000);
    const late = sent(bench.give({ kind: 'tick' })).find(({ kind }) => kind === 'decline');
    expect(late).toMatchObject({ lease, code: 'PROVIDER_LATE' });
  });
});

describe('agent: a clock that is right', () => {
  it('stays right however long the welcome took on its way', () => {
    const bench = createBench();
    bench.give({ kind: 'connected' });
    bench.hear({ kind: 'challenge', version: 1, nonce: NONCE, market: MARKET, chain: CHAIN });
    const saidAtUs = marketTimeUs(bench.agent, {
      timeUs: bench.now() * 1_000,
      monotonicMs: bench.now(),
    });
    bench.pass(80);
    bench.hear({ kind: 'welcome', heartbeatMs: 5_000, leaseMs: 15_000, timeUs: saidAtUs + 1_000 });
    const now = { timeUs: bench.now() * 1_000, monotonicMs: bench.now() };
    expect(marketTimeUs(bench.agent, now)).toBe(bench.now() * 1_000);
    // One that is behind by more than the greeting took is set forward, and not further than needed.
    bench.give({ kind: 'disconnected' });
    bench.pass(60_000);
    bench.give({ kind: 'tick' });
    bench.give({ kind: 'connected' });
    bench.hear({ kind: 'challenge', version: 1, nonce: NONCE, market: MARKET, chain: CHAIN });
    const before = bench.now() * 1_000;
    bench.pass(80);
    const timeUs = before - 500_000;
    bench.hear({ kind: 'welcome', heartbeatMs: 5_000, leaseMs: 15_000, timeUs });
    const after = { timeUs: bench.now() * 1_000, monotonicMs: bench.now() };
    expect(marketTimeUs(bench.agent, after)).toBe(timeUs + 80_000);
  });
});

describe('agent: leases', () => {
  it('accepts only after the lease is on disk', () => {
    const bench = createBench();
    bench.greet();
    const taken = bench.hear(leaseMessage());
    expect(taken.map(({ kind }) => kind)).toEqual(['save', 'prepare']);
    const saved = bench.give({ kind: 'saved', lease: hex('1'), what: 'lease' });
    expect(sentKinds(saved)).toEqual(['accept']);
    expect(only(saved, 'run')).toHaveLength(1);
  });

  it('declines what it has no slot for, and everything while it drains', () => {
    const bench = createBench();
    bench.greet();
    working(bench, { lease: hex('a'), order: hex('a') });
    working(bench, { lease: hex('b'), order: hex('b') });
    const [busy] = sent(bench.hear(leaseMessage({ lease: hex('c'), order: hex('c') })));
    expect(busy).toMatchObject({ kind: 'decline', code: 'PROVIDER_BUSY' });
    bench.give({ kind: 'drain' });
    const [drains] = sent(bench.hear(leaseMessage({ lease: hex('d'), order: hex('d') })));
    expect(drains).toMatchObject({ kind: 'decline', code: 'PROVIDER_DRAINING' });
  });

  it('a newer fence of the same order replaces the older lease; an older one is declined', () => {
    const bench = createBench();
    bench.greet();
    working(bench, { fence: 3 });
    const [stale] = sent(bench.hear(leaseMessage({ lease: hex('5'), fence: 2 })));
    expect(stale).toMatchObject({ kind: 'decline', code: 'PROVIDER_STALE' });
    const effects = bench.hear(leaseMessage({ lease: hex('6'), fence: 4 }));
    expect(only(effects, 'kill')).toEqual([{ kind: 'kill', lease: hex('1') }]);
    expect(only(effects, 'save')).toHaveLength(1);
    expect([...bench.agent.leases.keys()]).toEqual([hex('6')]);
  });

  it('a cancelled lease is killed and forgotten; what its slot still says is ignored', () => {
    const bench = createBench();
    bench.greet();
    const lease = working(bench);
    const effects = bench.hear({ kind: 'cancel', lease, reason: 'consumer' });
    expect(effects.map(({ kind }) => kind)).toEqual(['note', 'kill', 'forget', 'send']);
    expect(bench.give({ kind: 'finished', lease, outcome: ok })).toEqual([]);
    expect(bench.give(started(lease))).toEqual([]);
  });
});

describe('agent: work', () => {
  it('sends a log that verifies, then the delivery that ends it', () => {
    const bench = createBench();
    bench.greet();
    const lease = working(bench);
    const effects = [...bench.give(started(lease))];
    for (let i = 0; i < 2_000; i++)
      effects.push(...bench.give({ kind: 'line', lease, level: 'info', text: `line ${i}` }));
    const finished = bench.give({ kind: 'finished', lease, outcome: ok });
    expect(sentKinds(finished)).toEqual([]);
    expect(only(finished, 'save')[0]?.what).toBe('delivery');
    effects.push(...finished, ...bench.give({ kind: 'saved', lease, what: 'delivery' }));
    let position: LogPosition = { length: 0, head: LOG_START };
    const kinds: string[] = [];
    for (const message of sent(effects)) {
      if (message.kind !== 'events') continue;
      position = verifyBatch(message.batch, hex('2'), position, verify);
      kinds.push(...message.batch.entries.map(({ kind }) => kind));
    }
    expect(kinds[0]).toBe('started');
    expect(kinds.at(-1)).toBe('finished');
    const deliver = sent(effects).find(({ kind }) => kind === 'deliver');
    if (deliver?.kind !== 'deliver') throw new Error('no delivery');
    const { delivery } = deliver.delivery;
    expect({ length: delivery.logLength, head: delivery.logHead }).toEqual(position);
    expect(delivery.charge).toBe(15n);
    expect(decodeAgentMessage(encodeAgentMessage(deliver))).toEqual(deliver);
  });

  it('frees the slot when the work is done and forgets the lease when the delivery is acknowledged', () => {
    const bench = createBench();
    bench.greet();
    const lease = working(bench);
    expect(agentFreeSlots(bench.agent)).toBe(1);
    bench.give({ kind: 'finished', lease, outcome: ok });
    expect(agentFreeSlots(bench.agent)).toBe(2);
    bench.give({ kind: 'saved', lease, what: 'delivery' });
    const effects = bench.hear({ kind: 'delivered', lease, accepted: 'yes' });
    expect(effects).toEqual([{ kind: 'forget', lease }]);
    expect(bench.agent.leases.size).toBe(0);
  });

  it('sends log and delivery again until they are acknowledged, also over a new connection', () => {
    const bench = createBench();
    bench.greet();
    const lease = working(bench);
    bench.give(started(lease));
    bench.give({ kind: 'disconnected' });
    bench.give({ kind: 'finished', lease, outcome: ok });
    expect(sentKinds(bench.give({ kind: 'saved', lease, what: 'delivery' }))).toEqual([]);
    bench.pass(60_000);
    bench.give({ kind: 'tick' });
    expect(sentKinds(bench.greet())).toEqual(['events', 'deliver', 'heartbeat']);
    bench.pass(5_000);
    expect(sentKinds(bench.give({ kind: 'tick' }))).toEqual(['events', 'deliver', 'heartbeat']);
    const { position } = (bench.agent.leases.get(lease) as { log: { position: LogPosition } }).log;
    bench.hear({ kind: 'eventsSaved', lease, log: position });
    bench.pass(5_000);
    expect(sentKinds(bench.give({ kind: 'tick' }))).toEqual(['deliver', 'heartbeat']);
  });

  it('runs again when the slot died, and delivers a crash when it dies again, for nothing', () => {
    const bench = createBench();
    bench.greet();
    const lease = working(bench);
    const crash = { exit: 'crash', usage, limits: DEFAULT_JOB_LIMITS, error: 'SIGSEGV' } as const;
    const first = bench.give({ kind: 'finished', lease, outcome: crash });
    expect(only(first, 'run')).toMatchObject([{ attempt: 2 }]);
    const second = bench.give({ kind: 'finished', lease, outcome: crash });
    expect(only(second, 'save')[0]?.lease.delivery?.delivery).toMatchObject({
      exit: 'crash',
      charge: 0n,
    });
  });

  it('hands back what the provider cannot do', () => {
    const bench = createBench();
    bench.greet();
    const lease = working(bench);
    const effects = bench.give({ kind: 'failed', lease, code: 'PROVIDER_STORAGE', reason: 'gone' });
    expect(sent(effects)).toEqual([
      { kind: 'decline', lease, code: 'PROVIDER_STORAGE', reason: 'gone' },
    ]);
    expect(bench.agent.leases.size).toBe(0);
  });
});

describe('agent: restart, drain', () => {
  it('delivers what was finished before the restart and hands back what was not', () => {
    const before = createBench();
    before.greet();
    const lease = working(before);
    const [saved] = only(before.give({ kind: 'finished', lease, outcome: ok }), 'save');
    if (saved === undefined) throw new Error('not saved');
    const { delivery: _none, ...unfinished } = { ...saved.lease, lease: hex('e'), order: hex('e') };
    const after = createBench([saved.lease, { ...unfinished, entries: [] }]);
    const messages = sent(after.greet());
    expect(messages.map(({ kind }) => kind)).toEqual(['decline', 'events', 'deliver', 'heartbeat']);
    expect(messages[0]).toMatchObject({ lease: hex('e'), code: 'PROVIDER_RESTARTED' });
    expect(messages[2]).toMatchObject({ lease, delivery: saved.lease.delivery });
  });

  it('drains: finishes what runs, then says so; stop hands the rest back', () => {
    const bench = createBench();
    bench.greet();
    const lease = working(bench);
    const draining = bench.give({ kind: 'drain' });
    expect(only(draining, 'drained')).toEqual([]);
    expect(sent(draining)).toMatchObject([{ kind: 'heartbeat', freeSlots: 0, draining: true }]);
    const effects = bench.give({ kind: 'stop' });
    expect(sent(effects)).toMatchObject([{ kind: 'decline', code: 'PROVIDER_STOPPING' }]);
    expect(only(effects, 'kill')).toEqual([{ kind: 'kill', lease }]);
    expect(only(effects, 'drained')).toHaveLength(1);
    expect(nextAgentTickMs(bench.agent)).toBeUndefined();
  });

  it('whatever comes in whatever order, it never throws and never takes more than its slots', () => {
    const id = fc.constantFrom(hex('1'), hex('2'), hex('3'));
    const event = fc.oneof(
      fc.constantFrom<AgentEvent>(
        { kind: 'connected' },
        { kind: 'disconnected' },
        { kind: 'tick' },
        { kind: 'drain' },
        { kind: 'message', message: { kind: 'welcome', heartbeatMs: 1, leaseMs: 1 } },
        {
          kind: 'message',
          message: { kind: 'challenge', version: 1, nonce: NONCE, market: MARKET, chain: CHAIN },
        },
      ),
      fc.record({ lease: id, order: id, fence: fc.nat(3) }).map((change): AgentEvent => {
        return { kind: 'message', message: leaseMessage(change) };
      }),
      id.map((lease): AgentEvent => ({ kind: 'saved', lease, what: 'lease' })),
      id.map((lease): AgentEvent => ({ kind: 'saved', lease, what: 'delivery' })),
      id.map(started),
      id.map((lease): AgentEvent => ({ kind: 'line', lease, level: 'warn', text: '\u{1F600}' })),
      id.map((lease): AgentEvent => ({ kind: 'progress', lease, share: 0.5, note: '\ud83d' })),
      id.map((lease): AgentEvent => ({ kind: 'finished', lease, outcome: ok })),
      id.map((lease): AgentEvent => ({
        ...{ kind: 'failed', lease, code: 'X', reason: '\ud83d'.repeat(600) },
      })),
      id.map((lease): AgentEvent => ({
        kind: 'message',
        message: { kind: 'eventsSaved', lease, log: { length: 9, head: hex('4') } },
      })),
      id.map((lease): AgentEvent => ({
        kind: 'message',
        message: { kind: 'delivered', lease, accepted: 'no' },
      })),
    );
    fc.assert(
      fc.property(fc.array(event, { maxLength: 60 }), (events) => {
        const bench = createBench();
        for (const one of events) {
          bench.pass(137);
          for (const message of sent(bench.give(one))) encodeAgentMessage(message);
          const stages = [...bench.agent.leases.values()].map(({ stage }) => stage);
          const busy = stages.filter((stage) => stage === 'saving' || stage === 'working');
          expect(busy.length).toBeLessThanOrEqual(offer.slots);
        }
      }),
      { numRuns: 100 },
    );
  });
});
