import { readFileSync } from 'node:fs';
import { createSigner, verifySignature } from '#libs/crypto';
import { createSeededRandomness, encodeCbor, isSeeleError, utf8 } from '#libs/kernel';
import { LogTree, verifyConsistency, verifyInclusion } from '#libs/merkle';
import fc from 'fast-check';
import { isMarketKind } from './entry-kinds.ts';
import { BATCH_ENTRIES_MAX, type EventBatch } from './event.ts';
import { LOG_BEGIN, createLogWriter, entryHash, signBatch, verifyBatch } from './log-chain.ts';
import { RECEIPT_CHECKPOINTS, leafEntryHash, proveCheckpoints } from './operator-log.ts';

const job = 'ab'.repeat(32);
const market = createSigner(new Uint8Array(32).fill(1));
const provider = createSigner(new Uint8Array(32).fill(2));
const timeUs = 1_700_000_000_000_000;

// From here to the end mark, docs/audit.md shows these very lines.
function handOver() {
  // The market begins the log, and leases the job to a provider.
  const byMarket = createLogWriter(job);
  byMarket.append({ kind: 'accepted', timeUs, data: encodeCbor({ priceCap: 5n }) });
  byMarket.append({ kind: 'leased', timeUs, data: encodeCbor({ fence: 1 }) });
  const first = byMarket.sign(market) as EventBatch;

  // The provider goes on from the position it was given.
  const byProvider = createLogWriter(job, byMarket.position);
  byProvider.append({ kind: 'started', timeUs, data: encodeCbor({ isolation: 'S1' }) });
  const second = byProvider.sign(provider) as EventBatch;

  // Whoever receives a batch checks it against the position before it.
  const afterFirst = verifyBatch(first, job, LOG_BEGIN, verifySignature);
  return verifyBatch(second, job, afterFirst, verifySignature); // { length: 3, head }
}
// End of the example.

const writerWith = (count: number) => {
  const writer = createLogWriter(job);
  for (let i = 0; i < count; i++) writer.append({ kind: 'log', timeUs, data: utf8(`line ${i}`) });
  return writer;
};
const refusal = (batch: EventBatch, position = LOG_BEGIN): string => {
  try {
    verifyBatch(batch, job, position, verifySignature);
    return 'accepted';
  } catch (error) {
    if (!isSeeleError(error)) throw error;
    return error.code;
  }
};

describe('docs/audit.md', () => {
  it('shows an example that runs', () => {
    const page = readFileSync(new URL('../../../docs/audit.md', import.meta.url), 'utf8');
    const source = readFileSync(import.meta.filename, 'utf8');
    const example = /docs\/audit\.md shows these very lines\.\n([^]*?)\/\/ End of the example/.exec(
      source,
    );
    expect(page).toContain(example?.[1]?.trim() ?? 'no example');
    expect(handOver().length).toBe(3);
  });
});

describe('a job log', () => {
  it('is signed in batches of bounded size that follow each other', () => {
    const writer = writerWith(BATCH_ENTRIES_MAX + 5);
    const batches = [writer.sign(provider), writer.sign(provider)] as EventBatch[];
    expect(batches.map(({ entries }) => entries.length)).toEqual([BATCH_ENTRIES_MAX, 5]);
    expect(writer.sign(provider)).toBeUndefined();
    expect(writer.unsigned).toBe(0);
    let position = LOG_BEGIN;
    for (const batch of batches) position = verifyBatch(batch, job, position, verifySignature);
    expect(position).toEqual(writer.position);
  });

  it('refuses gaps, repetitions, other jobs, rewritten entries and other keys', () => {
    const batch = writerWith(3).sign(provider) as EventBatch;
    const [a, b, c] = batch.entries as [(typeof batch.entries)[0], ...typeof batch.entries];
    expect(refusal(batch)).toBe('accepted');
    expect(refusal(batch, { length: 1, head: entryHash(a as never) })).toBe('AUDIT_BATCH_INVALID');
    const withEntries = (...entries: unknown[]) => ({ ...batch, entries }) as EventBatch;
    expect(refusal(withEntries())).toBe('AUDIT_BATCH_INVALID');
    expect(refusal(withEntries(a, c))).toBe('AUDIT_BATCH_INVALID');
    expect(refusal(withEntries(b, a, c))).toBe('AUDIT_BATCH_INVALID');
    expect(refusal(withEntries(a, b))).toBe('AUDIT_SIGNATURE_WRONG');
    expect(refusal({ ...batch, job: 'cd'.repeat(32) })).toBe('AUDIT_BATCH_INVALID');
    const foreign = withEntries({ ...(a as object), job: 'cd'.repeat(32) });
    expect(refusal(foreign)).toBe('AUDIT_BATCH_INVALID');
    expect(refusal({ ...batch, publicKey: market.publicKey })).toBe('AUDIT_SIGNATURE_WRONG');
    const rewritten = { ...(c as object), timeUs: timeUs + 1 };
    expect(refusal(withEntries(a, b, rewritten))).toBe('AUDIT_SIGNATURE_WRONG');
    expect(refusal(signBatch(market, withEntries(a, b, rewritten).entries))).toBe('accepted');
  });

  it('knows what only the market may state', () => {
    expect(isMarketKind('settled')).toBe(true);
    expect(isMarketKind('log') || isMarketKind('toString')).toBe(false);
  });
});

describe('the operator’s log', () => {
  it('gives a long job no more checkpoints than a receipt takes, the last one among them', () => {
    const tree = new LogTree();
    const leaves = Array.from({ length: 500 }, (_, index) => {
      const log = { length: index + 1, head: 'ef'.repeat(32) };
      tree.appendLeafHash(leafEntryHash({ job, log }));
      return { index, log };
    });
    const sizes = leaves.map(({ index }) => index + 1);
    const { checkpoints } = proveCheckpoints(tree, leaves, sizes);
    expect(checkpoints).toHaveLength(RECEIPT_CHECKPOINTS);
    expect(checkpoints.at(-1)?.index).toBe(499);
    expect(new Set(checkpoints.map(({ index }) => index)).size).toBe(RECEIPT_CHECKPOINTS);
  });

  it('proves each position of a job at the first anchor after it, and that anchors extend each other', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 60 }), fc.nat(), (size, seed) => {
        const randomness = createSeededRandomness(seed);
        const tree = new LogTree();
        const leaves: { index: number; log: { length: number; head: string } }[] = [];
        const anchored: number[] = [];
        for (let index = 0; index < size; index++) {
          const mine = randomness.chance(0.3);
          const log = { length: index + 1, head: 'ef'.repeat(32) };
          tree.appendLeafHash(leafEntryHash({ job: mine ? job : 'cd'.repeat(32), log }));
          if (mine) leaves.push({ index, log });
          if (randomness.chance(0.2)) anchored.push(index + 1);
        }
        const { checkpoints, sizes, consistency } = proveCheckpoints(tree, leaves, anchored);
        expect(checkpoints.length).toBeLessThanOrEqual(RECEIPT_CHECKPOINTS);
        const covered = leaves.filter(({ index }) => anchored.some((s) => s > index));
        expect(checkpoints.map(({ index }) => index)).toEqual(covered.map(({ index }) => index));
        for (const { log, index, size: at, proof } of checkpoints) {
          expect(at).toBe(anchored.find((s) => s > index));
          expect(
            verifyInclusion(leafEntryHash({ job, log }), index, at, proof, tree.root(at)),
          ).toBe(true);
        }
        for (const [i, proof] of consistency.entries()) {
          const [first, second] = [sizes[i], sizes[i + 1]] as [number, number];
          const roots = [tree.root(first), tree.root(second)] as const;
          expect(verifyConsistency(first, second, ...roots, proof)).toBe(true);
        }
      }),
      { numRuns: 40 },
    );
  });
});
