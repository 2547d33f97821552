import {
  type Manifest,
  checkpointFuelFor,
  decodeManifest,
  encodeManifest,
  manifestProblem,
  meteredTermsOf,
} from './manifest.ts';
import { SOME_CID, manifestWith } from './testing/driver.ts';

const verifiable = (change: Partial<Manifest> = {}) =>
  manifestWith({ kind: 'verifiable', metering: { fuel: 10_000_000_000n }, ...change });

describe('the kinds of a manifest', () => {
  test.each([
    ['js with fuel', manifestWith({ metering: { fuel: 5n } }), /not metered/],
    ['verifiable without fuel', manifestWith({ kind: 'verifiable' }), /needs a fuel limit/],
    ['no fuel', verifiable({ metering: { fuel: 0n } }), /between 1 and/],
    ['fuel beyond 62 bits', verifiable({ metering: { fuel: 1n << 63n } }), /between 1 and/],
    [
      'checkpoints of a wasm job',
      manifestWith({ kind: 'wasm', metering: { fuel: 5n, checkpointFuel: 5n } }),
      /only verifiable/,
    ],
    [
      'checkpoints nowhere',
      verifiable({ metering: { fuel: 5n, checkpointFuel: 0n } }),
      /at least 1/,
    ],
    [
      'more than 2 000 checkpoints',
      verifiable({ metering: { fuel: 2_001n, checkpointFuel: 1n } }),
      /too many/,
    ],
    [
      'two inputs of one name',
      manifestWith({ inputs: [0, 1].map(() => ({ name: 'a', cid: SOME_CID, sizeBytes: 1 })) }),
      /two inputs/,
    ],
  ])('%s is a contradiction', (_what, manifest, words) => {
    expect(manifestProblem(manifest)).toMatch(words);
  });

  test.each([manifestWith(), manifestWith({ kind: 'wasm' }), verifiable()])(
    'a sound one has no problem and survives its encoding',
    (manifest) => {
      expect(manifestProblem(manifest)).toBeUndefined();
      expect(decodeManifest(encodeManifest(manifest))).toEqual(manifest);
    },
  );

  test('the whole fuel can be used between two checkpoints at the default distance', () => {
    for (const fuel of [1n, 10n ** 9n, 10n ** 15n, 1n << 62n])
      expect(fuel / checkpointFuelFor(fuel)).toBeLessThanOrEqual(2_000n);
  });

  test('terms follow from the manifest and its CID alone', () => {
    const terms = meteredTermsOf(verifiable(), SOME_CID);
    expect(terms).toEqual(meteredTermsOf(verifiable(), SOME_CID));
    expect(terms.seed).not.toBe(meteredTermsOf(verifiable(), `${SOME_CID}x`).seed);
    expect(terms).toMatchObject({ fuelLimit: 10_000_000_000n, epochMs: 0 });
    // A wasm job passes no boundary, and so has no checkpoints.
    const wasm = meteredTermsOf(manifestWith({ kind: 'wasm' }), SOME_CID);
    expect(wasm.checkpointFuel).toBeGreaterThan(wasm.fuelLimit);
  });
});
