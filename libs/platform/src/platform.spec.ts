import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { createSigner, generateKeyPair, signRequest } from '#libs/crypto';
import {
  armFailpoints,
  createLogger,
  createRateLimiter,
  createRequestVerifier,
  createSystemClock,
  createSystemRandomness,
  declareFailpoints,
  declaredFailpoints,
  ensureHomeKey,
  failpoint,
  watchFailpointsFile,
  homePassphrase,
  keystorePath,
  readPrivateFile,
  writePrivateFile,
} from './index.ts';

const repository = join(import.meta.dirname, '../../..');

describe('failpoints', () => {
  afterEach(() => armFailpoints(undefined));

  it('do nothing until armed, then strike at the named hit', () => {
    failpoint('here');
    armFailpoints('here=error@2, there=error');
    failpoint('here');
    expect(() => failpoint('here')).toThrow('failpoint here');
    failpoint('here');
    expect(() => failpoint('there')).toThrow('failpoint there');
  });

  it('stall the process for so long', () => {
    armFailpoints('here=sleep:50');
    const beganMs = performance.now();
    failpoint('here');
    expect(performance.now() - beganMs).toBeGreaterThanOrEqual(49);
  });

  it('kill the process without a trace', () => {
    const code = `const { failpoint } = await import('#libs/platform'); failpoint('a.b'); console.log('once'); failpoint('a.b'); console.log('alive');`;
    const { signal, stdout } = spawnSync(
      process.execPath,
      ['--no-warnings', '--input-type=module', '-e', code],
      { cwd: repository, env: { ...process.env, SEELE_FAILPOINTS: 'a.b=kill@2' } },
    );
    expect([signal, stdout.toString()]).toEqual(['SIGKILL', 'once\n']);
  });

  it('are known by name, and a misspelt text is refused', () => {
    declareFailpoints('b.x', 'a.x');
    expect(declaredFailpoints()).toEqual(expect.arrayContaining(['a.x', 'b.x']));
    expect(() => armFailpoints('here=explode')).toThrow(/not name=kill\|stop\|error\|sleep/);
  });

  it('armed by a file strike once, whoever comes first, and leave their pid', () => {
    const folder = mkdtempSync(join(tmpdir(), 'seele-failpoints-'));
    const path = join(folder, 'armed');
    try {
      watchFailpointsFile(path);
      failpoint('here');
      writeFileSync(path, 'here=error@2');
      failpoint('elsewhere');
      failpoint('here');
      expect(() => failpoint('here')).toThrow('failpoint here');
      failpoint('here');
      expect(readdirSync(folder)).toEqual(['armed.struck']);
      expect(readFileSync(`${path}.struck`, 'utf8')).toBe(String(process.pid));
    } finally {
      watchFailpointsFile(undefined);
      rmSync(folder, { recursive: true });
    }
  });
});

describe('files of secrets', () => {
  let home: string;
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'seele-files-'));
  });
  afterEach(() => rmSync(home, { recursive: true }));

  it('are written 0600 in a 0700 directory, replaced whole, and leave nothing behind', async () => {
    const path = join(home, 'keys', 'a');
    await writePrivateFile(path, 'one');
    await writePrivateFile(path, 'two');
    expect(readFileSync(path, 'utf8')).toBe('two');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(join(home, 'keys')).mode & 0o777).toBe(0o700);
    expect(readdirSync(join(home, 'keys'))).toEqual(['a']);
  });

  it('are refused when others can read them; a missing one is no error', async () => {
    const path = join(home, 'a');
    expect(await readPrivateFile(path)).toBeUndefined();
    writeFileSync(path, 'x', { mode: 0o640 });
    chmodSync(path, 0o640);
    await expect(readPrivateFile(path)).rejects.toMatchObject({ code: 'PLATFORM_SECRET_LOOSE' });
  });

  it('say what is wrong with a place that cannot be written', async () => {
    mkdirSync(join(home, 'taken'));
    await expect(writePrivateFile(join(home, 'taken'), 'x')).rejects.toThrow();
    expect(readdirSync(home)).toEqual(['taken']);
  });

  it('hold keys that open with the home’s passphrase, the same at every start', async () => {
    const passphrase = await homePassphrase(home);
    expect(await homePassphrase(home)).toBe(passphrase);
    expect(await homePassphrase(home, 'given')).toBe('given');
    const made = await ensureHomeKey(home, 'market', passphrase);
    expect((await ensureHomeKey(home, 'market', passphrase)).publicKey).toBe(made.publicKey);
    await expect(ensureHomeKey(home, 'market', 'wrong')).rejects.toMatchObject({
      code: 'KEYSTORE_PASSPHRASE_WRONG',
    });
    expect(() => keystorePath(home, '../x')).toThrow(/is not a key name/);
  });
});

describe('rate limits', () => {
  it('never let more through than burst + rate × time, and forget the oldest keys', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 200 }), { maxLength: 200 }), (gaps) => {
        const limiter = createRateLimiter({ perSecond: 10, burst: 5 });
        let nowMs = 0;
        let passed = 0;
        for (const gap of gaps) {
          nowMs += gap;
          if (limiter.take('k', nowMs) === 0) passed += 1;
        }
        expect(passed).toBeLessThanOrEqual(5 + (nowMs * 10) / 1000 + 1e-6);
      }),
      { numRuns: 50 },
    );
    const limiter = createRateLimiter({ perSecond: 1, burst: 1, keysMax: 10 });
    for (let i = 0; i < 100; i++) limiter.take(`k${i}`, 0);
    expect(limiter.size).toBe(10);
  });

  it('say how long to wait, and that is enough', () => {
    const limiter = createRateLimiter({ perSecond: 2, burst: 1 });
    expect(limiter.take('k', 0)).toBe(0);
    const waitMs = limiter.take('k', 0);
    expect(waitMs).toBe(500);
    expect(limiter.take('k', waitMs)).toBe(0);
  });
});

describe('signed requests (RFC 9421)', () => {
  const clock = createSystemClock();
  const signer = createSigner(generateKeyPair(createSystemRandomness()).seed);
  const signed = (url: string) => {
    const nowS = Math.floor(clock.nowUs() / 1e6);
    const headers = signRequest({ method: 'GET', url }, signer, { nowS, nonce: 'n'.repeat(16) });
    return {
      method: 'GET',
      target: new URL(url).pathname,
      headers: { ...headers, host: new URL(url).host },
    };
  };

  it('count once, for the address they were signed for', () => {
    const verify = createRequestVerifier({ clock });
    const request = signed('http://127.0.0.1:7400/v1/x');
    expect(verify(request)).toMatchObject({ account: signer.account });
    expect(() => verify(request)).toThrow(/was used/);
    const elsewhere = { ...signed('http://127.0.0.1:7400/v1/x'), target: '/v1/y' };
    expect(() => createRequestVerifier({ clock })(elsewhere)).toThrow();
  });

  it('behind a proxy count for its public address only', () => {
    const behind = { clock, publicUrl: 'https://market.example' };
    expect(createRequestVerifier(behind)(signed('https://market.example/v1/x')).account).toBe(
      signer.account,
    );
    expect(() => createRequestVerifier(behind)(signed('http://other.example/v1/x'))).toThrow(
      /is not/,
    );
  });
});

it('logs JSON lines without secrets', () => {
  const lines: string[] = [];
  const logger = createLogger({ name: 'x', stream: { write: (line) => void lines.push(line) } });
  logger.info({ passphrase: 'hunter2', deep: { token: 'hunter2' }, n: 1 }, 'hello');
  expect(lines.join('')).not.toContain('hunter2');
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({
    level: 'info',
    name: 'x',
    msg: 'hello',
    n: 1,
  });
});
