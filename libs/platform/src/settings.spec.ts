import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  defineSettings,
  durationMs,
  flag,
  httpUrl,
  loadSettings,
  plainText,
  portNumber,
  settingsTable,
} from './index.ts';

const definition = defineSettings('demo', {
  port: { env: 'SEELE_DEMO_PORT', schema: portNumber, default: 7000, help: 'Port.' },
  url: { env: 'SEELE_DEMO_URL', schema: httpUrl, help: 'Where.' },
  waitMs: { env: 'SEELE_DEMO_WAIT_MS', schema: durationMs, default: 5, help: 'Wait.' },
  loud: { env: 'SEELE_DEMO_LOUD', schema: flag, default: false, help: 'Noise.' },
  token: {
    env: 'SEELE_DEMO_TOKEN',
    schema: plainText,
    optional: true,
    secret: true,
    help: 'Secret.',
  },
});

describe('settings', () => {
  let home: string;
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'seele-settings-'));
  });
  afterEach(() => rmSync(home, { recursive: true }));
  const load = (env: Record<string, string>) =>
    loadSettings(definition, { env: { SEELE_HOME: home, ...env } });

  it('come from the environment, then settings.json, then the default', () => {
    writeFileSync(
      join(home, 'settings.json'),
      '{"SEELE_DEMO_URL":"http://file/","SEELE_DEMO_PORT":1,"SEELE_DEMO_LOUD":true}',
    );
    expect(load({ SEELE_DEMO_PORT: '2' })).toEqual({
      home,
      logLevel: 'info',
      port: 2,
      url: 'http://file',
      waitMs: 5,
      loud: true,
      token: undefined,
    });
  });

  it('names every mistake at once, and never a secret', () => {
    writeFileSync(join(home, 'settings.json'), '{');
    const env = {
      SEELE_DEMO_PORT: '99999',
      SEELE_DEMO_WAIT_MS: 'soon',
      SEELE_DEMO_PROT: '1',
      SEELE_DEMO_TOKEN: 'hunter2'.repeat(1000),
    };
    let message = '';
    try {
      load(env);
    } catch (error) {
      message = (error as Error).message;
      expect(error).toMatchObject({ code: 'PLATFORM_SETTINGS_INVALID' });
    }
    for (const words of [
      /SEELE_DEMO_PORT: "99999"/,
      /SEELE_DEMO_WAIT_MS: "soon"/,
      /SEELE_DEMO_PROT: no such setting/,
      /SEELE_DEMO_URL: is required/,
      /SEELE_DEMO_TOKEN: the given secret/,
      /settings\.json/,
    ])
      expect(message).toMatch(words);
    expect(message).not.toContain('hunter2');
  });

  it('read secrets from the file that <NAME>_FILE names', () => {
    const path = join(home, 'token');
    writeFileSync(path, 'sesame\n');
    expect(load({ SEELE_DEMO_URL: 'http://x', SEELE_DEMO_TOKEN_FILE: path }).token).toBe('sesame');
    expect(() => load({ SEELE_DEMO_URL: 'http://x', SEELE_DEMO_TOKEN_FILE: '/nowhere' })).toThrow(
      /SEELE_DEMO_TOKEN_FILE: \/nowhere cannot be read/,
    );
  });

  it('document themselves', () => {
    expect(settingsTable(definition)).toContain('| `SEELE_DEMO_PORT` | `7000` | Port. |');
    expect(settingsTable(definition)).toContain('`SEELE_DEMO_TOKEN` or `SEELE_DEMO_TOKEN_FILE`');
  });
});
