/** Layer A of large sets: what a node makes of the few seats it heard. */
import { createSeededRandomness } from '#libs/kernel';
import type { SealedBlock, Tick, TickEntry } from './messages.ts';
import { Positions, blockHash } from './positions.ts';
import { Roster } from './roster.ts';
import { SOUND_RULES } from './rules.ts';
import { createValidatorSet } from './validator-set.ts';
import { trimmed } from './weighted.ts';

const CHAIN = 'cc'.repeat(32);
const ZERO = '00'.repeat(32);
const T = 1_900_000_000_000_000;
const COUNT = 100;
const ERA = 3;
const K = 1000;
const signature = new Uint8Array(64);
const validators = Array.from({ length: COUNT }, (_, i) => ({
  publicKey: `01${i.toString(16).padStart(64, '0')}`,
  weight: 1,
}));
const set = createValidatorSet(validators, 'seele-40');

function holdingOneBlock() {
  const roster = new Roster();
  roster.install(ERA, set);
  const options = { roster, seat: { me: 0 }, rules: SOUND_RULES, deltaUs: 50_000, epsilonUs: 128 };
  const positions = new Positions(options, ERA);
  const message = {
    chain: CHAIN,
    era: ERA,
    author: 1,
    seq: 1,
    prevOwn: ZERO,
    txRoot: CHAIN,
    count: 1,
  };
  const block: SealedBlock = { from: 1, message, signature, payload: Uint8Array.of(1) };
  positions.addBlock(block, T, 0);
  const name = { era: ERA, author: 1, seq: 1, hash: blockHash(message) };
  const heard = new Map<number, { k: number; seats: number }>();
  /** A tick of one seat, with or without the block. */
  const hear = (peer: number, x?: number, x0 = x) => {
    heard.set(peer, { k: K - 1, seats: 1 });
    const entries: TickEntry[] = x === undefined ? [] : [{ ...name, x, x0: x0 as number }];
    const tick: Tick = { chain: CHAIN, era: ERA, k: K - 1, axis: T, entries };
    positions.hear(peer, { from: peer, message: tick, signature }, 0);
  };
  const x = () => {
    positions.closeSampledTick(K, roster.at(ERA), { heard });
    return positions.chain(ERA, 1).find(1, name.hash)?.x as number;
  };
  return { hear, x };
}

test('20: nine tenths of the ticks lost, few honest know a block, all liars vote: it stays where honest saw it', () => {
  const random = createSeededRandomness(20);
  const FAR_US = 1_000_000_000;
  let wouldLeave = 0;
  for (let trial = 0; trial < 2000; trial++) {
    const { hear, x } = holdingOneBlock();
    const honest: number[] = [T];
    const said: number[] = [];
    const seats = 5 + random.below(30);
    const liars = Math.floor(seats * 0.19);
    let peer = 2;
    for (let i = 0; i < liars; i++) {
      hear(peer++, T + FAR_US, T);
      said.push(T + FAR_US);
    }
    const know = random.below(3);
    for (let i = 0; i < seats - liars; i++) {
      const own = i < know ? T + random.below(20_000) : undefined;
      if (own !== undefined) {
        honest.push(own);
        said.push(own);
      }
      hear(peer++, own);
    }
    const position = x();
    expect(position).toBeGreaterThanOrEqual(T);
    expect(position).toBeLessThanOrEqual(Math.max(...honest));
    // Cutting off a share of those that list it, not of those that were heard, is not enough.
    const weights = said.map(() => 1);
    const centre = trimmed(said, weights, Math.ceil(0.34 * said.length))?.centre;
    if (centre !== undefined && centre > Math.max(...honest)) wouldLeave += 1;
  }
  expect(wouldLeave).toBeGreaterThan(100);
});

test('once most of the seats list it, votes move it, and agreement within ε in two ticks is convergence', () => {
  const { hear, x } = holdingOneBlock();
  for (let peer = 2; peer < 42; peer++) hear(peer, T + 10_000 + peer);
  const first = x();
  expect(first).toBeGreaterThan(T + 10_000);
  expect(first).toBeLessThan(T + 10_050);
});
