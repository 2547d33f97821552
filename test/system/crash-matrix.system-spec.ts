import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { CONSENSUS_PLACES, COPY_PLACES, PLACES, WEBHOOK_PLACES } from './failpoint-list.ts';

describe('killing processes at named failpoints while jobs run', () => {
  it('knows every failpoint that the processes have', () => {
    const files = readdirSync('apps', { recursive: true, encoding: 'utf8' });
    const declared = files
      .filter((file) => file.endsWith('.ts') && !file.endsWith('.spec.ts'))
      .flatMap((file) => {
        const text = readFileSync(join('apps', file), 'utf8');
        const calls = text.matchAll(/declareFailpoints\(([^)]*)\)/g);
        return [...calls].flatMap(([, names = '']) => [...names.matchAll(/'([^']+)'/g)]);
      })
      .map(([, name]) => String(name));
    const known = [
      ...PLACES.map(({ name }) => name),
      ...CONSENSUS_PLACES,
      ...COPY_PLACES,
      ...WEBHOOK_PLACES,
    ];
    expect(known.toSorted()).toEqual(declared.toSorted());
  });
});
