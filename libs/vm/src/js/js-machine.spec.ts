import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { GuestAbort } from '../wasm/metered-instance.ts';
import { loadJsEngine } from './js-engine.ts';
import { JsMachine, type JsOperation, type JsOutcome } from './js-machine.ts';

const blob = readFileSync(createRequire(import.meta.url).resolve('quickjs-wasi/quickjs.wasm'));
const engine = loadJsEngine(blob);

/** Runs `export default (say) => …`; `say(text)` is what the guest can tell the host. */
const PRELUDE = `(host) => (program) => () => {
  try { program.default((text) => host(8, String(text))); }
  catch (error) { host(0, String(error)); }
}`;
const FUEL = 100_000_000n;

function load(source: string, said: string[] = []): JsMachine {
  const say: JsOperation = {
    takes: 's',
    run: ([text]) => {
      if (text === 'stop') throw new GuestAbort('stopped by the host');
      said.push(text as string);
      return 'heard';
    },
  };
  return JsMachine.load(engine, PRELUDE, source, new Map([[8, say]]), 10_000_000_000n);
}

function run(source: string): { outcome: JsOutcome; said: string[]; used: bigint } {
  const said: string[] = [];
  const machine = load(source, said);
  const outcome = machine.call(FUEL);
  return { outcome, said, used: FUEL - machine.fuel };
}

describe('a JavaScript guest', () => {
  it('talks to the host', () => {
    const { outcome, said } = run('export default (say) => { say(6 * 7); };');
    expect(outcome).toEqual({ kind: 'returned' });
    expect(said).toEqual(['42']);
  });

  it('starts every call from the image of its load: globals are not state', () => {
    const said: string[] = [];
    const machine = load('let n = 0; export default (say) => { say(++n); };', said);
    const first = (machine.call(FUEL), machine.fuel);
    machine.call(FUEL);
    expect(said).toEqual(['1', '1']);
    expect(machine.fuel).toBe(first);
  });

  it('starts clean again after a call that filled its memory', () => {
    const said: string[] = [];
    const source = `let runs = 0;
      export default (say) => { runs++; const a = []; for (let i = 0; i < 300000; i++) a.push([i]); say(runs); };`;
    const machine = load(source, said);
    machine.call(10_000_000_000n);
    const fuel = machine.fuel;
    machine.call(10_000_000_000n);
    expect(said).toEqual(['1', '1']);
    expect(machine.fuel).toBe(fuel);
  });

  it.each([
    ['a loop', 'for (;;);'],
    [
      'a loop that catches everything',
      'for (;;) { try { for (;;); } catch {} finally { continue; } }',
    ],
    ['a catastrophic regular expression', '/(a+)+$/.test("a".repeat(40) + "b");'],
    ['a huge power', 'for (let n = 3n; ; ) n ** 30000n;'],
    ['sorting', '[...Array(1e6).keys()].sort((a, b) => b - a);'],
    ['endless promise jobs', 'const again = () => Promise.resolve().then(again); again(); return;'],
  ])('stops %s as out of fuel, which no guest code catches', (_what, body) => {
    const { outcome, said } = run(`export default (say) => { ${body} say('survived'); };`);
    expect(outcome).toMatchObject({ kind: 'trapped', cause: 'out-of-fuel' });
    expect(said).toEqual([]);
  });

  it('ends the call when the host says so, past every handler', () => {
    const { outcome, said } = run(
      `export default (say) => { try { say('stop'); } catch { say('caught'); } finally { say('after'); } };`,
    );
    expect(outcome).toMatchObject({ kind: 'aborted', reason: { message: 'stopped by the host' } });
    expect(said).toEqual([]);
  });

  it('reports what the guest threw, without trusting it', () => {
    const { outcome } = run('export default () => { throw new Error("out of fuel"); };');
    expect(outcome).toEqual({ kind: 'threw', message: 'Error: out of fuel' });
  });

  it('has no clock, and turns endless recursion into a catchable error', () => {
    const { said } = run(
      `export default (say) => { say([typeof Date, typeof performance, typeof WeakRef]);
        const f = () => f(); try { f(); } catch (e) { say(e instanceof RangeError); } };`,
    );
    expect(said).toEqual(['undefined,undefined,undefined', 'true']);
  });

  it.each([
    ['a syntax error', 'export default (', 'SyntaxError'],
    ['an import', 'import x from "y"; export default () => x;', 'could not load module'],
    ['a module that throws', 'throw new Error("no"); export default 1;', 'Error: no'],
    [
      'a module that waits for ever',
      'await new Promise(() => {}); export default 1;',
      'never finishes',
    ],
  ])('refuses %s when loading', (_what, source, message) => {
    expect(() => load(source)).toThrow(message);
  });

  it('refuses source over 256 kB and another engine blob', () => {
    expect(() => load(`//${'x'.repeat(256 * 1024)}`)).toThrow('bytes where');
    expect(() => loadJsEngine(blob.subarray(1))).toThrow('is pinned');
  });
});
