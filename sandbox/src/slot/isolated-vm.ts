/** Loads isolated-vm from its `.node` file, without node-gyp-build, which reads files outside the slot's reach. */
import type ivm from 'isolated-vm';

export type IsolatedVm = typeof ivm;

export function loadIsolatedVm(addonPath: string): IsolatedVm {
  const module: { exports: { ivm?: IsolatedVm } } = { exports: {} };
  process.dlopen(module, addonPath);
  if (module.exports.ivm === undefined) throw new Error('the addon does not export ivm');
  return module.exports.ivm;
}

/** Options for isolated-vm: no prototype, so that nothing can be inherited into them. */
export function bare<T extends object>(options: T): T {
  return Object.freeze(Object.assign(Object.create(null) as T, options));
}
