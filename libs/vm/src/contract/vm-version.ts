/**
 * What "the same VM" means for contracts: everything that decides a contract's result or its fuel.
 * A chain states both versions in its state; a node with others cannot follow it.
 */
import { sha256Hex } from '#libs/crypto';
import { encodeCbor, utf8 } from '#libs/kernel';
import { JS_STACK_BYTES } from '../js/js-machine.ts';
import { FUEL_SCHEDULE } from '../wasm/fuel-schedule.ts';
import { CALLER_KEEPS_SHARE, CONTRACT_LIMITS, HOST_FUEL } from './host.ts';
import { CONTRACT_PRELUDE } from './js-prelude.ts';
import { CONTRACT_STACK_BYTES } from './outcome.ts';
import { WASM_CONTRACT_RULES } from './wasm-contract.ts';

/** Version of the pinned JavaScript engine, `JsEngine.version`; changing it forks every chain. */
export const JS_ENGINE_VERSION = '65cbe1c286b758c7784263047b402b262e6c028e969ec18a7d642717b68503a9';

const common = {
  schedule: { ...FUEL_SCHEDULE },
  limits: { ...CONTRACT_LIMITS },
  host: { ...HOST_FUEL },
  keeps: CALLER_KEEPS_SHARE,
  stack: CONTRACT_STACK_BYTES,
};

/** Versions by kind of contract, hex. */
export const CONTRACT_VM_VERSIONS = {
  js: sha256Hex(
    encodeCbor({
      ...common,
      engine: JS_ENGINE_VERSION,
      prelude: sha256Hex(utf8(CONTRACT_PRELUDE)),
      jsStack: JS_STACK_BYTES,
    }),
  ),
  wasm: sha256Hex(encodeCbor({ ...common, rules: WASM_CONTRACT_RULES })),
} as const;

export type ContractKind = keyof typeof CONTRACT_VM_VERSIONS;
