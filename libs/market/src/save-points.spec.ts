import { createLogWriter } from '#libs/audit';
import { encodeWith } from '#libs/kernel';
import { PROVIDER_ENTRIES, type SavePointRef } from './agent/index.ts';
import type { Manifest } from './manifest.ts';
import type { MarketEffect } from './model/effects.ts';
import { Driver, SOME_CID, manifestWith, only, signerOf } from './testing/driver.ts';

const SAVED: SavePointRef = { cid: SOME_CID, sizeBytes: 12 };

/** An order in the hands of `p1`, whose guest saved where it stands. */
function saved(
  change: Partial<Manifest> = {},
  data = encodeWith(PROVIDER_ENTRIES.savePoint, SAVED),
) {
  const driver = new Driver();
  const offer = { domain: 'confidential', kinds: ['js', 'verifiable'] } as const;
  driver.join('p1', offer);
  const manifest = manifestWith(change);
  const reply = driver.submit(driver.order(manifest), manifest);
  if (reply.is !== 'order') throw new Error(JSON.stringify(reply));
  const { id } = reply.view;
  const first = leaseIn(driver.apply({ kind: 'bindingDue', request: 'q', order: id, binding: 1 }));
  driver.say('p1', { kind: 'accept', lease: first.lease });
  const writer = createLogWriter(id, first.log);
  writer.append({ kind: 'savePoint', timeUs: driver.nowUs, data });
  const batch = writer.sign(signerOf('p1'));
  if (!batch) throw new Error('nothing to sign');
  driver.say('p1', { kind: 'events', lease: first.lease, batch });
  const row = () => driver.market.orders.get(id);
  /** Bound again, after the back-off. */
  const again = () => {
    driver.wait(20_000);
    driver.join('p1', offer);
    const binding = row()?.binding ?? 0;
    return leaseIn(driver.apply({ kind: 'bindingDue', request: 'q', order: id, binding }));
  };
  return { driver, first, row, again };
}

function leaseIn(effects: readonly MarketEffect[]) {
  const messages = only(effects, 'sendAgent').map(({ message }) => message);
  const found = messages.find(({ kind }) => kind === 'lease');
  if (found?.kind !== 'lease') throw new Error('no lease');
  return found;
}

describe('what a guest saved', () => {
  test('goes with the next lease, also after a restart of the market', () => {
    const { driver, first, again } = saved();
    expect(first.savePoint).toBeUndefined();
    const stopping = { code: 'PROVIDER_STOPPING', reason: 'it is being stopped' };
    driver.say('p1', { kind: 'decline', lease: first.lease, ...stopping });
    driver.restart();
    expect(again()).toMatchObject({ fence: 2, savePoint: SAVED });
  });

  test('is dropped when a slot ended with it: it may be what ends slots', () => {
    const { driver, first, row, again } = saved();
    const died = { code: 'PROVIDER_SLOT', reason: 'the slot ended' };
    driver.say('p1', { kind: 'decline', lease: first.lease, ...died });
    expect(row()?.savePoint).toBeUndefined();
    expect(again().savePoint).toBeUndefined();
  });

  test('is nothing of metered jobs', () => {
    const { row } = saved({ kind: 'verifiable', metering: { fuel: 5_000n } });
    expect(row()?.savePoint).toBeUndefined();
  });

  test('as nonsense stays in the log and means nothing', () => {
    const { row } = saved({}, new Uint8Array([0xff, 0]));
    expect(row()).toMatchObject({ work: 'leased', log: { length: 3 } });
    expect(row()?.savePoint).toBeUndefined();
  });
});
