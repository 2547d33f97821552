/**
 * Frames between the parent and a slot process: type byte, length (uint32 little-endian), payload.
 * Nothing in a frame is ever deserialised into objects with prototypes of the sender's choice.
 * Imports nothing from the project: the slot process may read only this folder.
 */

/** Longest payload a slot may send; the parent kills a slot that announces more. */
export const SLOT_FRAME_MAX_BYTES = 1024 * 1024;
/** Longest payload the parent sends (a task with its code). */
export const PARENT_FRAME_MAX_BYTES = 64 * 1024 * 1024;
/** Input bytes per chunk. */
export const CHUNK_BYTES = 256 * 1024;
/** Chunks of one input stream that may be on their way. */
export const STREAM_WINDOW = 4;

/** Parent to slot. */
export const TO_SLOT = { task: 1, chunk: 2, end: 3, probe: 4, engine: 5 } as const;
/** Slot to parent. */
export const FROM_SLOT = {
  ready: 1,
  started: 2,
  log: 3,
  progress: 4,
  output: 5,
  pull: 6,
  close: 7,
  done: 8,
  probed: 9,
  /** Metered slots only: the engine is compiled; a checkpoint; what the run came to. */
  loaded: 10,
  checkpoint: 11,
  metered: 12,
  /** A piece of a save point: 1 when it is the last one, otherwise 0; then the bytes. */
  savePoint: 13,
} as const;

/** First byte of a `done` payload. */
export const DONE = {
  ok: 0,
  guestError: 1,
  hostCallLimit: 2,
  memoryLimit: 3,
  refused: 4,
  fuelLimit: 5,
  outputLimit: 6,
  logLimit: 7,
} as const;

const HEADER_BYTES = 5;
const CHUNK_HEAD_BYTES = HEADER_BYTES + 4;
const SCRATCH_BYTES = 64 * 1024;

export function frame(type: number, payload: Uint8Array = new Uint8Array(0)): Buffer {
  const out = Buffer.allocUnsafe(HEADER_BYTES + payload.length);
  out[0] = type;
  out.writeUInt32LE(payload.length, 1);
  out.set(payload, HEADER_BYTES);
  return out;
}

/** Everything of a chunk's frame but its bytes, which follow. */
export function chunkHead(stream: number, length: number): Buffer {
  const out = Buffer.allocUnsafe(HEADER_BYTES + 4);
  out[0] = TO_SLOT.chunk;
  out.writeUInt32LE(4 + length, 1);
  out.writeUInt32LE(stream, HEADER_BYTES);
  return out;
}

/** A payload that starts with a uint32, e.g. a stream number. */
export function numbered(value: number, rest: Uint8Array = new Uint8Array(0)): Buffer {
  const out = Buffer.allocUnsafe(4 + rest.length);
  out.writeUInt32LE(value, 0);
  out.set(rest, 4);
  return out;
}

/**
 * Cuts a byte stream into frames. `push` returns false once the sender broke the rules; nothing
 * after that is looked at.
 */
export class FrameReader {
  readonly #maxBytes: number;
  readonly #onFrame: (type: number, payload: Buffer) => void;
  #parts: Buffer[] = [];
  #available = 0;
  #broken = false;

  constructor(maxBytes: number, onFrame: (type: number, payload: Buffer) => void) {
    this.#maxBytes = maxBytes;
    this.#onFrame = onFrame;
  }

  push(bytes: Buffer): boolean {
    if (this.#broken) return false;
    this.#parts.push(bytes);
    this.#available += bytes.length;
    while (this.#available >= HEADER_BYTES) {
      const head = this.#gather(HEADER_BYTES);
      const length = head.readUInt32LE(1);
      if (length > this.#maxBytes) {
        this.#broken = true;
        this.#parts = [];
        return false;
      }
      if (this.#available < HEADER_BYTES + length) break;
      const whole = this.#gather(HEADER_BYTES + length);
      this.#drop(HEADER_BYTES + length);
      this.#onFrame(whole[0] as number, whole.subarray(HEADER_BYTES, HEADER_BYTES + length));
    }
    return true;
  }

  /** Makes the first part hold at least `length` bytes. */
  #gather(length: number): Buffer {
    const first = this.#parts[0] as Buffer;
    if (first.length >= length) return first;
    const joined = Buffer.concat(this.#parts);
    this.#parts = [joined];
    return joined;
  }

  #drop(length: number): void {
    const first = this.#parts[0] as Buffer;
    this.#available -= length;
    if (first.length === length) this.#parts.shift();
    else this.#parts[0] = first.subarray(length);
  }
}

/**
 * The slot's side of the same, for inputs: says where the next bytes are to be read to, so that those of
 * a long frame are read to where they stay. The number in front of a chunk's bytes is taken off, and
 * they have a buffer of their own, which can be handed on.
 */
export class FrameReceiver {
  readonly #onFrame: (type: number, payload: Buffer, stream: number) => void;
  readonly #scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
  /** Bytes of an incomplete header at the start of the scratch buffer. */
  #held = 0;
  #type = 0;
  #stream = 0;
  #payload: Buffer | undefined;
  #filled = 0;

  constructor(onFrame: (type: number, payload: Buffer, stream: number) => void) {
    this.#onFrame = onFrame;
  }

  /** Where to read to. */
  room(): Buffer {
    return this.#payload?.subarray(this.#filled) ?? this.#scratch.subarray(this.#held);
  }

  /** `size` bytes have been read to `room()`. False once the sender broke the rules. */
  took(size: number): boolean {
    if (this.#payload !== undefined) {
      this.#filled += size;
      this.#deliverIfFull();
      return true;
    }
    const all = this.#scratch.subarray(0, this.#held + size);
    let at = 0;
    while (all.length - at >= HEADER_BYTES) {
      const length = all.readUInt32LE(at + 1);
      if (length > PARENT_FRAME_MAX_BYTES) return false;
      const isChunk = all[at] === TO_SLOT.chunk;
      const headBytes = isChunk ? CHUNK_HEAD_BYTES : HEADER_BYTES;
      if (isChunk && length < CHUNK_HEAD_BYTES - HEADER_BYTES) return false;
      if (all.length - at < headBytes) break;
      this.#type = all[at] as number;
      this.#stream = isChunk ? all.readUInt32LE(at + HEADER_BYTES) : 0;
      this.#payload = Buffer.allocUnsafeSlow(HEADER_BYTES + length - headBytes);
      at += headBytes;
      this.#filled = all.copy(this.#payload, 0, at);
      at += this.#filled;
      this.#deliverIfFull();
    }
    all.copy(this.#scratch, 0, at);
    this.#held = this.#payload === undefined ? all.length - at : 0;
    return true;
  }

  #deliverIfFull(): void {
    const payload = this.#payload;
    if (payload === undefined || this.#filled < payload.length) return;
    this.#payload = undefined;
    this.#onFrame(this.#type, payload, this.#stream);
  }
}
