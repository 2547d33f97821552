/**
 * What "the same engine" means for jobs: everything that decides a job's output, fuel or checkpoints
 * beside the program, its inputs and its terms.
 */
import { sha256Hex } from '#libs/crypto';
import { encodeCbor, utf8 } from '#libs/kernel';
import { JS_ENGINE_VERSION } from '../contract/vm-version.ts';
import { JS_STACK_BYTES } from '../js/js-machine.ts';
import { FUEL_SCHEDULE } from '../wasm/fuel-schedule.ts';
import { STACK_BYTES_DEFAULT } from '../wasm/metered-instance.ts';
import { JOB_PRELUDE } from './job-prelude.ts';
import { JOB_HOST_FUEL } from './recorder.ts';

const common = {
  format: 'seele/job/1',
  schedule: { ...FUEL_SCHEDULE },
  host: { ...JOB_HOST_FUEL },
  stack: STACK_BYTES_DEFAULT,
};

/** Versions by kind of program, hex. */
export const JOB_VM_VERSIONS = {
  js: sha256Hex(
    encodeCbor({
      ...common,
      engine: JS_ENGINE_VERSION,
      prelude: sha256Hex(utf8(JOB_PRELUDE)),
      jsStack: JS_STACK_BYTES,
    }),
  ),
  wasm: sha256Hex(encodeCbor({ ...common, rules: 'wasi-preview1/1, floats canonical' })),
} as const;
