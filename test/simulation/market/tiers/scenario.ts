/** Who is there: a thousand providers of a few hundred operators, and what each of them is like. */
import type { SeededRandomness } from '#libs/kernel';
import { type OfferPrices, NO_TRUST, type Trust } from '#libs/market';
import { type DomainName, LEVELS, type Level } from '#libs/scheduler';

export const PROVIDERS = 1000;
/** Operators own two and a half machines each, on average. */
const OPERATORS = 400;
const MINUTE_MS = 60_000;

/** How a provider answers. Independent liars give results of their own, colluders a common one. */
export type Role =
  | 'honest'
  /** Lies in every task. */
  | 'always'
  | 'half'
  | 'seldom'
  /** Honest until it is trusted, then lies in every task. */
  | 'turncoat'
  /** Lies in every task, the same lie as its fellows. */
  | 'colluder'
  /** Lies only when a fellow has the same task, so that two agree. */
  | 'cautious';

/** Which liars a world has. A fifth of the operators in each. */
export type Liars = 'independent' | 'blunt' | 'cautious';
const LIAR_SHARE = 0.2;
const INDEPENDENT: readonly Role[] = ['always', 'half', 'seldom', 'turncoat'];

export interface SimProvider {
  readonly id: string;
  readonly index: number;
  readonly operator: string;
  readonly domain: DomainName;
  readonly level: Level['name'];
  readonly cores: number;
  readonly memoryMib: number;
  readonly prices: OfferPrices;
  /** Against the machine that job sizes are stated for. */
  readonly speed: number;
  readonly role: Role;
  /** What a proven lie costs it; smallest units. */
  readonly stake: bigint;
  /** Comes and goes: how long it stays, on average; absent for those that stay. */
  readonly staysMs?: number;
  isOnline: boolean;
  trust: Trust;
}

const SHARES: Readonly<Record<DomainName, number>> = {
  public: 0.7,
  vetted: 0.14,
  confidential: 0.1,
  private: 0.06,
};
const DOMAIN_PRICE: Readonly<Record<DomainName, number>> = {
  public: 1,
  vetted: 1.2,
  confidential: 1.8,
  private: 1.5,
};
const LEVEL_SHARES: Readonly<Record<Level['name'], number>> = {
  eco: 0.35,
  standard: 0.35,
  fast: 0.15,
  assured: 0.15,
};
/** Machines of the fast level are faster, those of eco older. */
const SPEED: Readonly<Record<Level['name'], number>> = {
  eco: 0.9,
  standard: 1,
  fast: 1.7,
  assured: 1.1,
};
const CORES = [8, 16, 32, 64] as const;
const MIB_PER_CORE = 4096;
const CORE_SECOND = 1_000_000;
const GIB_SECOND = 100_000;
const STAKE = 10n ** 12n;
const FLAPPING_SHARE = 0.1;

function byShare<K extends string>(shares: Readonly<Record<K, number>>, at: number): K {
  let sum = 0;
  const names = Object.keys(shares) as K[];
  for (const name of names) {
    sum += shares[name];
    if (at < sum) return name;
  }
  return names.at(-1) as K;
}

/** The roles of the operators: all machines of one lie alike. */
function rolesOf(random: SeededRandomness, liars: Liars): Map<string, Role> {
  const operators = Array.from({ length: OPERATORS }, (_, i) => `operator-${i}`);
  const roles = new Map<string, Role>();
  for (let i = 0; i < OPERATORS * LIAR_SHARE; i++) {
    const [one] = operators.splice(random.below(operators.length), 1);
    const independent = INDEPENDENT[i % INDEPENDENT.length] as Role;
    const colluding = liars === 'blunt' ? 'colluder' : 'cautious';
    roles.set(one as string, liars === 'independent' ? independent : colluding);
  }
  return roles;
}

/** The providers of a seed. Machines do not depend on who lies. */
export function createProviders(random: SeededRandomness, liars: Liars): SimProvider[] {
  const roles = rolesOf(random.fork('roles'), liars);
  const draws = random.fork('machines');
  return Array.from({ length: PROVIDERS }, (_, index) => {
    const domain = byShare(SHARES, draws.float());
    const level = byShare(LEVEL_SHARES, draws.float());
    const operator = `operator-${draws.below(OPERATORS)}`;
    const cores = draws.pick(CORES);
    const asked = LEVELS[level].priceIndex * DOMAIN_PRICE[domain] * (0.85 + 0.3 * draws.float());
    const doesFlap = draws.chance(FLAPPING_SHARE);
    return {
      id: `provider-${String(index).padStart(4, '0')}`,
      ...{ index, operator, domain, level, cores },
      memoryMib: cores * MIB_PER_CORE,
      prices: {
        pricePerCoreSecond: BigInt(Math.round(CORE_SECOND * asked)),
        pricePerGibSecond: BigInt(Math.round(GIB_SECOND * asked)),
      },
      speed: SPEED[level] * (0.9 + 0.2 * draws.float()),
      role: roles.get(operator) ?? 'honest',
      stake: STAKE,
      ...(doesFlap && { staysMs: (5 + draws.below(15)) * MINUTE_MS }),
      isOnline: true,
      trust: NO_TRUST,
    };
  });
}
