/**
 * Figures of receipts, made through the real ledger and contracts: how long a large one takes to
 * verify offline, whether any changed byte or any forgery passes.
 */
import { type ReceiptParts, buildReceipt, verifyReceipt } from '#libs/audit';
import { createSeededRandomness } from '#libs/kernel';
import { forgeriesOf } from '../audit/forgeries.ts';
import { openReceiptWorld } from '../audit/receipt-world.ts';
import { type Bench, percentile, significant } from './harness.ts';

const EVENTS = 10_000;
const RUNS = 5;

export const bench: Bench = async ({ full, seed, note }) => {
  const world = await openReceiptWorld(seed);
  const randomness = createSeededRandomness(seed);
  const trust = world.chainId;
  const holds = (bytes: Uint8Array) => verifyReceipt(bytes, { trust }).ok;

  const large = buildReceipt(await world.runJob({ events: EVENTS, anchorsWhileRunning: 10 }));
  const durations: number[] = [];
  let verified = 0;
  for (let run = 0; run < RUNS; run++) {
    const began = performance.now();
    if (holds(large)) verified++;
    durations.push(performance.now() - began);
  }
  note(`receipt of ${EVENTS} events verified ${verified} times`);

  const parts = await world.runJob({ events: 2, losesLease: true });
  const other = await world.runJob({ events: 2, losesLease: true });
  const small = buildReceipt(parts);
  let flipsTried = 0;
  let flipsMissed = 0;
  for (let at = 0; at < small.length; at++) {
    const bits = full ? [0, 1, 2, 3, 4, 5, 6, 7] : [randomness.below(8)];
    for (const bit of bits) {
      const changed = small.slice();
      changed[at] = (changed[at] as number) ^ (1 << bit);
      flipsTried++;
      if (holds(changed)) flipsMissed++;
    }
  }
  note(`${flipsTried} flips tried`);

  let forgeriesTried = 0;
  const missed: string[] = [];
  const attack = (honest: ReceiptParts, neighbour: ReceiptParts) => {
    for (const forgery of forgeriesOf(world, honest, neighbour)) {
      forgeriesTried++;
      if (holds(buildReceipt(forgery.parts))) missed.push(forgery.name);
    }
  };
  attack(parts, other);
  attack(other, parts);
  for (const name of missed) note(`passed although forged: ${name}`);

  return {
    figures: {
      events: EVENTS,
      offlineVerifyMs: significant(percentile(durations, 0.5), 3),
      receiptBytesPerEvent: Math.round(large.length / EVENTS),
      receiptsVerified: verified,
      smallReceiptBytes: small.length,
      smallReceiptsVerified: [parts, other].filter((p) => holds(buildReceipt(p))).length,
      flipsTried,
      flipsMissed,
      forgeriesTried,
      forgeriesMissed: missed.length,
    },
  };
};
