import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeDirectory } from './make-directory.ts';

describe('makeDirectory', () => {
  const root = mkdtempSync(join(tmpdir(), 'seele-mkdir-'));
  afterAll(() => rmSync(root, { recursive: true }));

  it('makes every missing level with the mode, and keeps what exists', () => {
    makeDirectory(join(root, 'a/b/c'), 0o700);
    expect(statSync(join(root, 'a/b/c')).mode & 0o777).toBe(0o700);
    expect(() => makeDirectory(join(root, 'a/b/c'), 0o711)).not.toThrow();
    expect(statSync(join(root, 'a/b/c')).mode & 0o777).toBe(0o700);
  });

  it('fails at once where nothing can be made', () => {
    expect(() => makeDirectory('/proc/seele/keys', 0o700)).toThrow('ENOENT');
    writeFileSync(join(root, 'file'), '');
    expect(() => makeDirectory(join(root, 'file/below'), 0o700)).toThrow();
  });
});
