import { MARKET_ENTRIES } from '#libs/audit';
import { decodeWith } from '#libs/kernel';
import { Driver, configOf, manifestWith, only, signerOf } from '../testing/driver.ts';
import { Shift } from '../testing/shift.ts';
import { decisionsOf } from '../why.ts';

const [ann, bob] = [signerOf('ann'), signerOf('bob')];
const cheap = manifestWith();
const urgent = manifestWith({ tier: 'B' });

function busy(level: 'eco' | 'standard', tenants: Parameters<typeof configOf>[0] = {}) {
  const driver = new Driver(configOf(tenants));
  driver.join('p1', { level });
  const shift = new Shift({ driver, providers: ['p1'], runMs: () => 1000 });
  const victim = shift.order(ann, cheap);
  return { driver, shift, victim };
}

const stateOf = (driver: Driver, id: string) => driver.market.orders.get(id);

describe('taking a slot for other work', () => {
  test('eco work gives way to work of a higher tier, is queued again and finished later', () => {
    const { driver, shift, victim } = busy('eco');
    const order = shift.order(bob, urgent);
    expect([...shift.running]).toEqual([order]);
    expect(stateOf(driver, victim)).toMatchObject({
      work: 'queued',
      faults: 0,
      tried: [],
      preempted: 1,
    });
    expect([...driver.market.providers.values()][0]?.row.faults).toBe(0);
    expect(shift.next()).toBe(order);
    expect(shift.next()).toBe(victim);
    expect(stateOf(driver, victim)).toMatchObject({ work: 'done', fence: 2 });
    // Nothing is owed for what was lost: only the second run is charged.
    expect(stateOf(driver, victim)?.delivery?.delivery.usage.wallMs).toBe(1000);
  });

  test('the log says so on both sides', () => {
    const { driver, shift, victim } = busy('eco');
    const reply = driver.submit(driver.order(urgent, {}, bob), urgent);
    if (reply.is !== 'order') throw new Error('refused');
    const effects = driver.apply({
      kind: 'bindingDue',
      request: 'q',
      order: reply.view.id,
      binding: 1,
    });
    shift.take(effects);
    const events = only(effects, 'jobEvent').map(({ event }) => event);
    const [lost] = decisionsOf(events.filter(({ order }) => order === victim));
    expect(lost?.text).toMatch(/^taken back \(PREEMPTED\): its eco slot was taken for order/);
    const [leased] = decisionsOf(events.filter(({ order }) => order === reply.view.id));
    const { inputs } = decodeWith(MARKET_ENTRIES.leased, leased?.data ?? new Uint8Array());
    expect(inputs?.because).toContain('gave way');
    expect(inputs?.left).toEqual([{ code: 'busy', providers: 1 }]);
  });

  test.each([
    ['a level that does not agree to it', 'standard', urgent],
    ['work of the same tier', 'eco', cheap],
  ] as const)('not from %s', (_what, level, manifest) => {
    const { driver, shift, victim } = busy(level);
    const order = shift.order(bob, manifest);
    expect([...shift.running]).toEqual([victim]);
    expect(driver.market.places.waiting.has(order)).toBe(true);
  });

  test('not for ever: the fourth newcomer waits', () => {
    const { driver, shift, victim } = busy('eco');
    for (let i = 0; i < 3; i++) {
      const order = shift.order(bob, urgent);
      expect(shift.next()).toBe(order);
      expect([...shift.running]).toEqual([victim]);
    }
    const fourth = shift.order(bob, urgent);
    expect([...shift.running]).toEqual([victim]);
    expect(driver.market.places.waiting.has(fourth)).toBe(true);
  });

  test('whoever is within its quota takes back what others borrowed, not what is theirs', () => {
    const tenant = (account: string, quota: number) => ({ account, weight: 1, quota });
    const reclaimed = busy('eco', { tenants: [tenant(bob.account, 1)] });
    const order = reclaimed.shift.order(bob, cheap);
    expect([...reclaimed.shift.running]).toEqual([order]);
    const entitled = busy('eco', { tenants: [tenant(ann.account, 1)] });
    entitled.shift.order(bob, urgent);
    expect([...entitled.shift.running]).toEqual([entitled.victim]);
  });
});
