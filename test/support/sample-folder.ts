/** A folder of its own for each test of a file, gone after it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface SampleFolder {
  /** Of the test that runs. */
  readonly path: string;
  /** Writes a file into it; the path. */
  file(name: string, content: string | Uint8Array): string;
}

export function useSampleFolder(): SampleFolder {
  let path = '';
  beforeEach(() => (path = mkdtempSync(join(tmpdir(), 'seele-data-'))));
  afterEach(() => rmSync(path, { recursive: true, force: true }));
  return {
    get path() {
      return path;
    },
    file(name, content) {
      const at = join(path, name);
      writeFileSync(at, content);
      return at;
    },
  };
}
