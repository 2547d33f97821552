/**
 * The trusted JavaScript that stands between a contract's module and the host, inside the guest. It
 * makes `ctx`; it protects nothing (the host checks everything again).
 */

import { METHOD_NAME } from './outcome.ts';

/** Operation numbers shared by prelude and host. Part of the VM version. */
export const CONTRACT_OPERATION = {
  /** → [method, args]. */
  input: 8,
  /** value. */
  output: 9,
  /** Name of a frame field → its value. */
  frame: 10,
  /** key → value | nothing. */
  get: 11,
  /** key, value. */
  put: 12,
  delete: 13,
  /** prefix, cursor (or ''), limit → [[key, value], …]. */
  scan: 14,
  /** topic, value. */
  emit: 15,
  /** code, message. */
  revert: 16,
  sha256: 17,
  /** public key, domain, message, signature → boolean. */
  verify: 18,
  /** contract, method, value, fuel, arguments → [true, value] | [false, code, message]. */
  call: 19,
} as const;

const OP = CONTRACT_OPERATION;

/**
 * Flattens a value into a shape text and its leaves, so that the host reads primitives only and
 * never walks guest objects. `{n;` and `[n;` open maps and lists; a map's keys are leaves too.
 */
const FLATTEN = `
const flatten = (value, leaves) => {
  switch (typeof value) {
    case 'bigint': leaves.push(value); return 'i';
    case 'string': leaves.push(value); return 's';
    case 'boolean': return value ? 't' : 'f';
    case 'undefined': return 'z';
    case 'number':
      if (!Number.isSafeInteger(value)) throw new TypeError('only whole numbers can be kept or sent');
      leaves.push(BigInt(value));
      return 'i';
    case 'object': break;
    default: throw new TypeError('a ' + typeof value + ' cannot be kept or sent');
  }
  if (value === null) return 'z';
  if (value instanceof Uint8Array) { leaves.push(value); return 'b'; }
  if (Array.isArray(value)) {
    let shape = '[' + value.length + ';';
    for (let i = 0; i < value.length; i++) shape += flatten(value[i], leaves);
    return shape;
  }
  let shape = '';
  let count = 0;
  for (const key of Object.keys(value)) {
    if (value[key] === undefined) continue;
    leaves.push(key);
    shape += flatten(value[key], leaves);
    count++;
  }
  return '{' + count + ';' + shape;
};
`;

/** Removes what would differ between machines or make no sense on a chain. */
const TAMING = `
delete Math.random;
delete globalThis.SharedArrayBuffer;
delete globalThis.Atomics;
`;

/** Source of the prelude: an expression `(host) => (module) => () => void`. */
export const CONTRACT_PRELUDE = `((host) => {
${FLATTEN}
${TAMING}
const describe = (error) => { try { return String(error).toWellFormed(); } catch { return 'an error without text'; } };
const integerOf = (n) => typeof n === 'bigint' ? n : BigInt(n);
const storage = Object.freeze({
  get: (key) => host(${OP.get}, key),
  put: (key, value) => {
    const leaves = [];
    const shape = flatten(value, leaves);
    host(${OP.put}, key, shape, ...leaves);
  },
  delete: (key) => { host(${OP.delete}, key); },
  scan: (prefix, cursor = '', limit = 100) => host(${OP.scan}, prefix, cursor, Number(limit)),
});
const revert = (code, message = '') => { host(${OP.revert}, String(code), String(message).toWellFormed()); };
const api = {
  storage,
  revert,
  emit: (topic, value) => {
    const leaves = [];
    const shape = flatten(value, leaves);
    host(${OP.emit}, topic, shape, ...leaves);
  },
  sha256: (data) => host(${OP.sha256}, data),
  verify: (key, domain, message, signature) => host(${OP.verify}, key, domain, message, signature),
  pay: (to, amount) => {
    const reply = host(${OP.call}, to, '', integerOf(amount), 0n, '[0;');
    if (!reply[0]) revert(reply[1], reply[2]);
  },
  call: (contract, method, args = [], options = {}) => {
    const leaves = [];
    const shape = flatten(args, leaves);
    const reply = host(${OP.call}, contract, method, integerOf(options.value ?? 0n), integerOf(options.fuel ?? 0n), shape, ...leaves);
    if (reply[0]) return reply[1];
    if (options.catch) return { failed: true, code: reply[1], message: reply[2] };
    return revert(reply[1], reply[2]);
  },
};
const block = Object.freeze({
  get chain() { return host(${OP.frame}, 'chain'); },
  get height() { return host(${OP.frame}, 'height'); },
  get timeUs() { return host(${OP.frame}, 'timeUs'); },
});
const frame = Object.create({ ...api, block }, Object.fromEntries(['caller', 'origin', 'self', 'value', 'seed'].map((name) =>
  [name, { enumerable: true, get: () => host(${OP.frame}, name) }])));
Object.freeze(frame);
return (program) => () => {
  const [method, args] = host(${OP.input});
  const target = ${METHOD_NAME}.test(method) ? program[method] : undefined;
  if (typeof target !== 'function') revert('NO_SUCH_METHOD', method);
  let result;
  try { result = target(frame, ...args); }
  catch (error) { host(0, describe(error)); return; }
  if (result instanceof Promise) revert('ASYNC_METHOD', 'contract methods must not be async');
  const leaves = [];
  const shape = flatten(result, leaves);
  host(${OP.output}, shape, ...leaves);
};
})`;
