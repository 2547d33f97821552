import { readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { join } from 'node:path';
import { SourceTextModule } from 'node:vm';

test('the thread of a node waits for nothing at its top level: ending such a thread can crash the process', () => {
  const source = readFileSync(join(import.meta.dirname, 'node-process.ts'), 'utf8');
  const hasTopLevelAwait = (text: string) => new SourceTextModule(text).hasTopLevelAwait();
  expect(hasTopLevelAwait('await 1;')).toBe(true);
  expect(hasTopLevelAwait(stripTypeScriptTypes(source))).toBe(false);
});
