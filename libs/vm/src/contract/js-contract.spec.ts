import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import fc from 'fast-check';
import { createSigner, sha256 } from '#libs/crypto';
import { type CborValue, decodeCbor, encodeCbor, utf8 } from '#libs/kernel';
import { loadJsEngine } from '../js/js-engine.ts';
import { JsContract } from './js-contract.ts';
import { MemoryContractHost } from './memory-host.ts';
import type { ContractOutcome } from './outcome.ts';

const engine = loadJsEngine(
  readFileSync(createRequire(import.meta.url).resolve('quickjs-wasi/quickjs.wasm')),
);
const FUEL = 100_000_000n;

function call(
  contract: JsContract,
  host: MemoryContractHost,
  method: string,
  args: readonly CborValue[] = [],
  fuel = FUEL,
): ContractOutcome {
  return contract.call({ method, args: encodeCbor(args), fuel, host });
}

function once(source: string, args: readonly CborValue[] = [], host = new MemoryContractHost()) {
  const outcome = call(JsContract.load(engine, source), host, 'run', args);
  return { outcome, host };
}

const data = (outcome: ContractOutcome) => {
  if (outcome.kind !== 'returned')
    throw new Error(JSON.stringify(outcome, (_k, v) => (typeof v === 'bigint' ? `${v}` : v)));
  return decodeCbor(outcome.data);
};

const TOKEN = `
export function mint(ctx, to, amount) { ctx.storage.put('balance/' + to, amount); }
export function transfer(ctx, to, amount) {
  const from = ctx.storage.get('balance/' + ctx.caller) ?? 0n;
  if (from < amount) ctx.revert('OVERDRAFT', 'balance is ' + from);
  ctx.storage.put('balance/' + ctx.caller, from - amount);
  ctx.storage.put('balance/' + to, (ctx.storage.get('balance/' + to) ?? 0n) + amount);
  ctx.emit('transfer', { to, amount });
}
export function balance(ctx, of) { return ctx.storage.get('balance/' + of) ?? 0n; }
`;

describe('a contract in JavaScript', () => {
  it('keeps its state in storage and emits events', () => {
    const token = JsContract.load(engine, TOKEN);
    const host = new MemoryContractHost({ caller: 'aa' });
    data(call(token, host, 'mint', ['aa', 100n]));
    data(call(token, host, 'transfer', ['bb', 30n]));
    expect(data(call(token, host, 'balance', ['aa']))).toBe(70);
    expect(data(call(token, host, 'balance', ['bb']))).toBe(30);
    expect(host.events.map((e) => [e.topic, decodeCbor(e.data)])).toEqual([
      ['transfer', { to: 'bb', amount: 30 }],
    ]);
  });

  it('reverts with its own code, and gives unused fuel back', () => {
    const token = JsContract.load(engine, TOKEN);
    const outcome = call(token, new MemoryContractHost(), 'transfer', ['bb', 1n]);
    expect(outcome).toMatchObject({ kind: 'reverted', code: 'OVERDRAFT', message: 'balance is 0' });
    expect(outcome.fuelUsed).toBeLessThan(1_000_000n);
  });

  it('uses the same fuel every time', () => {
    const token = JsContract.load(engine, TOKEN);
    const used = () =>
      call(token, new MemoryContractHost({ caller: 'aa' }), 'mint', ['aa', 5n]).fuelUsed;
    const first = used();
    expect([used(), used()]).toEqual([first, first]);
    expect(JsContract.load(engine, TOKEN).loadFuelUsed).toBe(token.loadFuelUsed);
  });

  it('burns the whole frame when fuel runs out', () => {
    const { outcome } = once('export function run() { for (;;); }');
    expect(outcome).toMatchObject({ kind: 'trapped', cause: 'out-of-fuel', fuelUsed: FUEL });
  });

  it('turns a throw into a revert and refuses unknown, private and async methods', () => {
    expect(once('export function run() { throw new TypeError("no"); }').outcome).toMatchObject({
      kind: 'reverted',
      code: 'THREW',
      message: 'TypeError: no',
    });
    expect(once('export function other() {}').outcome).toMatchObject({ code: 'NO_SUCH_METHOD' });
    expect(once('export async function run() {}').outcome).toMatchObject({ code: 'ASYNC_METHOD' });
  });

  it('sees its frame: caller, block, value and seed', () => {
    const host = new MemoryContractHost({
      caller: 'c0',
      value: 7n,
      height: 3,
      timeUs: 9,
      seed: '5e',
    });
    const { outcome } = once(
      'export function run(ctx) { return [ctx.caller, ctx.value, ctx.block.height, ctx.block.timeUs, ctx.seed]; }',
      [],
      host,
    );
    expect(data(outcome)).toEqual(['c0', 7, 3, 9, '5e']);
  });

  it('has no clock and no randomness', () => {
    const { outcome } = once(
      `export function run() { return [typeof Date, typeof Math.random, typeof SharedArrayBuffer, typeof Atomics, typeof WeakRef, typeof FinalizationRegistry, typeof performance]; }`,
    );
    expect(new Set(data(outcome) as string[])).toEqual(new Set(['undefined']));
  });

  it('scans by prefix, with a cursor', () => {
    const { outcome } = once(`export function run(ctx) {
      for (const k of ['a/1', 'a/2', 'a/3', 'b/1']) ctx.storage.put(k, k);
      ctx.storage.delete('a/2');
      const page = ctx.storage.scan('a/', undefined, 1);
      const rest = ctx.storage.scan('a/', page[0][0]);
      return [page.map((e) => e[1]), rest.map((e) => e[1])];
    }`);
    expect(data(outcome)).toEqual([['a/1'], ['a/3']]);
  });

  it('hashes and verifies', () => {
    const signer = createSigner(new Uint8Array(32).fill(7));
    const message = utf8('hello');
    const { outcome } = once(
      `export function run(ctx, key, message, signature) {
        return [ctx.sha256(message), ctx.verify(key, 'seele/test/1', message, signature), ctx.verify(key, 'seele/test/2', message, signature)];
      }`,
      [signer.publicKey, message, signer.sign('seele/test/1', message)],
    );
    expect(data(outcome)).toEqual([sha256(message), true, false]);
  });

  it('calls other contracts on its own fuel, keeping a 64th', () => {
    const host = new MemoryContractHost();
    host.reply = { kind: 'returned', data: encodeCbor([1n, 'x']), fuelUsed: 5_000n };
    const source = `export function run(ctx) { return ctx.call('other', 'greet', ['hi', 2n], { value: 3n }); }`;
    expect(data(once(source, [], host).outcome)).toEqual([1, 'x']);
    const [request] = host.calls;
    expect(request).toMatchObject({ contract: 'other', method: 'greet', value: 3n });
    expect(decodeCbor(request?.args ?? new Uint8Array())).toEqual(['hi', 2]);
    expect(Number(request?.fuel) / Number(FUEL)).toBeLessThan(63 / 64);
  });

  it("passes a callee's failure on, unless it asks to handle it", () => {
    const host = new MemoryContractHost();
    host.reply = { kind: 'failed', code: 'NOPE', message: 'no', fuelUsed: 10n };
    expect(
      once(`export function run(ctx) { ctx.call('o', 'm'); }`, [], host).outcome,
    ).toMatchObject({
      kind: 'reverted',
      code: 'NOPE',
    });
    const handled = once(
      `export function run(ctx) { return ctx.call('o', 'm', [], { catch: true }).code; }`,
      [],
      host,
    );
    expect(data(handled.outcome)).toBe('NOPE');
  });

  it.each([
    ['a key over 256 bytes', `ctx.storage.put('k'.repeat(257), 1n)`, 'VM_KEY_SIZE'],
    ['a value over 64 kB', `ctx.storage.put('k', new Uint8Array(66000))`, 'VM_VALUE_SIZE'],
    ['the 65th event', `for (let i = 0; i < 65; i++) ctx.emit('e', i)`, 'VM_EVENTS'],
    ['a result over 64 kB', `return new Uint8Array(66000)`, 'VM_RETURN_SIZE'],
    ['a negative amount', `ctx.call('o', 'm', [], { value: -1n })`, 'VM_CALL_AMOUNT'],
  ])('reverts on %s', (_what, body, code) => {
    const { outcome } = once(`export function run(ctx) { ${body}; }`);
    expect(outcome).toMatchObject({ kind: 'reverted', code });
  });

  it('carries every value with a canonical encoding there and back', () => {
    const echo = JsContract.load(
      engine,
      'export function run(ctx, v) { ctx.storage.put("v", v); return ctx.storage.get("v"); }',
    );
    const leaf = fc.oneof(
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      fc.string({ unit: 'binary' }).filter((text) => text.isWellFormed()),
      fc.uint8Array({ maxLength: 40 }),
      fc.boolean(),
      fc.constant(null),
    );
    const { value } = fc.letrec<{ value: CborValue }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 3 },
        leaf,
        fc.array(tie('value'), { maxLength: 4 }),
        fc.dictionary(fc.string(), tie('value'), { maxKeys: 4 }),
      ),
    }));
    fc.assert(
      fc.property(value, (v) => {
        const args = encodeCbor([v]);
        const outcome = echo.call({
          method: 'run',
          args,
          fuel: FUEL,
          host: new MemoryContractHost(),
        });
        expect(encodeCbor([data(outcome)])).toEqual(args);
      }),
      { numRuns: 60 },
    );
  });

  it('never lets forged host payloads out of the engine', () => {
    const forge = `export function run(ctx) {}
      const grab = {};
      Uint8Array.prototype.set = function () {};
      export function forged(ctx) { ctx.storage.put('k', 1n); }`;
    const host = new MemoryContractHost();
    const outcome = call(JsContract.load(engine, forge), host, 'forged');
    expect(['reverted', 'trapped', 'returned']).toContain(outcome.kind);
  });
});
