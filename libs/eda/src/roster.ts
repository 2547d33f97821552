/**
 * Validators by small whole numbers. A peer keeps its number over all eras; weights and indices are
 * looked up per era in plain arrays.
 */
import { edaError } from './errors.ts';
import { EPSILON_MAX_US, type EraParameters, SAMPLING_MAX } from './types.ts';
import type { ValidatorSet } from './validator-set.ts';

function checkRange(what: string, value: number | undefined, max: number): void {
  if (value !== undefined && !(Number.isInteger(value) && value >= 1 && value <= max))
    throw edaError('EDA_PARAMETER_INVALID', `${what}: ${value} is not 1 to ${max}`);
}

export interface EraRoster {
  readonly set: ValidatorSet;
  /** Parameters that state fixed for this era; the chain's first ones where absent. */
  readonly parameters: EraParameters;
  /** Peer number by index in the set. */
  readonly peers: readonly number[];
  /** Weight by peer number; 0 for who is not in the set. */
  readonly weightOf: (peer: number) => number;
  readonly indexOf: (peer: number) => number;
}

export class Roster {
  readonly #numbers = new Map<string, number>();
  readonly #keys: string[] = [];
  readonly #eras = new Map<number, EraRoster>();

  /** The number of a public key; a new one for a key never seen. */
  numberOf(publicKey: string): number {
    const known = this.#numbers.get(publicKey);
    if (known !== undefined) return known;
    const number = this.#keys.length;
    this.#numbers.set(publicKey, number);
    this.#keys.push(publicKey);
    return number;
  }

  keyOf(peer: number): string {
    return this.#keys[peer] ?? '';
  }

  /**
   * Fixes the set of an era and its parameters (as before where left out); a second call for the same
   * era changes nothing. @throws EDA_PARAMETER_INVALID
   */
  install(era: number, set: ValidatorSet, changed: EraParameters = {}): void {
    if (this.#eras.has(era)) return;
    const { epsilonUs, samplingPerMille } = changed;
    checkRange('an interval in µs', epsilonUs, EPSILON_MAX_US);
    checkRange('a sampling rate in thousandths', samplingPerMille, SAMPLING_MAX);
    const inForce = this.#inForce(era)?.parameters;
    const peers = set.validators.map(({ publicKey }) => this.numberOf(publicKey));
    const weights: number[] = [];
    const indices: number[] = [];
    for (const [index, peer] of peers.entries()) {
      weights[peer] = set.weights[index] as number;
      indices[peer] = index;
    }
    this.#eras.set(era, {
      set,
      parameters: {
        ...inForce,
        ...(epsilonUs !== undefined && { epsilonUs }),
        ...(samplingPerMille !== undefined && { samplingPerMille }),
      },
      peers,
      weightOf: (peer) => weights[peer] ?? 0,
      indexOf: (peer) => indices[peer] ?? -1,
    });
  }

  has(era: number): boolean {
    return this.#eras.has(era);
  }

  /** The set of an era that a message names: undefined for one before the first that is known here. */
  find(era: number): EraRoster | undefined {
    return this.#eras.get(era) ?? this.#inForce(era);
  }

  /** The set of an era: the installed one, or the last one before it. @throws EDA_SET_INVALID */
  at(era: number): EraRoster {
    const inForce = this.find(era);
    if (!inForce) throw edaError('EDA_SET_INVALID', `no validator set for era ${era}`);
    return inForce;
  }

  /** The last one installed before an era, if any. */
  #inForce(era: number): EraRoster | undefined {
    let last = -1;
    for (const installed of this.#eras.keys())
      if (installed < era && installed > last) last = installed;
    return this.#eras.get(last);
  }

  /** Forgets eras below `era`, except the set still in force there. */
  prune(era: number): void {
    const inForce = this.at(era);
    for (const [installed, roster] of this.#eras)
      if (installed < era && roster !== inForce) this.#eras.delete(installed);
  }
}
