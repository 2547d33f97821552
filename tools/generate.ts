/**
 * Rewrites what is generated: docs/errors.md, the picture in ARCHITECTURE.md, the SDK's API types.
 * docs/openapi.json itself comes from the market: node dist/apps/market/src/openapi.main.js
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errorsPage } from './errors-page.ts';
import { marketTypes } from './market-types.ts';
import { importGraph, withImportGraph } from './import-graph.ts';

const root = join(import.meta.dirname, '..');
const architecture = join(root, 'ARCHITECTURE.md');

writeFileSync(join(root, 'docs/errors.md'), await errorsPage());
writeFileSync(architecture, withImportGraph(readFileSync(architecture, 'utf8'), importGraph()));
writeFileSync(join(root, 'libs/sdk/src/generated/market-api.ts'), await marketTypes());
