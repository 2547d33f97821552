/** Rewrites the generated pages: docs/errors.md and the picture in ARCHITECTURE.md. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errorsPage } from './errors-page.ts';
import { importGraph, withImportGraph } from './import-graph.ts';

const root = join(import.meta.dirname, '..');
const architecture = join(root, 'ARCHITECTURE.md');

writeFileSync(join(root, 'docs/errors.md'), await errorsPage());
writeFileSync(architecture, withImportGraph(readFileSync(architecture, 'utf8'), importGraph()));
