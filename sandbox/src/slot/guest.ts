/**
 * The guest's side of the bridge. `guestBridge` is never called in this process: its source text is
 * compiled inside each isolate, so it must stand alone (no imports, no outer names) and must keep its
 * own copies of the built-ins it uses, because the job may replace them. Only strings, numbers and
 * ArrayBuffers cross; the host answers with numbers, never with exceptions.
 */

import type { GuestText } from './guest-text.ts';

/** The one host callable: returns 0 or a refusal code. */
export type GuestSend = (op: number, a?: unknown, b?: unknown, c?: unknown) => number;

/** Numbers of the host calls. Repeated inside `guestBridge`, which cannot see this module. */
export const HOST_CALLS = {
  log: 1,
  progress: 2,
  outputText: 3,
  outputBytes: 4,
  open: 5,
  pull: 6,
  close: 7,
  timer: 8,
  clearTimer: 9,
  done: 10,
  save: 11,
} as const;

/** What the slot hands over before a job starts; travels as JSON text. */
export interface GuestConfiguration {
  readonly inputs: readonly { readonly name: string; readonly sizeBytes: number }[];
  readonly params: string;
  /** Of an order of many tasks. */
  readonly task?: { readonly index: number; readonly count: number };
  /** The last of `inputs` is what an earlier attempt saved. */
  readonly isResumed?: boolean;
  /** Four 32-bit numbers. */
  readonly seed: readonly number[];
}

export function guestBridge(
  send: GuestSend,
  { copyBytes, Utf8Decoder, Utf8Encoder }: GuestText,
  fixClockAndRandomness: (seed: readonly number[]) => void,
) {
  const LOG = 1;
  const PROGRESS = 2;
  const OUTPUT_TEXT = 3;
  const OUTPUT_BYTES = 4;
  const OPEN = 5;
  const PULL = 6;
  const CLOSE = 7;
  const TIMER = 8;
  const CLEAR_TIMER = 9;
  const FINISH = 10;
  const SAVE = 11;
  const SAVE_POINT_MAX_BYTES = 16_777_216;
  const PIECE = 65_536;
  const BYTES_PIECE = 262_144;
  const ERROR_TEXT_MAX = 4_000;

  const { encode: encodeText } = new Utf8Encoder();

  type Settle = (value: { code: number; payload: unknown }) => void;

  const { parse, stringify } = JSON;
  const { create, defineProperty, freeze, getOwnPropertyDescriptor, getPrototypeOf } = Object;
  const { apply } = Reflect;
  const NativeMap = Map;
  const NativePromise = Promise;
  const NativeUint8Array = Uint8Array;
  const NativeError = Error;
  const NativeTypeError = TypeError;
  const NativeString = String;
  const unbound =
    <T, A extends unknown[], R>(method: (this: T, ...args: A) => R) =>
    (self: T, ...args: A): R =>
      apply(method, self, args);
  const slice = unbound(NativeString.prototype.slice);
  const charCodeAt = unbound(NativeString.prototype.charCodeAt);
  const indexOf = unbound(NativeString.prototype.indexOf);
  const mapGet = unbound(NativeMap.prototype.get);
  const mapSet = unbound(NativeMap.prototype.set);
  const mapDelete = unbound(NativeMap.prototype.delete);
  const typedSet = unbound(NativeUint8Array.prototype.set);
  const subarray = unbound(NativeUint8Array.prototype.subarray);
  const then = unbound(NativePromise.prototype.then);
  const viewBuffer = unbound(
    (
      getOwnPropertyDescriptor(getPrototypeOf(NativeUint8Array.prototype) as object, 'buffer') as {
        get: (this: unknown) => ArrayBuffer;
      }
    ).get,
  );

  const REFUSALS = [
    '',
    'the host refused this argument',
    'too many host calls',
    'too many timers or open inputs',
    'no such input',
    'the input could not be read',
  ];

  /** Calls the host; a refusal becomes an error of this realm with a fixed text. */
  function call(op: number, a?: unknown, b?: unknown, c?: unknown): void {
    const code = send(op, a, b, c);
    if (code !== 0) throw new NativeError(REFUSALS[code] ?? 'refused by the host');
  }

  // ---- output, log, progress ----------------------------------------------------------------

  let pending = '';
  let written = false;

  function flushText(all: boolean): void {
    let from = 0;
    while (pending.length - from >= PIECE || (all && from < pending.length)) {
      let to = from + PIECE < pending.length ? from + PIECE : pending.length;
      const last = charCodeAt(pending, to - 1);
      // A surrogate pair is never cut, unless the text itself ends in half of one.
      if (last >= 0xd800 && last <= 0xdbff && (to < pending.length || !all)) to--;
      if (to === from) break;
      call(OUTPUT_TEXT, slice(pending, from, to));
      from = to;
    }
    pending = slice(pending, from);
  }

  function write(value: unknown): void {
    if (typeof value === 'string') {
      written = true;
      pending += value;
      if (pending.length >= PIECE) flushText(false);
      return;
    }
    const bytes = copyBytes(value);
    if (bytes === undefined) throw new NativeTypeError('output.write: expected text or bytes');
    written = true;
    flushText(true);
    for (let at = 0; at < bytes.length; at += BYTES_PIECE) {
      const piece = copyBytes(subarray(bytes, at, at + BYTES_PIECE)) as Uint8Array<ArrayBuffer>;
      call(OUTPUT_BYTES, viewBuffer(piece));
    }
  }

  function show(value: unknown): string {
    if (typeof value === 'string') return value;
    try {
      if (typeof value === 'object' && value !== null) {
        if (value instanceof NativeError) return describe(value);
        const text = stringify(value);
        if (typeof text === 'string') return text;
      }
      return NativeString(value);
    } catch {
      return '[value that cannot be shown]';
    }
  }

  const logAt =
    (level: number) =>
    (...values: unknown[]): void => {
      let text = '';
      for (let i = 0; i < values.length; i++) text += (i > 0 ? ' ' : '') + show(values[i]);
      call(LOG, level, text.length > 300_000 ? slice(text, 0, 300_000) : text);
    };

  function progress(share: unknown, note: unknown = ''): void {
    call(PROGRESS, share, note);
  }

  /** Keeps `value`; should the work be taken away from here, it goes on with that elsewhere. */
  function save(value: unknown): void {
    const bytes = typeof value === 'string' ? encodeText(value) : copyBytes(value);
    if (bytes === undefined) throw new NativeTypeError('save: expected text or bytes');
    if (bytes.length > SAVE_POINT_MAX_BYTES)
      throw new NativeError('save: at most ' + SAVE_POINT_MAX_BYTES + ' bytes');
    let at = 0;
    do {
      const piece = copyBytes(subarray(bytes, at, at + BYTES_PIECE)) as Uint8Array<ArrayBuffer>;
      at += BYTES_PIECE;
      call(SAVE, viewBuffer(piece), at >= bytes.length ? 1 : 0);
    } while (at < bytes.length);
  }

  // ---- inputs -------------------------------------------------------------------------------

  let nextId = 1;
  const waiting = new NativeMap<number, Settle>();
  const timers = new NativeMap<number, () => void>();

  function deliver(id: number, code: number, payload: unknown): void {
    const timer = mapGet(timers, id);
    if (timer !== undefined) {
      mapDelete(timers, id);
      timer();
      return;
    }
    const settle = mapGet(waiting, id);
    if (settle === undefined) return;
    mapDelete(waiting, id);
    settle({ code, payload });
  }

  /** Yields the input's chunks in order: strings when `asText`, otherwise Uint8Arrays. */
  async function* stream(index: number, asText: boolean): AsyncGenerator<unknown, void> {
    const id = nextId++;
    call(OPEN, id, index, asText ? 1 : 0);
    let open = true;
    try {
      for (;;) {
        const answer = await new NativePromise<{ code: number; payload: unknown }>((resolve) => {
          mapSet(waiting, id, resolve);
          call(PULL, id);
        });
        if (answer.code === 0) {
          yield asText ? answer.payload : new NativeUint8Array(answer.payload as ArrayBuffer);
        } else {
          open = false;
          if (answer.code === 1) return;
          throw new NativeError(REFUSALS[answer.code] ?? 'the input could not be read');
        }
      }
    } finally {
      if (open) call(CLOSE, id);
    }
  }

  function inputAt(index: number, name: string, sizeBytes: number): object {
    const input = create(null) as Record<string, unknown>;
    input['name'] = name;
    input['sizeBytes'] = sizeBytes;
    input['chunks'] = () => stream(index, false) as AsyncGenerator<Uint8Array<ArrayBuffer>>;
    input['text'] = async () => {
      let text = '';
      for await (const part of stream(index, true)) text += part as string;
      return text;
    };
    input['bytes'] = async () => {
      const out = new NativeUint8Array(sizeBytes);
      let at = 0;
      for await (const part of stream(index, false)) {
        typedSet(out, part as Uint8Array, at);
        at += (part as Uint8Array).length;
      }
      return out;
    };
    input['lines'] = async function* lines(): AsyncGenerator<string> {
      let rest = '';
      for await (const part of stream(index, true)) {
        const text = rest + (part as string);
        let from = 0;
        for (let end = indexOf(text, '\n', 0); end >= 0; end = indexOf(text, '\n', from)) {
          const cut = end > from && charCodeAt(text, end - 1) === 13 ? end - 1 : end;
          yield slice(text, from, cut);
          from = end + 1;
        }
        rest = slice(text, from);
      }
      if (rest !== '') yield rest;
    };
    return freeze(input);
  }

  // ---- end of the job -----------------------------------------------------------------------

  /** Text for people about a thrown value; runs in this isolate, so a hostile getter harms nobody. */
  function describe(thrown: unknown): string {
    try {
      if (typeof thrown === 'object' && thrown !== null) {
        const { name, message, stack } = thrown as Record<string, unknown>;
        let text = (typeof name === 'string' ? name + ': ' : '') + NativeString(message);
        if (typeof stack === 'string') {
          let from = 0;
          for (let n = 0; n < 10; n++) {
            const at = indexOf(stack, '\n    at ', from);
            if (at < 0) break;
            const end = indexOf(stack, '\n', at + 1);
            const row = slice(stack, at, end < 0 ? stack.length : end);
            if (indexOf(row, 'job.js:', 0) >= 0) text += row;
            from = at + 1;
          }
        }
        return slice(text, 0, ERROR_TEXT_MAX);
      }
      return slice(NativeString(thrown), 0, ERROR_TEXT_MAX);
    } catch {
      return 'a value that cannot be described';
    }
  }

  function finish(result: unknown): void {
    if (!written) {
      if (typeof result === 'string' || copyBytes(result) !== undefined) write(result);
      else {
        const text = stringify(result) as string | undefined;
        if (typeof text !== 'string') {
          const what = result === undefined ? 'nothing' : 'a ' + typeof result;
          send(FINISH, 1, 'the job returned ' + what + ' and wrote nothing to output');
          return;
        }
        write(text);
      }
    }
    const last = pending;
    if (last.length < PIECE) {
      pending = '';
      send(FINISH, 0, '', last);
      return;
    }
    flushText(true);
    send(FINISH, 0, '');
  }

  function start(job: unknown): void {
    if (typeof job !== 'function') {
      send(FINISH, 1, 'the default export of the job is not a function');
      return;
    }
    const fail = (thrown: unknown) => {
      send(FINISH, 1, 'the job threw ' + describe(thrown));
    };
    const run = async () => {
      finish(await (apply(job, undefined, [context]) as unknown));
    };
    void then(run() as Promise<unknown>, undefined, fail);
  }

  // ---- the world the job sees ---------------------------------------------------------------

  const context = create(null) as Record<string, unknown>;

  function expose(name: string, value: unknown): void {
    defineProperty(globalThis, name, {
      value,
      writable: true,
      configurable: true,
      enumerable: false,
    });
  }

  expose('TextEncoder', Utf8Encoder);
  expose('TextDecoder', Utf8Decoder);
  expose('queueMicrotask', (callback: unknown) => {
    if (typeof callback !== 'function') throw new NativeTypeError('queueMicrotask: not a function');
    void then(NativePromise.resolve(), () => apply(callback, undefined, []) as void);
  });
  expose('setTimeout', (callback: unknown, delayMs: unknown = 0, ...args: unknown[]): number => {
    if (typeof callback !== 'function') throw new NativeTypeError('setTimeout: not a function');
    const id = nextId++;
    const delay = typeof delayMs === 'number' && delayMs >= 0 && delayMs < 86_400_000 ? delayMs : 0;
    call(TIMER, id, delay);
    mapSet(timers, id, () => apply(callback, undefined, args) as void);
    return id;
  });
  expose('clearTimeout', (id: unknown): void => {
    if (typeof id === 'number' && mapDelete(timers, id)) call(CLEAR_TIMER, id);
  });
  const output = create(null) as Record<string, unknown>;
  output['write'] = write;
  const info = logAt(1);
  const console = create(null) as Record<string, unknown>;
  console['debug'] = logAt(0);
  console['log'] = info;
  console['info'] = info;
  console['warn'] = logAt(2);
  console['error'] = logAt(3);
  expose('console', freeze(console));

  function configure(text: string): void {
    const configuration = parse(text) as GuestConfiguration;
    fixClockAndRandomness(configuration.seed);
    const inputs = create(null) as Record<string, unknown>;
    const last = configuration.inputs.length - 1;
    for (let i = 0; i <= last; i++) {
      const { name, sizeBytes } = configuration.inputs[i] as { name: string; sizeBytes: number };
      const input = inputAt(i, name, sizeBytes);
      if (i === last && configuration.isResumed === true) context['saved'] = input;
      else defineProperty(inputs, name, { value: input, enumerable: true });
    }
    context['inputs'] = freeze(inputs);
    context['params'] = parse(configuration.params);
    if (configuration.task) context['task'] = freeze(configuration.task);
    context['output'] = freeze(output);
    context['log'] = info;
    context['progress'] = progress;
    context['save'] = save;
    freeze(context);
    // Read and removed by the first module that is evaluated, before any line of the job.
    defineProperty(globalThis, 'seele:start', { value: start, configurable: true });
  }

  /** Lets V8 run tasks it finished in the background (asynchronous WebAssembly compilation). */
  function poke(): void {}

  const bridge = create(null) as Record<string, unknown>;
  bridge['configure'] = configure;
  bridge['deliver'] = deliver;
  bridge['poke'] = poke;
  return freeze(bridge);
}
