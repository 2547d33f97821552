/** Where a job may run and what matters, from command line options. */
import type { PlacementTerms } from '#libs/market';
import { DOMAIN_BITS, type DomainName, LEVELS, type Level } from '#libs/scheduler';
import { cliError } from '../errors.ts';
import { wholeNumber } from './command.ts';

export interface PlacementOptions {
  readonly weights?: string;
  readonly domain?: readonly string[];
  readonly level?: readonly string[];
  readonly region?: readonly string[];
  readonly priority?: string;
}

function named<T extends string>(
  option: string,
  words: readonly T[],
  given: readonly string[] = [],
) {
  return given.map((text) => {
    const found = words.find((word) => word === text);
    if (found !== undefined) return found;
    throw cliError('CLI_USAGE', `${option} is one of ${words.join(', ')}, not "${text}"`);
  });
}

function weightsOf(text: string) {
  const parts = text.split(',').map((part) => wholeNumber('--weights', part.trim()));
  const [cost, time, risk] = parts;
  if (cost === undefined || time === undefined || risk === undefined || parts.length > 3)
    throw cliError('CLI_USAGE', `--weights takes three numbers like 8,1,1, not "${text}"`);
  return { cost, time, risk };
}

/** Undefined when nothing was said, so that nothing stands in the manifest. @throws CLI_USAGE */
export function placementOf(options: PlacementOptions): PlacementTerms | undefined {
  const domains = named('--domain', Object.keys(DOMAIN_BITS) as DomainName[], options.domain);
  const levels = named('--level', Object.keys(LEVELS) as Level['name'][], options.level);
  const { region = [], weights, priority } = options;
  const terms = {
    ...(weights !== undefined && { weights: weightsOf(weights) }),
    ...(domains.length > 0 && { domains }),
    ...(levels.length > 0 && { levels }),
    ...(region.length > 0 && { regions: [...region] }),
    ...(priority !== undefined && { priority: wholeNumber('--priority', priority) }),
  };
  return Object.keys(terms).length === 0 ? undefined : terms;
}
