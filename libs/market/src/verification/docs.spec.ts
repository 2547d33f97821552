import { readFileSync } from 'node:fs';
import { drawOf, sampleOf } from './audit.ts';
import { majorityWrong } from './collusion.ts';
import { regimeFor, wrongResultRisk } from './regime.ts';
import { judgeStake } from './stake.ts';

// From here to the end mark, docs/verification.md shows these very lines.
function riskOfASmallDomain() {
  const regime = regimeFor({ kind: 'js', tier: 'C', level: 'assured', replicas: 3 });
  return [
    wrongResultRisk(regime, { operators: 5, colluders: 1 }), // 0: one cannot be two of three
    wrongResultRisk(regime, { operators: 5, colluders: 2 }), // 0.3
    wrongResultRisk(regime, { share: 0.2 }), // 0.104: as many as you like, a fifth of them
  ];
}
// End of the example.

// From here to the second end mark as well.
function drawAgain(
  blockHash: string,
  deliveryHash: string,
  checkPerMillion: number,
  units: number[],
) {
  const seed = { block: blockHash, delivery: deliveryHash };
  const isDrawn = drawOf('audit', seed) * 1_000_000 < checkPerMillion;
  return { isDrawn, tasks: isDrawn ? sampleOf(seed, units) : [] };
}
// End of the second example.

const pageOf = (name: string): string =>
  readFileSync(new URL(`../../../../docs/${name}`, import.meta.url), 'utf8');

describe('docs/verification.md', () => {
  test('shows an example that runs, and the table and stake that the functions give', () => {
    const page = pageOf('verification.md');
    const source = readFileSync(new URL(import.meta.url), 'utf8');
    const [, shown] = /these very lines\.\n([^]*?)\/\/ End of the example/.exec(source) ?? [];
    expect(shown).toBeDefined();
    expect(page).toContain(shown);
    expect(riskOfASmallDomain().map((risk) => Number(risk.toFixed(6)))).toEqual([0, 0.3, 0.104]);
    for (const replicas of [3, 5, 9]) {
      const cells = [0.1, 0.2].map(
        (share) => `${Number((100 * majorityWrong(replicas, { share })).toFixed(2))} %`,
      );
      expect(page).toContain(`| ${replicas} | ${cells.join(' | ')} |`);
      expect(pageOf('limits.md')).toContain(`| ${replicas} | ${cells.join(' | ')} |`);
    }
    const [, drawn] = /mark as well\.\n([^]*?)\/\/ End of the second/.exec(source) ?? [];
    expect(page).toContain(drawn);
    const units = [5, 6, 7, 8, 9];
    expect(drawAgain('ab'.repeat(32), 'cd'.repeat(32), 1_000_000, units).tasks).toHaveLength(4);
    expect(drawAgain('ab'.repeat(32), 'cd'.repeat(32), 0, units).isDrawn).toBe(false);
    const { stakeNeeded } = judgeStake({ checkChance: 0.05, atStake: 0n, gain: 100_000_000n });
    expect(stakeNeeded).toBe(2_000_000_001n);
  });
});
