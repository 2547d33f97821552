import { readFileSync } from 'node:fs';
import { createSeededRandomness } from '#libs/kernel';
import { type CellChoice, LEVELS, TIER_WEIGHTS, chooseOffer, createCell } from './cells.ts';
import { bind, createCluster } from './cluster.ts';
import { SeelePolicy } from './policies/seele.ts';
import { ANY_MODEL, createShapeTable } from './shape.ts';

const page = readFileSync(new URL('../../../docs/scheduler.md', import.meta.url), 'utf8');
const examplesOf = (text: string): string[] =>
  [...text.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, shown = '']) => shown);

describe('docs/scheduler.md', () => {
  it('shows an example that places its task', () => {
    const [example = ''] = examplesOf(page);
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

  it('shows a choice of cells that comes out as it says', () => {
    const [, example = ''] = examplesOf(page);
    const all = { createCell, chooseOffer, LEVELS, TIER_WEIGHTS };
    // oxlint-disable-next-line typescript/no-implied-eval -- the page's own text is what is tested
    const run = new Function(...Object.keys(all), `${example}; return { cheap, fast };`);
    const { cheap, fast } = run(...Object.values(all)) as Record<'cheap' | 'fast', CellChoice>;
    expect(cheap).toMatchObject({ offer: { id: 'slow' }, visited: 1 });
    expect(fast).toMatchObject({ offer: { id: 'quick' } });
  });
});
