/**
 * The JavaScript engine as metered WebAssembly: one pinned QuickJS-ng build, rewritten by the fuel
 * injector, so that every builtin (RegExp, JSON, BigInt, sort, …) pays for itself and no guest code
 * can catch running out. The blob's hash and the fuel schedule are the VM version: two machines that
 * agree on the version agree on every byte and every unit of fuel.
 */
import { sha256Hex } from '#libs/crypto';
import { type Bytes, encodeCbor } from '#libs/kernel';
import { vmError } from '../errors.ts';
import { FUEL_SCHEDULE } from '../wasm/fuel-schedule.ts';
import { injectFuel } from '../wasm/inject.ts';

/** `quickjs-wasi` 3.6.2, file quickjs.wasm (MIT). */
export const JS_BLOB_SHA256 = 'd4c9375f2b1ca4dc95f72c8aa2982a7a9951ac8011490d79c6582df732b4bbd9';

/** Guest memory: 32 MiB, as pages of 64 KiB. */
export const JS_MEMORY_PAGES_MAX = 512;

/** Global of the blob that points to the top of the stack in its memory; it grows down. */
export const JS_STACK_POINTER = '__stack_pointer';

export interface JsEngine {
  readonly module: WebAssembly.Module;
  /** Hash of blob, schedule and memory limit: what "the same VM" means. */
  readonly version: string;
}

/** The rewritten blob: one process can make it and hand it to others, which only have to compile it. */
export interface PreparedJsEngine {
  readonly bytes: Bytes;
  readonly version: string;
}

/**
 * Prepares the engine from its blob (about a second; once per process).
 *
 * @throws VM_ENGINE_MISMATCH when the blob is not the pinned one
 */
export function loadJsEngine(blob: Bytes): JsEngine {
  return startJsEngine(prepareJsEngine(blob));
}

export function startJsEngine({ bytes, version }: PreparedJsEngine): JsEngine {
  return { module: new WebAssembly.Module(bytes), version };
}

/** @throws VM_ENGINE_MISMATCH when the blob is not the pinned one */
export function prepareJsEngine(blob: Bytes): PreparedJsEngine {
  const hash = sha256Hex(blob);
  if (hash !== JS_BLOB_SHA256)
    throw vmError('VM_ENGINE_MISMATCH', `engine blob ${hash} where ${JS_BLOB_SHA256} is pinned`);
  const { bytes } = injectFuel(blob, {
    ...{ floats: 'keep', memoryPagesMax: JS_MEMORY_PAGES_MAX },
    watchLow: JS_STACK_POINTER,
  });
  const version = sha256Hex(
    encodeCbor({ blob: hash, injected: sha256Hex(bytes), schedule: { ...FUEL_SCHEDULE } }),
  );
  return { bytes, version };
}
