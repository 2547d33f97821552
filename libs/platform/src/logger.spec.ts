import { closeSync, existsSync, openSync } from 'node:fs';
import { createLogger } from './logger.ts';

const FULL = '/dev/full';

it('a log whose disk is full loses lines and disturbs nobody', () => {
  if (!existsSync(FULL)) return console.warn('skipped: there is no /dev/full here');
  const fd = openSync(FULL, 'w');
  const logger = createLogger({ name: 'test', fd });
  const write = () => logger.error({ text: 'x'.repeat(10_000) }, 'no room for this');
  for (let i = 0; i < 200; i++) expect(write).not.toThrow();
  closeSync(fd);
});
