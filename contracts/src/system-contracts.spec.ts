import fc from 'fast-check';
import { type Bytes, decodeWith, isSeeleError } from '#libs/kernel';
import { type GenesisParameters, createContractHarness } from '#libs/ledger';
import { CONTRACT_ERRORS } from './errors.ts';
import { ordersCalls } from './orders/orders.ts';
import { SETTING_DURATION_MAX_US } from './contract-kit.ts';
import { genesisSettings, systemContracts } from './system-contracts.ts';

const born = (settings: GenesisParameters['settings']) => () =>
  createContractHarness({ contracts: systemContracts, parameters: { allocations: [], settings } });

describe('system contracts', () => {
  it('are listed once each, and each method under its own name', () => {
    const names = systemContracts.map(({ name }) => name);
    expect(names).toEqual([
      'token',
      'names',
      'resources',
      'orders',
      'audit',
      'stake',
      'metadata',
      'deals',
      'reputation',
      'disputes',
    ]);
    for (const { methods } of systemContracts)
      for (const [key, method] of Object.entries(methods)) expect(method.name).toBe(key);
  });

  it('give every refusal a title and a fix', () => {
    for (const { title, fix } of Object.values(CONTRACT_ERRORS)) {
      expect(title.length).toBeGreaterThan(5);
      expect(fix).toMatch(/\.$/);
    }
  });

  it('turn typed arguments into a transaction’s call', () => {
    const call = ordersCalls.cancel({ order: 'ab'.repeat(32) });
    expect(call).toMatchObject({ contract: 'orders', method: 'cancel' });
    const cancel = systemContracts.find(({ name }) => name === 'orders')?.methods['cancel'];
    expect(decodeWith(cancel?.args as never, call.args)).toEqual({ order: 'ab'.repeat(32) });
  });
});

describe('genesis settings', () => {
  it('have defaults, may be set, and are refused when unknown or out of range', () => {
    expect(born([])).not.toThrow();
    expect(born(genesisSettings)).not.toThrow();
    expect(born([{ name: 'ledger.blockFuel', value: 1n }])).not.toThrow();
    const refused = (name: string, value: bigint) => expect(born([{ name, value }])).toThrow(name);
    refused('orders.typo', 1n);
    refused('orders.toString', 1n);
    refused('names.deposit', -1n);
    refused('orders.settleWindowUs', SETTING_DURATION_MAX_US + 1n);
  });
});

describe('arguments from strangers', () => {
  const codecs = systemContracts.flatMap(({ name, methods }) =>
    Object.values(methods).map((method) => [`${name}.${method.name}`, method.args] as const),
  );
  const sample = ordersCalls.bind({
    order: 'ab'.repeat(32),
    provider: 'cd'.repeat(32),
    price: 5n,
    fence: 1,
  }).args;

  it.each(codecs)('%s: any bytes decode or are refused with a SeeleError', (_name, codec) => {
    const mutated = fc.tuple(fc.nat(sample.length - 1), fc.nat(255)).map(([at, byte]): Bytes => {
      const bytes = sample.slice();
      bytes[at] = byte;
      return bytes;
    });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 80 }), mutated), (bytes) => {
        try {
          decodeWith(codec, bytes);
        } catch (error) {
          expect(isSeeleError(error)).toBe(true);
        }
      }),
      { numRuns: 40 },
    );
  });
});
