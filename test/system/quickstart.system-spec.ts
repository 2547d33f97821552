import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { seele } from '../support/local-machine.ts';

interface QuickstartDocument {
  readonly order: { readonly status: string; readonly exit: string };
  readonly result: {
    readonly months: readonly { readonly month: string; readonly meanHigh: number }[];
  };
  readonly verified: { readonly ok: boolean; readonly checks: readonly { readonly ok: boolean }[] };
}

describe('quickstart', () => {
  it('buys, runs, pays and proves a real job, and leaves nothing behind', async () => {
    const temporary = mkdtempSync(join(tmpdir(), 'seele-quickstart-'));
    try {
      const { code, stdout, stderr } = await seele(['quickstart', '--json'], { TMPDIR: temporary });
      expect([code, stderr]).toEqual([0, '']);
      const document = JSON.parse(stdout) as QuickstartDocument;
      expect(document.order).toMatchObject({ status: 'settled', exit: 'ok' });
      expect(document.result.months).toHaveLength(12);
      // The record's own means: July is the warm month, January the cold one.
      expect(document.result.months[6]).toMatchObject({ month: 'Jul', meanHigh: 26 });
      expect(document.verified.ok).toBe(true);
      expect(document.verified.checks.length).toBeGreaterThan(5);
      expect(readdirSync(temporary)).toEqual([]);
    } finally {
      rmSync(temporary, { recursive: true, force: true });
    }
  }, 180_000);
});
