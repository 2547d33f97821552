/**
 * The trusted JavaScript inside a verifiable job: the same job shape as the fast kind,
 * `export default async ({ inputs, params, output, log, progress }) => …`, on deterministic ground.
 */

/** Operation numbers shared by prelude and host. Part of the VM version. */
export const JOB_OPERATION = {
  /** → [params text, [[name, sizeBytes], …]]. */
  begin: 8,
  /** input, offset, length → bytes. */
  read: 9,
  writeText: 10,
  writeBytes: 11,
  log: 12,
  /** share, note. */
  progress: 13,
  /** length → bytes. */
  random: 14,
  /** bytes → text; malformed UTF-8 is replaced. */
  decode: 15,
  /** text → bytes. */
  encode: 16,
  /** The job's promise settled well. */
  done: 17,
} as const;

const OP = JOB_OPERATION;

export const JOB_PRELUDE = `((host) => {
const describe = (error) => { try { return String((error && error.stack && String(error) + '\\n' + error.stack) || error).toWellFormed(); } catch { return 'an error without text'; } };
const CHUNK = 65536n;
delete globalThis.SharedArrayBuffer;
delete globalThis.Atomics;
// Call sites would hand out functions of this prelude.
Object.defineProperty(Error, 'prepareStackTrace', { value: undefined, writable: false, configurable: false });
// Randomness that every machine draws alike: 53 bits of the job's seeded stream.
Math.random = () => {
  const b = host(${OP.random}, 8);
  return ((b[0] & 31) * 2 ** 48 + b[1] * 2 ** 40 + b[2] * 2 ** 32 + b[3] * 2 ** 24 + b[4] * 65536 + b[5] * 256 + b[6]) / 2 ** 53;
};
globalThis.TextDecoder = class TextDecoder { decode(bytes) { return host(${OP.decode}, bytes ?? new Uint8Array()); } };
globalThis.TextEncoder = class TextEncoder { encode(text = '') { return host(${OP.encode}, String(text).toWellFormed()); } };
const show = (value) => typeof value === 'string' ? value : value instanceof Error ? String(value) : JSON.stringify(value, (_k, v) => typeof v === 'bigint' ? v + 'n' : v) ?? String(value);
const log = (...values) => { host(${OP.log}, values.map(show).join(' ').toWellFormed()); };
globalThis.console = Object.freeze({ log, info: log, warn: log, error: log, debug: log });
const makeInput = (name, index, sizeBytes) => {
  const bytes = () => {
    const out = new Uint8Array(Number(sizeBytes));
    for (let at = 0; at < out.length; ) { const part = host(${OP.read}, index, at, out.length - at); out.set(part, at); at += part.length; }
    return out;
  };
  async function* chunks() {
    for (let at = 0n; at < sizeBytes; at += CHUNK) yield host(${OP.read}, index, Number(at), Number(CHUNK));
  }
  async function* lines() {
    let rest = new Uint8Array();
    for await (const chunk of chunks()) {
      let start = 0;
      for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
        const piece = chunk.subarray(start, end);
        const line = new Uint8Array(rest.length + piece.length);
        line.set(rest); line.set(piece, rest.length);
        yield host(${OP.decode}, line.length > 0 && line[line.length - 1] === 13 ? line.slice(0, -1) : line);
        rest = new Uint8Array();
        start = end + 1;
      }
      const joined = new Uint8Array(rest.length + chunk.length - start);
      joined.set(rest); joined.set(chunk.subarray(start), rest.length);
      rest = joined;
    }
    if (rest.length > 0) yield host(${OP.decode}, rest);
  }
  return Object.freeze({ name, sizeBytes: Number(sizeBytes), bytes: async () => bytes(), text: async () => host(${OP.decode}, bytes()), chunks, lines });
};
return (program) => () => {
  const [paramsText, listed] = host(${OP.begin});
  const inputs = Object.fromEntries(listed.map(([name, sizeBytes], i) => [name, makeInput(name, i, sizeBytes)]));
  let written = false;
  const output = Object.freeze({
    write: (data) => {
      written = true;
      if (typeof data === 'string') host(${OP.writeText}, data.toWellFormed());
      else host(${OP.writeBytes}, data);
    },
  });
  const progress = (share, note = '') => { host(${OP.progress}, Number(share), String(note).toWellFormed()); };
  const finish = (value) => {
    if (value !== undefined && !written) output.write(typeof value === 'string' || value instanceof Uint8Array ? value : JSON.stringify(value));
    if (!written) throw new Error('the job returned nothing and wrote no output');
    host(${OP.done});
  };
  const failed = (error) => { host(0, describe(error)); };
  if (typeof program.default !== 'function') return failed(new Error('the job has no default export that is a function'));
  Promise.resolve()
    .then(() => program.default(Object.freeze({ inputs: Object.freeze(inputs), params: JSON.parse(paramsText), output, log, progress })))
    .then(finish)
    .catch(failed);
};
})`;
