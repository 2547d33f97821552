import { quoteJob } from './quote.ts';
import { needsOf } from './fitting.ts';
import { Driver, manifestWith, only, signerOf } from './testing/driver.ts';
import { providerViews } from './views.ts';

const manifest = manifestWith();

function submitted(driver: Driver): string {
  const reply = driver.submit(driver.order(manifest), manifest);
  if (reply.is !== 'order') throw new Error(JSON.stringify(reply));
  return reply.view.id;
}

const bind = (driver: Driver, id: string) => {
  const binding = driver.market.orders.get(id)?.binding ?? 0;
  return driver.apply({ kind: 'bindingDue', request: 'q', order: id, binding });
};

/** Two slots: one works, the other falls free while the provider drains. */
function draining(): { driver: Driver; first: string; second: string } {
  const driver = new Driver();
  driver.join('p1', { slots: 2 });
  const [first, second] = [submitted(driver), submitted(driver)];
  const [sent] = only(bind(driver, first), 'sendAgent');
  if (sent?.message.kind !== 'lease') throw new Error('no lease');
  const { lease } = sent.message;
  driver.say('p1', { kind: 'accept', lease });
  driver.say('p1', { kind: 'heartbeat', freeSlots: 0, leases: [lease], draining: true });
  return { driver, first, second };
}

describe('a provider that drains', () => {
  test('keeps its lease and gets no other, whatever falls free', () => {
    const { driver, first, second } = draining();
    expect(only(bind(driver, second), 'sendAgent')).toEqual([]);
    const ann = signerOf('ann').account;
    const effects = driver.apply({ kind: 'cancelOrder', request: 'c', order: first, by: ann });
    const said = [...effects, ...driver.wait(1)].filter(({ kind }) => kind === 'sendAgent');
    expect(said).toMatchObject([{ message: { kind: 'cancel' } }]);
    expect(driver.market.orders.get(second)?.work).toBe('queued');
  });

  test('is in no quote, is shown as draining, and no order is taken that only it fits', () => {
    const { driver } = draining();
    const quote = quoteJob(driver.market, needsOf(manifest));
    expect(quote).toMatchObject({ options: [], reasons: [{ code: 'draining', providers: 1 }] });
    expect(providerViews(driver.market)).toMatchObject([
      { online: true, draining: true, freeSlots: 0, leases: 1 },
    ]);
    expect(driver.submit(driver.order(manifest), manifest)).toMatchObject({
      is: 'refused',
      code: 'MARKET_NOTHING_FITS',
      message: '1 finishing their work before they stop',
    });
  });

  test('that comes back after a restart takes work again, what waited first', () => {
    const { driver, second } = draining();
    bind(driver, second);
    driver.apply({ kind: 'agentGone', session: 'p1' });
    const effects = driver.join('p1', { slots: 2 });
    expect(only(effects, 'sendAgent').map(({ message }) => message.kind)).toContain('lease');
  });

  test('that only comes back over a new line still drains', () => {
    const { driver, first, second } = draining();
    bind(driver, second);
    driver.apply({ kind: 'agentGone', session: 'p1' });
    const { publicKey } = signerOf('p1');
    const offer = driver.market.providers.get(signerOf('p1').account)?.row.offer;
    if (!offer) throw new Error('no offer');
    const lease = driver.market.orders.get(first)?.lease?.lease ?? '';
    const leases = [{ lease, fence: 1 }];
    const hello = { session: 'p2', publicKey, offer, leases, draining: true };
    const effects = driver.apply({ kind: 'agentHello', ...hello });
    const kinds = only(effects, 'sendAgent').map(({ message }) => message.kind);
    expect(kinds).toEqual(['welcome']);
  });
});
