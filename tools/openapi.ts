/**
 * Writes docs/openapi.json from the market's controllers. Runs compiled (decorators), from the root:
 * `node dist/tools/openapi.js`.
 */
import { writeFileSync } from 'node:fs';
import { marketOpenApiText } from '../apps/market/src/http/openapi-text.ts';

writeFileSync('docs/openapi.json', await marketOpenApiText());
