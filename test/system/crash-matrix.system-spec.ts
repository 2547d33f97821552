import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import {
  CONSENSUS_PLACES,
  COPY_PLACES,
  DATA_PLACES,
  KEEPER_PLACES,
  PLACES,
  REPAIR_PLACES,
  WEBHOOK_PLACES,
} from './failpoint-list.ts';

describe('killing processes at named failpoints while jobs run', () => {
  it('knows every failpoint that the processes have', () => {
    const declared = ['apps', 'libs']
      .flatMap((folder) =>
        readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((file) =>
          join(folder, file),
        ),
      )
      .filter((file) => file.endsWith('.ts') && !/(\.spec|failpoints?)\.ts$/.test(file))
      .flatMap((file) => {
        const text = readFileSync(file, 'utf8');
        const calls = text.matchAll(/declareFailpoints\(([^)]*)\)/g);
        return [...calls].flatMap(([, names = '']) => [...names.matchAll(/'([^']+)'/g)]);
      })
      .map(([, name]) => String(name));
    const known = [
      ...PLACES.map(({ name }) => name),
      ...CONSENSUS_PLACES,
      ...COPY_PLACES,
      ...DATA_PLACES,
      ...KEEPER_PLACES,
      ...REPAIR_PLACES,
      ...WEBHOOK_PLACES,
    ];
    expect(known.toSorted()).toEqual(declared.toSorted());
  });
});
