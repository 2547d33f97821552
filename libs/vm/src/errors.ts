/** Failures of the metered engine. */
import { defineErrors } from '#libs/kernel';

export const vmError = defineErrors({
  VM_MODULE_MALFORMED: {
    status: 400,
    title: 'Malformed WebAssembly module',
    fix: 'Rebuild the module with a current toolchain and send the whole file.',
  },
  VM_MODULE_UNSUPPORTED: {
    status: 400,
    title: 'WebAssembly feature that the metered engine refuses',
    fix: 'Build for the WebAssembly MVP with bulk memory and multi-value, without the named feature.',
  },
  VM_MODULE_LIMIT: {
    status: 413,
    title: 'WebAssembly module over a limit',
    fix: 'Make the module smaller, or split the program.',
  },
  VM_ENGINE_MISMATCH: {
    status: 409,
    title: 'Another version of the metered engine',
    fix: 'Use the engine version that the program or chain names.',
  },
  VM_SOURCE_LIMIT: {
    status: 413,
    title: 'Program source over its limit',
    fix: 'Make the program smaller: at most 256 kB of JavaScript.',
  },
  VM_PROGRAM_INVALID: {
    status: 400,
    title: 'The program cannot be loaded',
    fix: 'Mend what the message names; the program must be one ES module without imports.',
  },
  VM_HOST_FAULT: {
    status: 503,
    title: 'The host failed while running a guest',
    fix: 'Nothing was decided: run it again; if it repeats, give the host more memory or stack.',
  },
});
