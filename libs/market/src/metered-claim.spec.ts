import type { ReceiptFile } from '#libs/audit';
import type { Delivery } from '#contracts';
import { encodeWith } from '#libs/kernel';
import { type Checkpoint, checkpointsRoot } from '#libs/vm';
import { PROVIDER_ENTRIES } from './agent/entries.ts';
import { type Manifest, encodeManifest } from './manifest.ts';
import { jobClaimOf, meteredClaimOf } from './metered-claim.ts';
import { SOME_CID, manifestWith } from './testing/driver.ts';

const checkpoint = (n: number): Checkpoint => ({
  ...{ fuel: BigInt(n) * 10n, root: String(n % 10).repeat(64), resumable: n % 2 === 0 },
});
const THREE = [1, 2, 3].map(checkpoint);

interface Step {
  readonly kind: string;
  readonly data: Uint8Array;
}

const plain = (kind: string): Step => ({ kind, data: new Uint8Array() });
const stated = (first: number, items: readonly Checkpoint[]): Step => ({
  kind: 'checkpoints',
  data: encodeWith(PROVIDER_ENTRIES.checkpoints, { first, items: [...items] }),
});

/** The parts of a receipt that a claim is read from. */
function receipt(
  entries: readonly Step[],
  change: { readonly manifest?: Manifest; readonly delivery?: Partial<Delivery> } = {},
): ReceiptFile {
  const metering = { fuel: 1_000n };
  const manifest = change.manifest ?? manifestWith({ kind: 'verifiable', metering });
  const root = checkpointsRoot(THREE);
  const metered = {
    ...{ engine: 'ee'.repeat(32), fuel: 35n, checkpoints: 3, checkpointsRoot: root },
    ...{ outputChain: 'cc'.repeat(32), outputBytes: 4 },
  };
  const delivery = { exit: 'ok', result: SOME_CID, metered, ...change.delivery };
  return {
    manifest: encodeManifest(manifest),
    order: { order: { manifest: SOME_CID } },
    batches: [{ entries }],
    delivery: { delivery },
  } as unknown as ReceiptFile;
}

describe('the claim in a receipt', () => {
  test('is the delivery that counts and the checkpoints of its attempt', () => {
    const claim = meteredClaimOf(
      receipt([
        plain('leased'),
        stated(0, [checkpoint(7)]), // a lease that was lost
        plain('leased'),
        stated(0, [checkpoint(8), checkpoint(9)]), // a slot that died
        plain('retried'),
        stated(0, THREE.slice(0, 2)),
        stated(2, THREE.slice(2)),
      ]),
    );
    expect(claim).toMatchObject({ exit: 'ok', result: SOME_CID, manifestCid: SOME_CID });
    expect(claim.checkpoints).toEqual(THREE);
    expect(jobClaimOf(claim)).toMatchObject({
      ...{ exit: 'ok', fuelUsed: 35n, checkpoints: THREE },
      io: { outputChain: 'cc'.repeat(32), outputLength: 4 },
    });
  });

  test.each([
    ['another checkpoint', [plain('leased'), stated(0, [...THREE.slice(0, 2), checkpoint(4)])]],
    ['a missing one', [plain('leased'), stated(0, THREE.slice(0, 2))]],
    ['a gap', [plain('leased'), stated(0, THREE.slice(0, 1)), stated(2, THREE.slice(2))]],
  ])('is none when the log has %s', (_what, entries) => {
    expect(() => meteredClaimOf(receipt(entries))).toThrow(/checkpoint/);
  });

  test.each([
    ['a js job', { manifest: manifestWith() }, /a js job/],
    ['an end by the clock', { delivery: { exit: 'cpu-limit', metered: undefined } }, /cpu-limit/],
  ] as const)('is none for %s', (_what, change, words) => {
    expect(() => meteredClaimOf(receipt([plain('leased')], change as never))).toThrow(words);
  });
});
