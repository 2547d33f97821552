import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { sha256Hex } from '#libs/crypto';
import { encodeCbor, utf8 } from '#libs/kernel';
import { loadJsEngine } from '../js/js-engine.ts';
import { ContractEngine } from './contract-engine.ts';
import { MemoryContractHost } from './memory-host.ts';
import { JS_ENGINE_VERSION } from './vm-version.ts';

const jsEngine = loadJsEngine(
  readFileSync(createRequire(import.meta.url).resolve('quickjs-wasi/quickjs.wasm')),
);
const sources = Array.from({ length: 6 }, (_, i) => `export function run() { return ${i}; }`);

function run(engine: ContractEngine, source: string, asked: string[] = []) {
  const code = utf8(source);
  const call = { method: 'run', args: encodeCbor([]), fuel: 10_000_000n };
  return engine.run(
    'js',
    sha256Hex(code),
    () => {
      asked.push(source);
      return code;
    },
    { ...call, host: new MemoryContractHost() },
  );
}

describe('the engine for contracts', () => {
  it('is the pinned version; another one would fork every chain', () => {
    expect(jsEngine.version).toBe(JS_ENGINE_VERSION);
  });

  it('keeps the contracts used last within its bytes, and the same results without them', () => {
    const engine = new ContractEngine({ jsEngine: () => jsEngine, cacheBytesMax: 8_000_000 });
    const asked: string[] = [];
    const first = sources.map((source) => run(engine, source, asked));
    expect(asked).toEqual(sources);
    const { bytes, contracts } = engine.cached;
    expect(bytes).toBeLessThanOrEqual(8_000_000);
    expect(contracts).toBeLessThan(sources.length);
    run(engine, sources[5] as string, asked);
    expect(asked).toHaveLength(6);
    expect(run(engine, sources[0] as string, asked)).toEqual(first[0]);
    expect(asked).toHaveLength(7);
  });

  it('refuses an engine of another version', () => {
    const other = new ContractEngine({ jsEngine: () => ({ ...jsEngine, version: '00' }) });
    expect(() => run(other, sources[0] as string)).toThrow(JS_ENGINE_VERSION);
  });

  it('gives back what a call grew, and starts the next one clean', () => {
    const engine = new ContractEngine({ jsEngine: () => jsEngine });
    const grower = `let n = 0; export function run() { n++; const a = []; for (let i = 0; i < 40000; i++) a.push([i]); return n; }`;
    const code = utf8(grower);
    const call = { method: 'run', args: encodeCbor([]), fuel: 1_000_000_000n };
    const twice = [1, 2].map(() =>
      engine.run('js', 'x', () => code, { ...call, host: new MemoryContractHost() }),
    );
    expect(twice[0]).toEqual(twice[1]);
    expect(engine.cached.bytes).toBeLessThan(4_000_000);
  });
});
