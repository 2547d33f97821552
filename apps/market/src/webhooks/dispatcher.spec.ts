import { createSigner } from '#libs/crypto';
import type { MarketEffect } from '#libs/market';
import { createLogger } from '#libs/platform';
import type { LogEvent } from '../http/market-api.ts';
import { WebhookDispatcher } from './dispatcher.ts';
import type { SendOutcome, SendRequest } from './sender.ts';
import {
  DEFAULT_EVENT_KINDS,
  DEFAULT_WEBHOOK_CAPS,
  DEFAULT_WEBHOOK_TIMES,
  type QueuedEvents,
  type StoredLane,
  type Webhook,
  backoffOf,
} from './webhook.ts';

const account = 'aa'.repeat(32);
const US_PER_S = 1_000_000;
const HOUR_US = 3_600 * US_PER_S;

const webhook = (id: string, change: Partial<Webhook> = {}): Webhook => ({
  ...{ id, account, url: `https://${id}.example.com/`, events: DEFAULT_EVENT_KINDS },
  ...{ createdAtUs: 0, missed: 0, ...change },
});

/** A dispatcher over a log and a table in memory; the test answers for the receivers. */
function createRig(change: Partial<typeof DEFAULT_WEBHOOK_CAPS> = {}) {
  let nowUs = US_PER_S;
  const log = new Map<string, LogEvent[]>();
  const table = new Map<string, StoredLane>();
  const saved = new Map<string, Webhook>();
  const open: {
    request: SendRequest;
    order: string;
    seq: number;
    end: (o: SendOutcome) => void;
  }[] = [];
  const key = ({ webhook: id, order, lane }: QueuedEvents): string => `${id} ${order} ${lane}`;
  const done = Promise.resolve();
  const parts = {
    store: {
      save: (one: Webhook) => (saved.set(one.id, one), done),
      remove: (id: string) => (saved.delete(id), done),
      advance: (lane: QueuedEvents) => {
        const stored = table.get(key(lane));
        if (stored && lane.next > lane.last && stored.last < lane.next) table.delete(key(lane));
        else if (stored) table.set(key(lane), { ...stored, next: lane.next });
        return done;
      },
      defer: (lane: StoredLane) => (table.set(key(lane), lane), done),
      drop: (lane: QueuedEvents) => (table.delete(key(lane)), done),
    },
    sender: {
      send: (request: SendRequest) =>
        new Promise<SendOutcome>((end) => {
          const { order, seq } = JSON.parse(new TextDecoder().decode(request.body)) as never;
          open.push({ request, order, seq, end });
        }),
      stop: () => Promise.resolve(),
    },
    source: { signer: createSigner(new Uint8Array(32)), chain: '0'.repeat(64), bodyBytesMax: 4096 },
    caps: { ...DEFAULT_WEBHOOK_CAPS, ...change },
    times: DEFAULT_WEBHOOK_TIMES,
    logger: createLogger({ name: 'test', level: 'silent' }),
    logAfter: (order: string, seq: number) =>
      Promise.resolve((log.get(order) ?? []).filter((event) => event.seq > seq)),
    consumerOf: () => account,
    nowUs: () => nowUs,
    random: () => 0.5,
  };
  const start = (): WebhookDispatcher => {
    const dispatcher = new WebhookDispatcher(parts);
    dispatcher.load([...saved.values()], [...table.values()]);
    dispatcher.start();
    return dispatcher;
  };
  /** One commit: events of an order, durable with what they make due. */
  const commit = (to: WebhookDispatcher, order: string, ...kinds: string[]): void => {
    const entries = log.get(order) ?? [];
    log.set(order, entries);
    const effects = kinds.map((kind): MarketEffect => {
      const event = { seq: entries.length, kind, timeUs: nowUs, data: new Uint8Array([0xa0]) };
      entries.push(event);
      return { kind: 'jobEvent', event: { order, ...event } };
    });
    const due = to.take(effects);
    for (const lane of due) {
      const known = table.get(key(lane));
      table.set(
        key(lane),
        known ? { ...known, last: lane.last } : { ...lane, attempts: 0, dueUs: 0 },
      );
    }
    to.committed(due);
  };
  const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));
  const answer = async (outcome: SendOutcome = { is: 'delivered', status: 200 }) => {
    await settled();
    const one = open.shift();
    one?.end(outcome);
    await settled();
    return one && `${one.order} ${one.seq}`;
  };
  return {
    ...{ start, commit, answer, settled, open, saved, table, log },
    pass: (us: number) => (nowUs += us),
    add: (one: Webhook) => saved.set(one.id, one),
  };
}

const down: SendOutcome = {
  is: 'failed',
  code: 'WEBHOOK_STATUS',
  text: 'it answered 500',
  status: 500,
};

describe('the dispatcher of webhooks', () => {
  it('sends each order’s events in their sequence, one at a time, and orders beside each other', async () => {
    const rig = createRig();
    rig.add(webhook('a'));
    const dispatcher = rig.start();
    rig.commit(dispatcher, 'o1', 'accepted', 'log', 'leased');
    rig.commit(dispatcher, 'o2', 'accepted');
    rig.commit(dispatcher, 'o1', 'settled');
    await rig.settled();
    expect(rig.open.map(({ order, seq }) => `${order} ${seq}`)).toEqual(['o1 0', 'o2 0']);
    const [first] = rig.open;
    expect(first?.request.headers).toMatchObject({ 'webhook-id': 'o1-0' });
    const sent = [];
    for (let i = 0; i < 4; i++) sent.push(await rig.answer());
    // The guest's log lines (o1 1) were not asked for.
    expect(sent.filter((one) => one?.startsWith('o1'))).toEqual(['o1 0', 'o1 2', 'o1 3']);
    expect([rig.table.size, dispatcher.queued]).toEqual([0, 0]);
    await dispatcher.stop();
  });

  it('killed between commit and sending, or before noting it, it sends after its restart', async () => {
    const rig = createRig();
    rig.add(webhook('a'));
    const killed = rig.start();
    rig.commit(killed, 'o1', 'accepted', 'leased');
    await rig.settled();
    // The first request is under way; nothing of this dispatcher's memory outlives it.
    rig.open.length = 0;
    const again = rig.start();
    expect([await rig.answer(), await rig.answer()]).toEqual(['o1 0', 'o1 1']);
    rig.commit(again, 'o1', 'settled');
    expect(await rig.answer()).toBe('o1 2');
    expect(rig.table.size).toBe(0);
    await again.stop();
  });

  it('a receiver that is slow or down holds back only its own events', async () => {
    const rig = createRig({ inFlight: 2 });
    for (const id of ['slow', 'good']) rig.add(webhook(id));
    const dispatcher = rig.start();
    for (let i = 0; i < 20; i++) rig.commit(dispatcher, `o${i}`, 'accepted');
    await rig.settled();
    const of = (id: string) => rig.open.filter(({ request }) => request.url.includes(id));
    for (let i = 0; i < 20; i++) {
      const [one] = of('good');
      rig.open.splice(rig.open.indexOf(one as never), 1);
      one?.end({ is: 'delivered', status: 200 });
      await rig.settled();
    }
    expect([of('good').length, of('slow').length]).toEqual([0, 2]);
    expect(dispatcher.waitingOf('good')).toBe(0);
    const stopped = dispatcher.stop();
    for (const { end } of rig.open) end(down);
    await stopped;
  });

  it('backs off, looks at a receiver that is down one request at a time, and goes on when it is back', async () => {
    const rig = createRig();
    rig.add(webhook('a'));
    const dispatcher = rig.start();
    for (let i = 0; i < 6; i++) rig.commit(dispatcher, `o${i}`, 'accepted');
    for (let i = 0; i < 6; i++) await rig.answer(down);
    // Those that were under way ended; now it is known to be down, and nothing is tried.
    expect(rig.open.length).toBe(0);
    expect(dispatcher.get('a')).toMatchObject({ lastFailure: { code: 'WEBHOOK_STATUS' } });
    rig.pass(400 * US_PER_S);
    dispatcher.resume(dispatcher.get('a') as Webhook);
    await rig.settled();
    for (let i = 0; i < 6; i++) expect(await rig.answer()).toBeDefined();
    expect([rig.table.size, dispatcher.get('a')?.failingSinceUs]).toEqual([0, undefined]);
    await dispatcher.stop();
  });

  it('after three days without success it is switched off, events are kept, and resuming sends them', async () => {
    const rig = createRig();
    rig.add(webhook('a'));
    const dispatcher = rig.start();
    rig.commit(dispatcher, 'o1', 'accepted');
    await rig.answer(down);
    rig.pass(73 * HOUR_US);
    // A new order wakes it; its failure is the one that decides.
    rig.commit(dispatcher, 'o2', 'accepted');
    await rig.answer(down);
    expect(rig.saved.get('a')?.disabled).toMatchObject({
      code: 'WEBHOOK_EXPIRED',
      text: 'nothing was taken for 3 days; last: it answered 500',
    });
    await rig.answer(down);
    rig.commit(dispatcher, 'o3', 'accepted');
    await rig.settled();
    expect([rig.open.length, rig.table.size]).toEqual([0, 3]);
    const { disabled: _off, failingSinceUs: _since, ...on } = rig.saved.get('a') as Webhook;
    dispatcher.resume(on);
    for (let i = 0; i < 3; i++) expect(await rig.answer()).toBeDefined();
    expect(rig.table.size).toBe(0);
    await dispatcher.stop();
  });

  it('410 switches it off at once', async () => {
    const rig = createRig();
    rig.add(webhook('a'));
    const dispatcher = rig.start();
    rig.commit(dispatcher, 'o1', 'accepted');
    await rig.answer({ is: 'failed', code: 'WEBHOOK_GONE', text: 'it answered 410 Gone' });
    expect(rig.saved.get('a')?.disabled?.code).toBe('WEBHOOK_GONE');
    await dispatcher.stop();
  });

  it('keeps no more orders for a webhook than its cap, and says how many it missed', async () => {
    const rig = createRig({ queued: 3, inFlight: 1 });
    rig.add(webhook('a'));
    const dispatcher = rig.start();
    for (let i = 0; i < 5; i++) rig.commit(dispatcher, `o${i}`, 'accepted');
    expect([dispatcher.queued, dispatcher.get('a')?.missed]).toEqual([3, 2]);
    dispatcher.replay({ webhook: 'a', order: 'o4', lane: 'replay', next: 0, last: 0 });
    const sent = [];
    for (let i = 0; i < 4; i++) sent.push(await rig.answer());
    expect(sent).toEqual(['o0 0', 'o1 0', 'o2 0', 'o4 0']);
    await dispatcher.stop();
  });

  it('a webhook of one order hears of no other, and one of another account of none', async () => {
    const rig = createRig();
    rig.add(webhook('one', { order: 'o1' }));
    rig.add(webhook('stranger', { account: 'bb'.repeat(32) }));
    rig.add(webhook('logs', { events: ['log'] }));
    const dispatcher = rig.start();
    rig.commit(dispatcher, 'o1', 'accepted', 'log');
    rig.commit(dispatcher, 'o2', 'accepted');
    await rig.settled();
    expect(rig.open.map(({ request, order, seq }) => [request.url, order, seq])).toEqual([
      ['https://one.example.com/', 'o1', 0],
      ['https://logs.example.com/', 'o1', 1],
    ]);
    const stopped = dispatcher.stop();
    for (const { end } of rig.open) end(down);
    await stopped;
  });

  it('pauses double from 5 s to an hour, half of them random', () => {
    const pauses = [1, 2, 3, 10, 11, 60].map((n) => backoffOf(n, DEFAULT_WEBHOOK_TIMES, 0.9999));
    expect(pauses.map((ms) => Math.round(ms / 1000))).toEqual([5, 10, 20, 2560, 3600, 3600]);
    expect(backoffOf(1, DEFAULT_WEBHOOK_TIMES, 0)).toBe(2_500);
  });
});
