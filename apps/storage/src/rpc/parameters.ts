/** The query of a call. Every reader checks; a wrong value is a clear 400, never a guess. */
import { rpcError } from '../errors.ts';

export interface Parameters {
  readonly args: readonly string[];
  /** The first `arg`. @throws STORAGE_RPC_ARGUMENT */
  arg(): string;
  text(name: string): string | undefined;
  flag(name: string, fallback: boolean): boolean;
  integer(name: string, range: { readonly min: number; readonly max: number }): number | undefined;
  /** One of a few words. */
  oneOf<T extends string>(name: string, words: readonly T[], fallback: T): T;
  /** Refuses options of Kubo that would change the result and are not built. */
  refuse(...names: string[]): void;
}

const MAX_ARGS = 1000;
const wrong = (what: string) => rpcError('STORAGE_RPC_ARGUMENT', what);

export function parseParameters(query: URLSearchParams): Parameters {
  const args = query.getAll('arg');
  if (args.length > MAX_ARGS) throw wrong(`more than ${MAX_ARGS} arguments`);
  const text = (name: string) => query.get(name) ?? undefined;
  return {
    args,
    text,
    arg() {
      const [first] = args;
      if (first === undefined || first === '') throw wrong('argument "arg" is required');
      return first;
    },
    flag(name, fallback) {
      const value = text(name);
      if (value === undefined || value === '') return fallback;
      if (value === 'true' || value === '1') return true;
      if (value === 'false' || value === '0') return false;
      throw wrong(`${name}=${JSON.stringify(value.slice(0, 40))} is not true or false`);
    },
    integer(name, { min, max }) {
      const value = text(name);
      if (value === undefined || value === '') return undefined;
      const number = /^-?\d{1,16}$/.test(value) ? Number(value) : NaN;
      if (number >= min && number <= max) return number;
      throw wrong(`${name}=${JSON.stringify(value.slice(0, 40))} is not within ${min} and ${max}`);
    },
    oneOf(name, words, fallback) {
      const value = text(name) ?? fallback;
      const found = words.find((word) => word === value);
      if (found !== undefined) return found;
      throw wrong(
        `${name}=${JSON.stringify(value.slice(0, 40))} is not one of ${words.join(', ')}`,
      );
    },
    refuse(...names) {
      for (const name of names) {
        const value = text(name);
        if (value !== undefined && value !== '' && value !== 'false')
          throw wrong(`${name} is not supported here`);
      }
    },
  };
}
