/** Types of the market's API, from docs/openapi.json, for the SDK. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import openapiTypes, { astToString } from 'openapi-typescript';

const root = join(import.meta.dirname, '..');

/** The text of libs/sdk/src/generated/market-api.ts as it should be. */
export async function marketTypes(): Promise<string> {
  const description = readFileSync(join(root, 'docs/openapi.json'), 'utf8');
  const ast = await openapiTypes(description, { alphabetize: true });
  return `// Generated from docs/openapi.json by npm run generate; do not edit.\n\n${astToString(ast)}`;
}
