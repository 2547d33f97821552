import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { homeAt } from '../frame/home.ts';
import { readProfiles, writeProfiles } from './deployment.ts';
import { DEVELOPMENT_PROVIDERS } from './processes.ts';

test('providers are read back as they were written, with their prices and bonds', () => {
  const folder = mkdtempSync(join(tmpdir(), 'seele-profiles-'));
  const home = homeAt(folder);
  const added = { ...DEVELOPMENT_PROVIDERS[0], name: 'second', storagePrice: 7n, bond: 9n };
  const profiles = [...DEVELOPMENT_PROVIDERS, added as (typeof DEVELOPMENT_PROVIDERS)[number]];
  writeProfiles(home, profiles);
  expect(readProfiles(home)).toEqual(profiles);
  rmSync(folder, { recursive: true });
});
