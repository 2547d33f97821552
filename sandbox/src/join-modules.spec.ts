import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runInNewContext } from 'node:vm';
import { joinModules } from './join-modules.ts';

const folder = mkdtempSync(join(tmpdir(), 'seele-join-'));
afterAll(() => rmSync(folder, { recursive: true }));

function write(files: Record<string, string>): string {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return join(folder, Object.keys(files)[0] as string);
}

function said(files: Record<string, string>): unknown {
  const sandbox: Record<string, unknown> = { require: createRequire(import.meta.url) };
  runInNewContext(joinModules(write(files)), sandbox);
  return sandbox['said'];
}

describe('joining modules into one script', () => {
  it('keeps names of different modules apart and runs each module once', () => {
    const entry = `import { value as a } from './a.js';\nimport { twice } from "./b.js";\nconst text = 'c';\nglobalThis.said = [a, twice(), text];\n`;
    const a = `const text = 'a';\nexport const value = text;\n`;
    const b = `/** Of a. */ import { value } from './a.js';\n/** Text. */ export function twice() { return value + value; }\nconst text = 'b';\n`;
    expect(said({ 'entry.js': entry, 'a.js': a, 'b.js': b })).toEqual(['a', 'aa', 'c']);
  });

  it('takes types out of TypeScript and requires what Node has', () => {
    const entry = `import { basename } from 'node:path';\nimport { type T, name } from './t.ts';\nimport type { U } from './none.ts';\nconst text: T & U = name;\n(globalThis as any).said = basename(text);\n`;
    const t = `export type T = string;\nexport const name: T = '/x/y';\n`;
    expect(said({ 'entry.ts': entry, 't.ts': t })).toBe('y');
  });

  it('leaves module syntax inside texts alone', () => {
    const entry = `const source = "import x from 'y'; export default x;";\nglobalThis.said = source.length;\n`;
    expect(said({ 'entry.js': entry })).toBe(36);
  });

  it.each([
    ['a package', `import { x } from 'zod';\n`, 'it imports zod'],
    ['a default export', `export default 1;\n`, 'export default 1'],
    ['a side effect', `import './a.js';\n`, "import './a.js'"],
    ['itself', `import { x } from './entry.js';\nexport const x = 1;\n`, 'imports itself'],
    ['nonsense', `const = 1;\n`, 'SyntaxError'],
  ])('refuses %s', (_what, entry, because) => {
    const path = write({ 'entry.js': entry, 'a.js': '' });
    expect(() => joinModules(path)).toThrow(
      expect.objectContaining({
        code: 'SANDBOX_START',
        message: expect.stringContaining(because) as string,
      }),
    );
  });
});
