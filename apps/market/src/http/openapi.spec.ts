import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { marketOpenApiText } from './openapi-text.ts';

type Json = Record<string, never>;

describe('the OpenAPI description', () => {
  let text: string;
  beforeAll(async () => {
    text = await marketOpenApiText();
  });

  it('docs/openapi.json is current (otherwise: node dist/apps/market/src/openapi.main.js)', () => {
    const path = join(import.meta.dirname, '../../../../docs/openapi.json');
    expect(readFileSync(path, 'utf8')).toBe(text);
  });

  it('names every route with an operation id, and every reference leads somewhere', () => {
    const document = JSON.parse(text) as {
      openapi: string;
      paths: Record<string, Record<string, { operationId?: string; responses: Json }>>;
      components: { schemas: Json };
    };
    expect(document.openapi).toBe('3.1.0');
    const operations = Object.values(document.paths).flatMap((path) => Object.values(path));
    const ids = operations.map(({ operationId }) => String(operationId));
    expect(ids.toSorted((a, b) => a.localeCompare(b))).toEqual([
      'addWebhook',
      'cancelOrder',
      'catalogueStatus',
      'diffVersions',
      'explainOrder',
      'followOrder',
      'getOrder',
      'getReceipt',
      'getResult',
      'harvest',
      'listOrders',
      'listProviders',
      'listVersions',
      'listWebhooks',
      'quote',
      'readDirectory',
      'removeWebhook',
      'replayWebhook',
      'resumeWebhook',
      'searchDatasets',
      'showDataset',
      'sparql',
      'status',
      'submitGraph',
      'submitOrder',
      'testWebhook',
    ]);
    const names = Object.keys(document.components.schemas);
    for (const [, name] of text.matchAll(/"#\/components\/schemas\/(\w+)"/g))
      expect(names).toContain(name);
    expect(text).not.toContain('$defs');
    for (const { responses } of operations) expect(Object.keys(responses)).toContain('429');
  });
});
