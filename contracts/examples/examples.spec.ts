import { readFileSync } from 'node:fs';
import { createRequire, stripTypeScriptTypes } from 'node:module';
import { type Bytes, utf8 } from '#libs/kernel';
import { ContractEngine, type ContractKind, loadJsEngine } from '#libs/vm';
import asc from 'assemblyscript/asc';
import { ContractTestChain } from '../src/user/test-chain.ts';
import type { Tests } from './api/seele-contract.d.ts';
import { tests as auction } from './auction/contract.test.ts';
import { tests as tally } from './tally/contract.test.ts';
import { tests as token } from './token/contract.test.ts';
import { tests as treasury } from './treasury/contract.test.ts';

const jsEngine = loadJsEngine(
  readFileSync(createRequire(import.meta.url).resolve('quickjs-wasi/quickjs.wasm')),
);
const engine = new ContractEngine({ jsEngine: () => jsEngine });
const fail = (what: string): never => {
  throw new Error(what);
};
const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8');
const strip = (source: string) => utf8(stripTypeScriptTypes(source));

function run(kind: ContractKind, code: Bytes, test: Tests[string]): void {
  test(new ContractTestChain(engine, kind, code, fail) as never);
}

describe.each([
  ['token', token],
  ['auction', auction],
  ['treasury', treasury],
])('the example %s', (name, tests) => {
  const code = strip(read(`./${name}/contract.ts`));
  it.each(Object.entries(tests))('%s', (_what, test) => {
    expect(() => run('js', code, test)).not.toThrow();
  });
});

describe('the example tally', () => {
  it.each(Object.entries(tally))('%s', async (_what, test) => {
    let code: Bytes = new Uint8Array();
    const flags = ['--runtime', 'stub', '--use', 'abort=', '-O3', '--disable', 'simd'];
    await asc.main(['contract.ts', '-o', 'contract.wasm', ...flags], {
      readFile: (file) => (file === 'contract.ts' ? read('./tally/contract.as') : null),
      writeFile: (_file, contents) => void (code = contents as Bytes),
      listFiles: () => [],
    });
    expect(() => run('wasm', code, test)).not.toThrow();
  });
});

describe('docs/contracts-user.md', () => {
  const page = read('../../docs/contracts-user.md');
  const block = (name: string) =>
    new RegExp(`\`\`\`ts\\n// ${name}\\n([\\s\\S]*?)\`\`\``).exec(page)?.[1] ?? '';

  it('shows an example whose tests pass', async () => {
    const module = stripTypeScriptTypes(block('contract.test.ts'));
    const { tests } = (await import(`data:text/javascript,${encodeURIComponent(module)}`)) as {
      tests: Tests;
    };
    expect(Object.keys(tests)).toHaveLength(2);
    for (const test of Object.values(tests)) run('js', strip(block('contract.ts')), test);
  });
});
