import { readFileSync } from 'node:fs';
import { createSeededRandomness } from '#libs/kernel';
import { type Order, ORDER_DOMAIN, orderBytes } from '#contracts';
import { applyEvent, manifestCid, needsOf, quoteJob, restoreMarket } from './index.ts';
import { CHAIN, configOf, manifestWith, offerOf, signerOf } from './testing/driver.ts';

const config = configOf();
const timeUs = 1_800_000_000_000_000;
const randomness = createSeededRandomness(1);
const offer = offerOf('p1');
const { publicKey } = signerOf('p1');
const manifest = manifestWith();

function signOrder(asked: Pick<Order, 'manifest' | 'priceCap'>) {
  const ann = signerOf('ann');
  const order: Order = {
    ...asked,
    chain: CHAIN,
    consumer: ann.account,
    market: config.signer.account,
    salt: '00'.repeat(16),
    placeByUs: timeUs + 60_000_000,
    completeByUs: timeUs + 120_000_000,
  };
  const signature = ann.sign(ORDER_DOMAIN, orderBytes(order));
  return { order, publicKey: ann.publicKey, signature };
}

// From here to the end mark, docs/market.md shows these very lines.
function firstMinute() {
  const market = restoreMarket(config, []); // no rows: a new market
  const now = { timeUs, monotonicMs: 0 };
  const hello = { kind: 'agentHello', session: 's1', publicKey, offer, leases: [] } as const;
  applyEvent(market, hello, now, randomness);

  const [option] = quoteJob(market, needsOf(manifest)).options;
  const effects = applyEvent(
    market,
    {
      kind: 'submitOrder',
      request: 'r1',
      order: signOrder({ manifest: manifestCid(manifest), priceCap: option?.priceCap ?? 0n }),
      manifest,
      balance: { amount: 1_000_000_000n, height: 0 },
    },
    now,
    randomness,
  );
  // Make the saves durable in one transaction; then do the rest, in order.
  return effects.map(({ kind }) => kind); // save, save, enqueueBinding, reply, jobEvent
}
// End of the example.

describe('docs/market.md', () => {
  test('shows an example that runs', () => {
    const page = readFileSync(new URL('../../../docs/market.md', import.meta.url), 'utf8');
    const source = readFileSync(new URL(import.meta.url), 'utf8');
    const [, shown] = /these very lines\.\n([^]*?)\/\/ End of the example/.exec(source) ?? [];
    expect(shown).toBeDefined();
    expect(page).toContain(shown);
    expect(firstMinute()).toEqual(['save', 'save', 'enqueueBinding', 'reply', 'jobEvent']);
  });
});
