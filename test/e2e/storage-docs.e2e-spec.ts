import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import * as storageLibrary from '#libs/storage';

import { startStorage } from './storage-process.ts';

const PAGE = join(import.meta.dirname, '..', '..', 'docs', 'storage.md');

function fenced(page: string, language: string): string {
  const found = page.split(`\n\`\`\`${language}\n`)[1]?.split('\n```')[0];
  if (found === undefined) throw new Error(`docs/storage.md has no ${language} block`);
  return found;
}

describe('docs/storage.md', () => {
  it('prints what it says it prints', async () => {
    const page = await readFile(PAGE, 'utf8');
    const storage = await startStorage({ env: { SEELE_STORAGE_SWARM: 'off' } });
    const printed: string[] = [];
    const log = (...values: unknown[]) => void printed.push(values.map(String).join(' '));
    const env = { STORAGE_RPC_URL: storage.url, STORAGE_RPC_TOKEN: storage.token };
    const code = fenced(page, 'js').replace(
      /^import (.*) from '#libs\/storage';/m,
      'const $1 = library;',
    );
    const AsyncFunction = (async () => {}).constructor as FunctionConstructor;
    try {
      await AsyncFunction('library', 'process', 'console', code)(storageLibrary, { env }, { log });
    } finally {
      await storage.discard();
    }
    expect(printed.join('\n')).toBe(fenced(page, 'text'));
  });

  it('names every setting', async () => {
    const { storageSettings } = await import('../../apps/storage/src/settings.ts');
    const page = await readFile(PAGE, 'utf8');
    for (const { env } of Object.values(storageSettings.declarations))
      if (env.startsWith('SEELE_STORAGE_')) expect(page).toContain(env);
  });

  it('names every command', async () => {
    const { commands } = await import('../../apps/storage/src/rpc/commands/index.ts');
    const page = (await readFile(PAGE, 'utf8')).replace(
      /(\w+)\/\{([\w,]+)\}/g,
      (_, area: string, names: string) =>
        names
          .split(',')
          .map((name) => `${area}/${name}`)
          .join(' '),
    );
    for (const name of commands.keys()) expect(page.split(/[\s`]+/)).toContain(name);
  });
});
