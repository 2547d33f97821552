import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { utf8 } from '#libs/kernel';
import { ContractEngine, loadJsEngine } from '#libs/vm';
import fc from 'fast-check';
import { ContractTestChain } from './test-chain.ts';

const jsEngine = loadJsEngine(
  readFileSync(createRequire(import.meta.url).resolve('quickjs-wasi/quickjs.wasm')),
);
const engine = new ContractEngine({ jsEngine: () => jsEngine });
const fail = (what: string): never => {
  throw new Error(what);
};

const VALUES = [
  ...['undefined', 'null', '1', '1.5', 'NaN', '-1n', '2n ** 63n', '-(2n ** 63n)', '2n ** 200n'],
  ...["''", "'x'", "'\\ud800'", "'y'.repeat(70000)", 'Symbol()', '() => 1', 'new Date0()', '[]'],
  ...['new Array(9000).fill(1)', '({})', '({ __proto__: null, a: 1 })', 'new Uint8Array(3)'],
  ...['new Float64Array(2)', 'new DataView(new ArrayBuffer(2))', 'new Uint8Array(70000)', 'cycle'],
  ...['deep(40)', 'deep(3)', '({ get a() { throw 1 } })', 'new Proxy([], {})', "'ab'.repeat(32)"],
  ...[
    'ctx',
    'ctx.self',
    "({ '\\ud800': 1 })",
    '[[[[1]]]]',
    'new Map([[1, 2]])',
    'true',
    '{a:[1n]}',
  ],
].map((text) => (text.startsWith('{') ? `(${text})` : text));
const OPERATIONS = [
  ...['storage.get', 'storage.put', 'storage.delete', 'storage.scan', 'emit', 'sha256', 'verify'],
  ...['pay', 'call', 'revert'],
];

describe('hostile contracts', () => {
  it('never make the host fail, whatever they hand to it', () => {
    const value = fc.constantFrom(...VALUES);
    const step = fc.tuple(fc.constantFrom(...OPERATIONS), fc.array(value, { maxLength: 5 }));
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 6 }), value, (steps, returned) => {
        const lines = steps.map(
          ([operation, args]) => `try { ctx.${operation}(${args.join(', ')}); } catch {}`,
        );
        const source = `const cycle = {}; cycle.me = cycle;
          const deep = (n) => (n === 0 ? 1 : [deep(n - 1)]);
          export function run(ctx) { ${lines.join('\n')}\nreturn ${returned}; }`;
        const chain = new ContractTestChain(engine, 'js', utf8(source), fail);
        // A fault would be thrown; every refusal has a code.
        expect(chain.failure('run') ?? 'OK').toMatch(/^[A-Z][A-Z0-9_]*$/);
      }),
      { numRuns: process.env['SEELE_TEST_LONG'] === undefined ? 60 : 300 },
    );
  });
});
