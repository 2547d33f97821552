/**
 * Loaded contracts of a process: loads by code hash, keeps the least recently used within a number
 * of bytes, and has a second guest where one contract's code runs twice at a time (two accounts with
 * the same code, one calling the other). What is loaded never shows in a result.
 */
import { sha256Hex } from '#libs/crypto';
import { type Bytes, utf8Decode } from '#libs/kernel';
import { vmError } from '../errors.ts';
import type { JsEngine } from '../js/js-engine.ts';
import { JsContract } from './js-contract.ts';
import {
  type ContractCall,
  type ContractOutcome,
  LOAD_FUEL_MAX,
  type UserContract,
} from './outcome.ts';
import { type ContractKind, JS_ENGINE_VERSION } from './vm-version.ts';
import { WasmContract } from './wasm-contract.ts';

export const CONTRACT_CACHE_BYTES_DEFAULT = 128 * 1024 * 1024;

export interface ContractEngineOptions {
  /** Gives the JavaScript engine; asked once, when the first contract in JavaScript is used. */
  readonly jsEngine: () => JsEngine;
  readonly cacheBytesMax?: number;
}

interface Loaded {
  readonly contract: UserContract;
  readonly spare: UserContract[];
  running: number;
  bytes: number;
}

export class ContractEngine {
  readonly #options: ContractEngineOptions;
  #js: JsEngine | undefined;
  /** In order of use, the latest last. */
  readonly #loaded = new Map<string, Loaded>();
  #bytes = 0;

  constructor(options: ContractEngineOptions) {
    this.#options = options;
  }

  /** Contracts in memory and the bytes they take, about. */
  get cached(): { readonly contracts: number; readonly bytes: number } {
    return { contracts: this.#loaded.size, bytes: this.#bytes };
  }

  /**
   * Loads code and says what that costs.
   *
   * @param fuelMax what its top level or start function may cost
   * @throws VM_SOURCE_LIMIT, VM_PROGRAM_INVALID, VM_MODULE_…, VM_HOST_FAULT
   */
  load(kind: ContractKind, code: Bytes, fuelMax: bigint = LOAD_FUEL_MAX): bigint {
    const contract = this.#load(kind, code, fuelMax);
    if (contract.loadFuelUsed > fuelMax)
      throw vmError('VM_PROGRAM_INVALID', `loading costs ${contract.loadFuelUsed} fuel`);
    this.#keep(`${kind}/${sha256Hex(code)}`, contract);
    return contract.loadFuelUsed;
  }

  /** Runs one frame. `code` is asked for when the contract is not in memory. */
  run(
    kind: ContractKind,
    codeHash: string,
    code: () => Bytes,
    call: ContractCall,
  ): ContractOutcome {
    const key = `${kind}/${codeHash}`;
    const loaded =
      this.#loaded.get(key) ?? this.#keep(key, this.#load(kind, code(), LOAD_FUEL_MAX));
    this.#loaded.delete(key);
    this.#loaded.set(key, loaded);
    const twin = loaded.running > 0 ? (loaded.spare.pop() ?? loaded.contract.fork()) : undefined;
    const contract = twin ?? loaded.contract;
    loaded.running++;
    try {
      return contract.call(call);
    } finally {
      loaded.running--;
      contract.rest();
      if (twin && loaded.spare.length === 0) loaded.spare.push(twin);
      this.#count(key, loaded);
      this.#evict();
    }
  }

  /** Forgets everything loaded: after a failure of the host nothing of it is trusted. */
  reset(): void {
    this.#loaded.clear();
    this.#bytes = 0;
    this.#js = undefined;
  }

  #load(kind: ContractKind, code: Bytes, fuelMax: bigint): UserContract {
    if (kind === 'wasm') return WasmContract.load(code, fuelMax);
    let source: string;
    try {
      source = utf8Decode(code);
    } catch {
      throw vmError('VM_PROGRAM_INVALID', 'the source is not UTF-8');
    }
    return JsContract.load(this.#engine(), source, fuelMax);
  }

  #engine(): JsEngine {
    if (this.#js === undefined) {
      const engine = this.#options.jsEngine();
      if (engine.version !== JS_ENGINE_VERSION)
        throw vmError('VM_ENGINE_MISMATCH', `engine ${engine.version}, not ${JS_ENGINE_VERSION}`);
      this.#js = engine;
    }
    return this.#js;
  }

  #keep(key: string, contract: UserContract): Loaded {
    const known = this.#loaded.get(key);
    if (known) return known;
    const loaded: Loaded = { contract, spare: [], running: 0, bytes: 0 };
    this.#loaded.set(key, loaded);
    this.#count(key, loaded);
    this.#evict();
    return loaded;
  }

  #count(key: string, loaded: Loaded): void {
    if (this.#loaded.get(key) !== loaded) return;
    const spares = loaded.spare.reduce((sum, spare) => sum + spare.residentBytes, 0);
    const bytes = loaded.contract.residentBytes + spares;
    this.#bytes += bytes - loaded.bytes;
    loaded.bytes = bytes;
  }

  #evict(): void {
    const max = this.#options.cacheBytesMax ?? CONTRACT_CACHE_BYTES_DEFAULT;
    for (const [key, loaded] of this.#loaded) {
      if (this.#bytes <= max || this.#loaded.size === 1) return;
      if (loaded.running > 0) continue;
      this.#loaded.delete(key);
      this.#bytes -= loaded.bytes;
    }
  }
}
