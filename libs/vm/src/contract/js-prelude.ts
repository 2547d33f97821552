/**
 * The trusted JavaScript that stands between a contract's module and the host, inside the guest. It
 * makes `ctx`; it protects nothing (the host checks everything again).
 */
/** Operation numbers shared by prelude and host. Part of the VM version. */
export const CONTRACT_OPERATION = {
  /** → [method, …arguments]. */
  input: 8,
  /** value. */
  output: 9,
  /** Number of a frame field → its value. */
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

/** Frame fields by number. Part of the VM version. */
export const FRAME_FIELDS = [
  'caller',
  'origin',
  'self',
  'value',
  'seed',
  'chain',
  'height',
  'timeUs',
] as const;

const OP = CONTRACT_OPERATION;

/**
 * Flattens a value into a shape text and its leaves, so that the host reads primitives only and
 * never walks guest objects. `{n;` and `[n;` open maps and lists; a map's keys are leaves too.
 */
const FLATTEN = `
const { apply, keys, isArray, isView, isSafeInteger, toBigInt } = {
  apply: Reflect.apply, keys: Object.keys, isArray: Array.isArray, isView: ArrayBuffer.isView, isSafeInteger: Number.isSafeInteger, toBigInt: BigInt,
};
const flatten = (value, leaves) => {
  const type = typeof value;
  if (type === 'bigint') { leaves[leaves.length] = value; return 'i'; }
  if (type === 'string') { leaves[leaves.length] = value; return 's'; }
  if (type === 'object') {
    if (value === null) return 'z';
    if (isArray(value)) {
      const { length } = value;
      let shape = '[' + length + ';';
      for (let i = 0; i < length; i++) shape += flatten(value[i], leaves);
      return shape;
    }
    if (isView(value)) { leaves[leaves.length] = value; return 'b'; }
    return flattenMap(value, keys(value), leaves);
  }
  if (type === 'boolean') return value ? 't' : 'f';
  if (type === 'undefined') return 'z';
  if (type !== 'number') throw new TypeError('a ' + type + ' cannot be kept or sent');
  if (!isSafeInteger(value)) throw new TypeError('only whole numbers can be kept or sent');
  leaves[leaves.length] = toBigInt(value);
  return 'i';
};
const flattenMap = (value, names, leaves) => {
  const { length } = names;
  let shape = '';
  let count = 0;
  for (let i = 0; i < length; i++) {
    const name = names[i];
    const item = value[name];
    if (item === undefined) continue;
    leaves[leaves.length] = name;
    count++;
    // Calls are dear here: the common kinds are told apart on the spot.
    const kind = typeof item;
    if (kind === 'bigint') { leaves[leaves.length] = item; shape += 'i'; }
    else if (kind === 'string') { leaves[leaves.length] = item; shape += 's'; }
    else shape += flatten(item, leaves);
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
const pairOf = { ss: '{2;ss', si: '{2;si', is: '{2;is', ii: '{2;ii' };
const leafKind = (value) => typeof value === 'bigint' ? 'i' : typeof value === 'string' ? 's' : '';
const send = (operation, name, value) => {
  // Single values, by far the most, go without a list of leaves; so do two plain fields, the usual event.
  const type = typeof value;
  if (type === 'bigint') return host(operation, name, 'i', value);
  if (type === 'string') return host(operation, name, 's', value);
  if (type !== 'object' || value === null || isArray(value) || isView(value)) {
    const leaves = [operation, name, ''];
    leaves[2] = flatten(value, leaves);
    return apply(host, undefined, leaves);
  }
  const names = keys(value);
  if (names.length === 2) {
    const a = names[0];
    const b = names[1];
    const x = value[a];
    const y = value[b];
    const shape = pairOf[leafKind(x) + leafKind(y)];
    if (shape !== undefined) return host(operation, name, shape, a, x, b, y);
  }
  const leaves = [operation, name, ''];
  leaves[2] = flattenMap(value, names, leaves);
  return apply(host, undefined, leaves);
};
// Bound functions cost less than arrows, and a call more costs more than either.
const storage = Object.freeze({
  get: host.bind(undefined, ${OP.get}),
  put: (key, value) => {
    const type = typeof value;
    if (type === 'bigint') host(${OP.put}, key, 'i', value);
    else if (type === 'string') host(${OP.put}, key, 's', value);
    else send(${OP.put}, key, value);
  },
  delete: host.bind(undefined, ${OP.delete}),
  scan: (prefix, cursor = '', limit = 100) => host(${OP.scan}, prefix, cursor, Number(limit)),
});
const revert = (code, message = '') => { host(${OP.revert}, String(code), String(message).toWellFormed()); };
const api = {
  storage,
  revert,
  emit: send.bind(undefined, ${OP.emit}),
  sha256: host.bind(undefined, ${OP.sha256}),
  verify: host.bind(undefined, ${OP.verify}),
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
// Fields of the frame are asked for once.
const known = [];
const field = (i) => known[i] ?? (known[i] = host(${OP.frame}, i));
const block = Object.freeze({
  get chain() { return field(5); },
  get height() { return field(6); },
  get timeUs() { return field(7); },
});
const frame = Object.create({ ...api, block }, Object.fromEntries(['caller', 'origin', 'self', 'value', 'seed'].map((name, i) =>
  [name, { enumerable: true, get: () => known[i] ?? (known[i] = host(${OP.frame}, i)) }])));
Object.freeze(frame);
return (program) => () => {
  const input = host(${OP.input});
  const target = program[input[0]];
  if (typeof target !== 'function') revert('NO_SUCH_METHOD', input[0]);
  let result;
  try {
    switch (input.length) {
      case 1: result = target(frame); break;
      case 2: result = target(frame, input[1]); break;
      case 3: result = target(frame, input[1], input[2]); break;
      case 4: result = target(frame, input[1], input[2], input[3]); break;
      default: input[0] = frame; result = target(...input);
    }
  }
  catch (error) { host(0, describe(error)); return; }
  if (result === undefined) return;
  if (result instanceof Promise) revert('ASYNC_METHOD', 'contract methods must not be async');
  const leaves = [];
  const shape = flatten(result, leaves);
  host(${OP.output}, shape, ...leaves);
};
})`;
