/** Writes docs/openapi.json; run from the root: `node dist/apps/market/src/openapi.main.js`. */
import { writeFileSync } from 'node:fs';
import { marketOpenApiText } from './http/openapi-text.ts';

writeFileSync('docs/openapi.json', await marketOpenApiText());
