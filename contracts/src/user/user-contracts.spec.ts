import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { contractAccount, verifySignature } from '#libs/crypto';
import {
  type CborValue,
  TOKEN,
  bytesToHex,
  decodeCbor,
  encodeCbor,
  hexToBytes,
  utf8,
} from '#libs/kernel';
import { type Call, type ContractHarness, createContractHarness } from '#libs/ledger';
import { CONTRACT_VM_VERSIONS, ContractEngine, type ContractKind, loadJsEngine } from '#libs/vm';
import initWabt from 'wabt';
import { genesisSettings, systemContracts } from '../system-contracts.ts';
import { tokenFees, tokenMethods } from '../token/token.ts';
import { namesMethods } from '../names/names.ts';
import {
  codeChunks,
  contractsCalls,
  createUserContracts,
  userContractAccount,
} from './user-contracts.ts';

const wabt = await initWabt();
const blob = readFileSync(createRequire(import.meta.url).resolve('quickjs-wasi/quickjs.wasm'));
const jsEngine = loadJsEngine(blob);
const engine = new ContractEngine({ jsEngine: () => jsEngine });
const { contract: contractsContract, port } = createUserContracts(engine);
const alice = 'a1'.repeat(32);
const bob = 'b0'.repeat(32);

function chain(userContracts = port): ContractHarness {
  return createContractHarness({
    contracts: [...systemContracts, contractsContract],
    parameters: {
      allocations: [
        { account: alice, amount: 1_000n * TOKEN },
        { account: bob, amount: 1_000n * TOKEN },
      ],
      settings: genesisSettings,
    },
    fees: tokenFees,
    verifySignature,
    userContracts,
  });
}

interface Deployment {
  readonly kind?: ContractKind;
  readonly salt?: string;
  readonly vm?: string;
}

function deployCalls(code: string | Uint8Array, deployment: Deployment = {}): Call[] {
  const { kind = 'js', salt = '', vm = CONTRACT_VM_VERSIONS[kind] } = deployment;
  const bytes = typeof code === 'string' ? utf8(code) : code;
  const chunks = codeChunks(bytes);
  return [
    ...chunks.map((chunk) => contractsCalls.upload(chunk.bytes)),
    contractsCalls.deploy({ kind, vm, chunks: chunks.map(({ hash }) => hash), salt }),
  ];
}

function deploy(
  on: ContractHarness,
  code: string | Uint8Array,
  deployment: Deployment = {},
): string {
  const outcome = on.execute(alice, deployCalls(code, deployment));
  if (!outcome.ok) throw new Error(`${outcome.code}: ${outcome.message}`);
  const { account } = decodeCbor(outcome.value.at(-1) as Uint8Array) as { account: Uint8Array };
  return bytesToHex(account);
}

const callOf = (
  contract: string,
  method: string,
  args: readonly CborValue[] = [],
  value = 0n,
): Call => ({
  ...{ contract, method, args: encodeCbor(args), value },
});

function invoke(
  on: ContractHarness,
  contract: string,
  method: string,
  args: readonly CborValue[] = [],
  value = 0n,
) {
  const outcome = on.execute(alice, [callOf(contract, method, args, value)]);
  return outcome.ok ? { ...outcome, value: decodeCbor(outcome.value[0] as Uint8Array) } : outcome;
}

function balance(on: ContractHarness, account: string): bigint {
  const outcome = on.call(alice, 'token', tokenMethods.balance, { account });
  return outcome.ok ? outcome.value : -1n;
}

/** Calls the next of a list of contracts; the last one answers. */
const RELAY = `
export function relay(ctx, chain) {
  if (chain.length === 0) return 'end';
  return ctx.call(chain[0], 'relay', [chain.slice(1)]);
}
export function tryRelay(ctx, chain, fuel) {
  ctx.storage.put('before', 1);
  const reply = ctx.call(chain[0], 'relay', [chain.slice(1)], { catch: true, fuel });
  ctx.storage.put('after', 1);
  return reply;
}
export function spin() { for (;;); }
export function fail(ctx) { ctx.storage.put('x', 1); ctx.emit('lost', 1); ctx.revert('NO', 'as asked'); }
export function tryMethod(ctx, contract, method, fuel) {
  return ctx.call(contract, method, [], { catch: true, fuel });
}`;

describe('user contracts on a chain', () => {
  it('are deployed with their first call in one transaction, and keep state of their own', () => {
    const on = chain();
    const code = `
      export function init(ctx, n) { ctx.storage.put('n', n); return ctx.caller; }
      export function add(ctx, by) { const n = ctx.storage.get('n') + by; ctx.storage.put('n', n); ctx.emit('added', by); return n; }`;
    const codeHash = codeChunks(utf8(code))[0]?.hash as string;
    const account = userContractAccount({ deployer: alice, codeHash, salt: '' });
    const outcome = on.execute(alice, [...deployCalls(code), callOf(account, 'init', [5n])]);
    expect(outcome.ok && decodeCbor(outcome.value.at(-1) as Uint8Array)).toBe(alice);
    const added = invoke(on, account, 'add', [3n]);
    expect(added).toMatchObject({ ok: true, value: 8 });
    expect(added.events.map(({ contract, topic }) => [contract, topic])).toEqual([
      [account, 'added'],
    ]);
    expect(on.get(account, utf8('n'))).toEqual(encodeCbor(8n));
    const twin = deploy(on, code, { salt: 'twin' });
    expect(invoke(on, twin, 'add', [1n])).toMatchObject({ ok: false, status: 'reverted' });
  });

  it('run in WebAssembly too', () => {
    const on = chain();
    const source = `(module (import "seele" "output" (func $output (param i32 i32)))
      (memory (export "memory") 1) (data (i32.const 0) "\\18\\2a")
      (func (export "answer") (call $output (i32.const 0) (i32.const 2))))`;
    const code = wabt.parseWat('c.wat', source).toBinary({}).buffer;
    const account = deploy(on, code, { kind: 'wasm' });
    expect(invoke(on, account, 'answer')).toMatchObject({ ok: true, value: 42 });
    expect(invoke(on, account, 'absent')).toMatchObject({ ok: false, code: 'NO_SUCH_METHOD' });
  });

  it('take and pay money, also by their names', () => {
    const on = chain();
    const account = deploy(
      on,
      `export function pay(ctx, to, amount) { ctx.pay(to, amount); }
       export function keep(ctx) { return ctx.value; }
       export function keepNot(ctx) { ctx.revert('NO'); }`,
    );
    expect(invoke(on, account, 'keep', [], 7n)).toMatchObject({ ok: true, value: 7 });
    expect(invoke(on, account, 'keepNot', [], 7n)).toMatchObject({ ok: false, code: 'NO' });
    expect(balance(on, account)).toBe(7n);
    on.call(alice, 'names', namesMethods.register, { name: 'the-purse' });
    on.call(alice, 'names', namesMethods.transfer, { name: 'the-purse', to: account });
    expect(invoke(on, 'the-purse', 'pay', [bob, 5n])).toMatchObject({ ok: true });
    expect([balance(on, account), balance(on, bob)]).toEqual([2n, 1_000n * TOKEN + 5n]);
    expect(invoke(on, account, 'pay', [bob, 5n])).toMatchObject({ code: 'TOKEN_BALANCE_TOO_LOW' });
    expect(invoke(on, account, '', [], 3n)).toMatchObject({ ok: true });
    expect(balance(on, account)).toBe(5n);
  });

  it('call system contracts as their own account', () => {
    const on = chain();
    const account = deploy(
      on,
      `export function move(ctx, to) { ctx.call('token', 'transfer', { to, amount: 4n }); }`,
    );
    on.call(alice, 'token', tokenMethods.transfer, { to: account, amount: 10n });
    expect(invoke(on, account, 'move', [hexToBytes(bob) as Uint8Array])).toMatchObject({
      ok: true,
    });
    expect(balance(on, account)).toBe(6n);
    const refused = invoke(on, 'token', 'balance', [], 1n);
    expect(refused).toMatchObject({ ok: false, code: 'LEDGER_CALL_VALUE' });
  });

  it('call each other sixteen deep and not seventeen, each its own', () => {
    const on = chain();
    const accounts = Array.from({ length: 17 }, (_, i) => deploy(on, RELAY, { salt: `${i}` }));
    const [first, ...rest] = accounts as [string, ...string[]];
    expect(invoke(on, first, 'relay', [rest.slice(0, 15)])).toMatchObject({
      ok: true,
      value: 'end',
    });
    const deep = invoke(on, first, 'relay', [rest]);
    expect(deep).toMatchObject({ ok: false, code: 'LEDGER_CALL_DEPTH' });
    expect(invoke(on, first, 'relay', [[first]])).toMatchObject({ code: 'LEDGER_REENTRANT' });
    const around = invoke(on, first, 'relay', [[rest[0] as string, first]]);
    expect(around).toMatchObject({ ok: false, code: 'LEDGER_REENTRANT' });
  });

  it('undo what a failed callee did and go on', () => {
    const on = chain();
    const [caller, callee] = [deploy(on, RELAY), deploy(on, RELAY, { salt: 'b' })];
    const failed = invoke(on, caller, 'tryMethod', [callee, 'fail', 0n]);
    expect(failed).toMatchObject({
      ok: true,
      value: { failed: true, code: 'NO', message: 'as asked' },
    });
    expect(failed.events).toEqual([]);
    expect(on.get(callee, utf8('x'))).toBeUndefined();
  });

  it('burn a trapped callee’s fuel, not its caller’s', () => {
    const on = chain();
    const [caller, callee] = [deploy(on, RELAY), deploy(on, RELAY, { salt: 'b' })];
    const spun = invoke(on, caller, 'tryMethod', [callee, 'spin', 5_000_000n]);
    expect(spun).toMatchObject({ ok: true, value: { code: 'LEDGER_OUT_OF_FUEL' } });
    expect(spun.fuelUsed).toBeGreaterThan(5_000_000n);
    expect(spun.fuelUsed).toBeLessThan(7_000_000n);
    const all = invoke(on, caller, 'tryMethod', [callee, 'spin', 0n]);
    expect(all).toMatchObject({ ok: true, value: { code: 'LEDGER_OUT_OF_FUEL' } });
    const top = invoke(on, callee, 'spin');
    expect(top).toMatchObject({ ok: false, status: 'trapped', fuelUsed: 100_000_000n });
  });

  it.each([0n, 1n, 1_000n, 50_000n, 130_000n, 200_000n])(
    'trap as out of fuel, and not otherwise, on %i fuel',
    (fuel) => {
      const on = chain();
      const [caller, callee] = [deploy(on, RELAY), deploy(on, RELAY, { salt: 'b' })];
      const reply = invoke(on, caller, 'tryMethod', [callee, 'spin', fuel === 0n ? 2n : fuel]);
      expect(reply).toMatchObject({ ok: true, value: { code: 'LEDGER_OUT_OF_FUEL' } });
    },
  );

  it('cost the same whether they lie in memory or not', () => {
    const on = chain();
    const account = deploy(on, RELAY);
    const warm = invoke(on, account, 'relay', [[]]).fuelUsed;
    engine.reset();
    expect(invoke(on, account, 'relay', [[]]).fuelUsed).toBe(warm);
  });

  it('may not grow the state without bound', () => {
    const on = chain();
    const account = deploy(
      on,
      `export function grow(ctx, n) { const v = 'x'.repeat(60000); for (let i = 0; i < n; i++) ctx.storage.put('k' + i, v); }`,
    );
    expect(invoke(on, account, 'grow', [4n])).toMatchObject({ ok: true });
    expect(invoke(on, account, 'grow', [9n])).toMatchObject({
      ok: false,
      code: 'LEDGER_STATE_GROWTH',
    });
  });

  it('may not emit without bound', () => {
    const on = chain();
    const account = deploy(
      on,
      `export function shout(ctx, n) { for (let i = 0; i < n; i++) ctx.emit('e', i); }`,
    );
    expect(invoke(on, account, 'shout', [64n])).toMatchObject({ ok: true });
    expect(invoke(on, account, 'shout', [65n])).toMatchObject({ ok: false, code: 'VM_EVENTS' });
  });

  it.each([
    ['a syntax error', deployCalls('export function ('), 'VM_PROGRAM_INVALID'],
    ['endless loading', deployCalls('for (;;);'), 'VM_PROGRAM_INVALID'],
    [
      'another VM version',
      deployCalls('export const a = 1', { vm: '00'.repeat(32) }),
      'CONTRACTS_VM_VERSION',
    ],
    ['a module that is none', deployCalls('not wasm', { kind: 'wasm' }), 'VM_MODULE_MALFORMED'],
    [
      'chunks that are not there',
      deployCalls('export const b = 1').slice(-1),
      'CONTRACTS_CODE_MISSING',
    ],
    ['source over 256 kB', deployCalls(`/*${'x'.repeat(256 * 1024)}*/`), 'CONTRACTS_CODE_SIZE'],
  ])('refuse to be deployed with %s', (_what, calls, code) => {
    const outcome = chain().execute(alice, calls);
    expect(outcome).toMatchObject({ ok: false, status: 'reverted', code });
  });

  it('get lists of arguments only, and must be there', () => {
    const on = chain();
    const account = deploy(on, RELAY);
    const bad = on.execute(alice, [{ contract: account, method: 'relay', args: encodeCbor({}) }]);
    expect(bad).toMatchObject({ ok: false, code: 'LEDGER_CALL_ARGS' });
    expect(invoke(on, 'cc'.repeat(32), 'relay')).toMatchObject({ code: 'LEDGER_CONTRACT_UNKNOWN' });
    expect(invoke(on, 'nobody', 'relay')).toMatchObject({ code: 'LEDGER_CONTRACT_UNKNOWN' });
  });

  it('see a seed of their own in every frame', () => {
    const on = chain();
    const account = deploy(on, 'export function seed(ctx) { return ctx.seed; }');
    const twice = on.execute(alice, [callOf(account, 'seed'), callOf(account, 'seed')]);
    const [a, b] = twice.ok ? twice.value.map((bytes) => decodeCbor(bytes)) : [];
    expect(a).not.toEqual(b);
  });

  it('cannot be mistaken for a failure of the machine by their words', () => {
    const on = chain();
    const account = deploy(on, `export function lie(ctx, code) { ctx.revert(code, 'lie'); }`);
    for (const code of ['KERNEL_INVARIANT', 'VM_HOST_FAULT', 'LEDGER_OUT_OF_FUEL'])
      expect(invoke(on, account, 'lie', [code])).toMatchObject({ status: 'reverted', code });
    expect(invoke(on, account, 'lie', ['with spaces'])).toMatchObject({ code: 'REVERTED' });
  });

  it('have accounts that no key and no system contract has', () => {
    const account = userContractAccount({ deployer: alice, codeHash: '00'.repeat(32), salt: '' });
    expect(account).not.toBe(contractAccount('contracts'));
  });
});
