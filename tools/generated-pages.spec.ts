import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { errorsPage } from './errors-page.ts';
import { marketTypes } from './market-types.ts';
import { importGraph, withImportGraph } from './import-graph.ts';
import { withSettingsTables } from './settings-tables.ts';

const read = (path: string) => readFileSync(join(import.meta.dirname, '..', path), 'utf8');

describe('generated pages are current (otherwise: npm run generate)', () => {
  it('docs/errors.md lists exactly the codes of the catalogues', async () => {
    expect(read('docs/errors.md')).toBe(await errorsPage());
  });

  it('the SDK has the types of docs/openapi.json', async () => {
    expect(read('libs/sdk/src/generated/market-api.ts')).toBe(await marketTypes());
  });

  it('ARCHITECTURE.md shows the imports that exist', () => {
    const page = read('ARCHITECTURE.md');
    expect(page).toBe(withImportGraph(page, importGraph()));
  });

  it('docs/operations.md shows the settings as they are declared', async () => {
    const page = read('docs/operations.md');
    expect(page).toBe(await withSettingsTables(page));
  });
});
