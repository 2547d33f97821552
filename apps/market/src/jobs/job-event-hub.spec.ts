import type { JobEvent } from '#libs/market';
import { createJobEventHub } from './job-event-hub.ts';

const event = (order: string, seq: number): JobEvent => ({
  order,
  seq,
  kind: 'log',
  timeUs: 0,
  data: new Uint8Array(),
});

describe('the hub of job events', () => {
  it('gives each follower what happens to its order', async () => {
    const hub = createJobEventHub();
    const [one, other] = [hub.follow('a'), hub.follow('b')];
    const ready = one?.ready();
    hub.publish(event('a', 0));
    await ready;
    expect(one?.take()).toEqual([{ is: 'event', event: event('a', 0) }]);
    expect(other?.take()).toEqual([]);
    one?.close();
    hub.publish(event('a', 1));
    expect([one?.take(), hub.followers]).toEqual([[], 1]);
    hub.close();
    expect(hub.followers).toBe(0);
  });

  it('keeps little for a follower that does not take it, and says that it lagged', () => {
    const hub = createJobEventHub();
    const slow = hub.follow('a');
    for (let seq = 0; seq < 5_500; seq++) hub.publish(event('a', seq));
    const signals = slow?.take() ?? [];
    expect(signals.length).toBeLessThanOrEqual(1_000);
    expect(signals[0]).toEqual({ is: 'lagged' });
    hub.close();
  });

  it('takes no more followers than it can serve', () => {
    const hub = createJobEventHub();
    for (let i = 0; i < 2_000; i++) expect(hub.follow('a')).toBeDefined();
    expect(hub.follow('a')).toBeUndefined();
    hub.close();
    expect(hub.follow('a')).toBeDefined();
    hub.close();
  });
});
