/** The metered engine of a node; its JavaScript blob is read when the first contract needs it. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { type JsEngine, ContractEngine, loadJsEngine } from '#libs/vm';

function readJsEngine(): JsEngine {
  const path = createRequire(import.meta.url).resolve('quickjs-wasi/quickjs.wasm');
  return loadJsEngine(readFileSync(path));
}

export function createContractEngine(cacheBytesMax: number): ContractEngine {
  return new ContractEngine({ jsEngine: readJsEngine, cacheBytesMax });
}
