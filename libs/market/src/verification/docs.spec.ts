import { readFileSync } from 'node:fs';
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
    const { stakeNeeded } = judgeStake({ checkChance: 0.05, atStake: 0n, gain: 100_000_000n });
    expect(stakeNeeded).toBe(2_000_000_001n);
  });
});
