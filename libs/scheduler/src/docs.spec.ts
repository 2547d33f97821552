import { readFileSync } from 'node:fs';
import { createSeededRandomness } from '#libs/kernel';
import { bind, createCluster } from './cluster.ts';
import { SeelePolicy } from './policies/seele.ts';
import { ANY_MODEL, createShapeTable } from './shape.ts';

describe('docs/scheduler.md', () => {
  it('shows an example that places its task', () => {
    const page = readFileSync(new URL('../../../docs/scheduler.md', import.meta.url), 'utf8');
    const example = /```ts\n([\s\S]*?)```/.exec(page)?.[1] ?? '';
    const names = { createCluster, SeelePolicy, createSeededRandomness, createShapeTable };
    const all = { ...names, ANY_MODEL, bind };
    // oxlint-disable-next-line typescript/no-implied-eval -- the page's own text is what is tested
    const run = new Function(...Object.keys(all), `${example}; return { choice, cluster };`);
    const { choice, cluster } = run(...Object.values(all)) as {
      choice: object;
      cluster: { gpuFree: Int16Array };
    };
    expect(choice).toEqual({ node: 0, gpuMask: 1 });
    expect([...cluster.gpuFree.slice(0, 2)]).toEqual([500, 1000]);
  });
});
