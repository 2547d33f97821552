/** One request to a gateway, and what is wrong with its answer. */
import { type CaseResult, runCase } from './suite.ts';

const MAX_AGE = 29_030_400;

export function headerFaults(response: Response, wanted: Readonly<Record<string, RegExp>>) {
  const faults = Object.entries(wanted).flatMap(([name, pattern]) => {
    const value = response.headers.get(name) ?? '';
    return pattern.test(value) ? [] : [`${name} is "${value}", not ${pattern}`];
  });
  return faults.length === 0 ? undefined : faults.join('; ');
}

export const escaped = (text: string): string =>
  text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);

export function cacheFault(response: Response): string | undefined {
  const value = response.headers.get('cache-control') ?? '';
  const age = Number(/max-age=(\d+)/.exec(value)?.[1] ?? 0);
  return /\bpublic\b/.test(value) && /\bimmutable\b/.test(value) && age >= MAX_AGE
    ? undefined
    : `cache-control is "${value}"`;
}

export class Asker {
  readonly results: CaseResult[] = [];
  readonly #gateway: string;

  constructor(gateway: string) {
    this.#gateway = gateway;
  }

  /** One request and what is wrong with its answer. */
  async ask(
    name: string,
    path: string,
    status: number,
    check: (response: Response) => Promise<string | undefined> | string | undefined = () =>
      undefined,
    init: RequestInit = {},
  ): Promise<void> {
    this.results.push(
      await runCase(name, async () => {
        const response = await fetch(`${this.#gateway}${path}`, init);
        try {
          if (response.status !== status) return `${status} expected, ${response.status} answered`;
          return await check(response);
        } finally {
          if (!response.bodyUsed) await response.body?.cancel();
        }
      }),
    );
  }

  async notModified(label: string, path: string): Promise<void> {
    const first = await fetch(`${this.#gateway}${path}`);
    await first.body?.cancel();
    const headers = { 'if-none-match': first.headers.get('etag') ?? '' };
    await this.ask(`${label} If-None-Match`, path, 304, undefined, { headers });
  }
}
