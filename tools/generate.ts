/**
 * Rewrites what is generated: docs/errors.md, the picture in ARCHITECTURE.md, the settings tables, the
 * SDK's API types, the schemas of description files and job files. docs/openapi.json comes from the market: node dist/apps/market/src/openapi.main.js
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describeFileSchema } from '#libs/data';
import { jobFileSchema } from '#libs/sdk';
import { errorsPage } from './errors-page.ts';
import { marketTypes } from './market-types.ts';
import { importGraph, withImportGraph } from './import-graph.ts';
import { withSettingsTables } from './settings-tables.ts';

const root = join(import.meta.dirname, '..');
const architecture = join(root, 'ARCHITECTURE.md');

writeFileSync(join(root, 'docs/errors.md'), await errorsPage());
writeFileSync(architecture, withImportGraph(readFileSync(architecture, 'utf8'), importGraph()));
writeFileSync(join(root, 'libs/sdk/src/generated/market-api.ts'), await marketTypes());

const operations = join(root, 'docs/operations.md');
writeFileSync(operations, await withSettingsTables(readFileSync(operations, 'utf8')));

for (const [name, schema] of Object.entries({
  describe: describeFileSchema(),
  job: jobFileSchema(),
}))
  writeFileSync(join(root, `schemas/${name}.schema.json`), `${JSON.stringify(schema, null, 2)}\n`);
