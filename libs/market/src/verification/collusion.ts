/**
 * How likely a wrong result is accepted when some operators work together, exactly: replicas go to
 * distinct operators, drawn without putting back (hypergeometric), or from a crowd so large that
 * drawing changes nothing (binomial).
 *
 * Replicas are asked for one after the other until `quorum` of them agree or `most` have answered.
 * Colluders give one common wrong result, honest operators the right one.
 */
import { marketError } from '../errors.ts';

export interface QuorumTerms {
  /** So many equal results decide. */
  readonly quorum: number;
  /** At most so many replicas are asked. */
  readonly most: number;
}

/** Of whom replicas are drawn: counts draw without putting back, a share draws from an endless crowd. */
export type Crowd =
  | { readonly operators: number; readonly colluders: number }
  | { readonly share: number };

export interface QuorumOdds {
  /** The wrong result reaches the quorum. */
  readonly wrong: number;
  /** The right one does. */
  readonly right: number;
  /** Neither does within `most`; nothing is accepted. */
  readonly undecided: number;
  /** Replicas asked, on average. */
  readonly replicas: number;
}

const REPLICAS_MAX = 64;

function checkTerms({ quorum, most }: QuorumTerms): void {
  const isRight = Number.isInteger(quorum) && Number.isInteger(most);
  if (!isRight || quorum < 1 || most < quorum || most > REPLICAS_MAX)
    throw marketError(
      'MARKET_VERIFICATION_TERMS',
      `quorum ${quorum} of at most ${most} replicas; 1 ≤ quorum ≤ replicas ≤ ${REPLICAS_MAX}`,
    );
}

/** Chance that the next replica is a colluder's, after so many wrong and right answers. */
function nextWrong(crowd: Crowd): (wrong: number, right: number) => number {
  if ('share' in crowd) {
    const { share } = crowd;
    if (!(share >= 0 && share <= 1))
      throw marketError('MARKET_VERIFICATION_TERMS', `a share of ${share} colluders`);
    return () => share;
  }
  const { operators, colluders } = crowd;
  const areCounts = Number.isInteger(operators) && Number.isInteger(colluders);
  if (!areCounts || colluders < 0 || colluders > operators)
    throw marketError('MARKET_VERIFICATION_TERMS', `${colluders} of ${operators} operators`);
  return (wrong, right) => Math.max(0, colluders - wrong) / (operators - wrong - right);
}

/** With two sides, one of them has its quorum after so many answers. */
export const answersNeeded = ({ quorum, most }: QuorumTerms): number =>
  Math.min(most, 2 * quorum - 1);

/**
 * Odds of one decision.
 *
 * @throws MARKET_VERIFICATION_TERMS for terms that make no sense, or fewer operators than replicas
 *
 * @example quorumOdds({ quorum: 2, most: 3 }, { share: 0.2 }).wrong // 0.104
 */
export function quorumOdds(terms: QuorumTerms, crowd: Crowd): QuorumOdds {
  checkTerms(terms);
  const { quorum, most } = terms;
  const needed = answersNeeded(terms);
  if ('operators' in crowd && crowd.operators < needed)
    throw marketError(
      'MARKET_VERIFICATION_TERMS',
      `${crowd.operators} operators for up to ${needed} replicas on distinct ones`,
    );
  const chanceOf = nextWrong(crowd);
  const odds = { wrong: 0, right: 0, undecided: 0, replicas: 0 };
  // Ways to stand at (wrong, right), each weighed by its chance; rows by the number of answers.
  let standing = new Map<number, number>([[0, 1]]);
  for (let asked = 0; standing.size > 0; asked++) {
    const next = new Map<number, number>();
    const reach = (wrong: number, chance: number): void => {
      if (chance === 0) return;
      const right = asked + 1 - wrong;
      const end =
        (wrong >= quorum && 'wrong') ||
        (right >= quorum && 'right') ||
        (asked + 1 === most && 'undecided');
      if (!end) next.set(wrong, (next.get(wrong) ?? 0) + chance);
      else {
        odds[end] += chance;
        odds.replicas += chance * (asked + 1);
      }
    };
    for (const [wrong, chance] of standing) {
      const lie = chanceOf(wrong, asked - wrong);
      reach(wrong + 1, chance * lie);
      reach(wrong, chance * (1 - lie));
    }
    standing = next;
  }
  return odds;
}

/** A majority of `replicas`, all of them asked: the table of docs/verification.md. */
export const majorityWrong = (replicas: number, crowd: Crowd): number =>
  quorumOdds({ quorum: (replicas >> 1) + 1, most: replicas }, crowd).wrong;
