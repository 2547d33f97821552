import { LINKS_100_MBIT, Links } from './eda/links.ts';
import { runPbft } from './eda/pbft.ts';
import { runEdaLoad } from './eda/throughput.ts';
import { plotToSvg } from '../bench/svg-plot.ts';

const control = (bytes: number) => ({ bytes, signatures: 0, entries: 0, transactions: 0 });
const bulk = (bytes: number) => ({ ...control(bytes), transactions: 1 });

/** A uplink alone: names in the order and at the time they left. */
function uplink() {
  const timed: { atUs: number; run: () => void }[] = [];
  let nowUs = 0;
  const links = new Links(1, LINKS_100_MBIT, (delayUs, run) =>
    timed.push({ atUs: nowUs + delayUs, run }),
  );
  const left: string[] = [];
  const drain = () => {
    for (;;) {
      timed.sort((a, b) => a.atUs - b.atUs);
      const next = timed.shift();
      if (!next) return left;
      nowUs = next.atUs;
      next.run();
    }
  };
  const send = (name: string, load: ReturnType<typeof control>) =>
    links.send(0, load, nowUs, () => left.push(`${name} ${nowUs}`));
  return { send, drain };
}

test('12 500 bytes take a millisecond through 100 Mbit/s; blocks yield to votes', () => {
  const { send, drain } = uplink();
  send('block 1', bulk(12_500));
  send('block 2', bulk(12_500));
  send('vote', control(1250));
  // The vote takes the link at once; what it took, the second block waits for.
  expect(drain()).toEqual(['vote 100', 'block 1 1000', 'block 2 2100']);
});

test('a receiver checks one after the other: transactions beside consensus', () => {
  const links = new Links(1, LINKS_100_MBIT, () => undefined);
  const block = { bytes: 1250, signatures: 1, entries: 0, transactions: 100 };
  const vote = { bytes: 125, signatures: 1, entries: 0, transactions: 0 };
  expect(links.handledUs(0, block, 1000)).toBe(1000 + 3800 + 48);
  expect(links.handledUs(0, vote, 1000)).toBe(1010 + 48);
  expect(links.handledUs(0, vote, 1000)).toBe(1020 + 86);
});

test('PBFT: the leader’s uplink bounds it, separate dissemination lifts the bound', () => {
  const common = { nodes: 16, failed: 0, linksLost: 0, seed: 1, delayUs: [1000, 20_000] } as const;
  const patient = { ...common, links: LINKS_100_MBIT, timeoutUs: 10_000_000 };
  const plain = runPbft({ ...patient, blocks: 4, blockTransactions: 2000 });
  const sum = (run: typeof plain) =>
    run.ordered.reduce((total, { transactions }) => total + transactions, 0);
  // 15 copies of 250 bytes: 3 333 a second; the last copies are still leaving when it is decided.
  expect((sum(plain) * 1e6) / plain.durationUs).toBeLessThan(3600);
  const batches = { transactions: 300, everyUs: 400_000 };
  const spread = runPbft({ ...patient, blocks: 10_000, batches, maxUs: 2_000_000 });
  expect(spread.violations).toBe(0);
  expect((sum(spread) * 1e6) / spread.durationUs).toBeGreaterThan(8000);
  expect(spread.votes / spread.decided).toBeGreaterThan(2 * 16 * 15 * 0.9);
});

test('EDA keeps up with what 16 validators offer, and its invariants hold under load', () => {
  const load = { batch: 300, everyUs: 400_000, outstanding: 8, deltaUs: 50_000 };
  const run = runEdaLoad({
    nodes: 16,
    seed: 1,
    ...load,
    warmUpUs: 1_000_000,
    measureUs: 2_000_000,
  });
  expect(run.violations).toBe(0);
  // Offered: 16 · 300 / 0.4 s = 12 000.
  expect(run.tps).toBeGreaterThan(10_000);
  expect(run.finalityMs).toBeLessThan(1500);
  expect(run.controlShare).toBeLessThan(0.5);
});

test('a chart has its axes, a legend entry per line, gaps where values are missing', () => {
  const svg = plotToSvg({
    title: 'a < b',
    x: { label: 'n', isLog: true },
    y: { label: 'messages' },
    series: [
      {
        name: 'one',
        points: [
          [10, 1],
          [100, null],
          [1000, 3],
        ],
      },
      {
        name: 'two',
        points: [
          [10, 2],
          [1000, 5],
        ],
        isDashed: true,
      },
    ],
  });
  expect(svg).toContain('a &lt; b');
  // Two points of the first series and its mark in the legend; dashed lines have none.
  expect(svg.match(/<circle/g)?.length).toBe(3);
  expect(svg).toMatch(/M76\.0 [\d.]+M\d/);
  for (const text of ['>10<', '>100<', '>1 k<', '>one<', '>two<', '>messages<'])
    expect(svg).toContain(text);
  expect(svg).not.toMatch(/NaN|Infinity/);
});
