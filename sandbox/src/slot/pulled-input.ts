/**
 * An input of a metered job: the guest reads it anywhere and waits for what it reads; the bytes come
 * in chunks with credit from the parent, which has checked their hashes.
 */
import { FROM_SLOT, STREAM_WINDOW, TO_SLOT, numbered } from './frames.ts';
import { nextFrame, send } from './parent-line.ts';

/** Bytes ahead that are read and dropped rather than asked for anew. */
const SKIP_BYTES_MAX = 1024 * 1024;
const COMPLETE = 1;

interface OpenStream {
  readonly id: number;
  /** Place of the next chunk in the input. */
  next: number;
}

let lastStream = 0;

export class PulledInput {
  readonly name: string;
  readonly sizeBytes: number;
  readonly #index: number;
  #stream: OpenStream | undefined;
  #held: Buffer = Buffer.alloc(0);
  #heldAt = 0;

  constructor(index: number, name: string, sizeBytes: number) {
    this.#index = index;
    this.name = name;
    this.sizeBytes = sizeBytes;
  }

  /** Exactly `length` bytes from `offset`, or as many as there are. */
  read(offset: number, length: number): Uint8Array {
    const wanted = Math.min(length, this.sizeBytes - offset);
    const out = new Uint8Array(Math.max(0, wanted));
    for (let done = 0; done < out.length;) {
      const part = this.#from(offset + done).subarray(0, out.length - done);
      out.set(part, done);
      done += part.length;
    }
    return out;
  }

  /** Bytes that begin at this place, at least one. */
  #from(place: number): Buffer {
    for (;;) {
      const inside = place - this.#heldAt;
      if (inside >= 0 && inside < this.#held.length) return this.#held.subarray(inside);
      const next = this.#stream?.next ?? Infinity;
      if (place < next || place > next + SKIP_BYTES_MAX) this.#open(place);
      this.#receive();
    }
  }

  #open(offset: number): void {
    if (this.#stream) send(FROM_SLOT.close, numbered(this.#stream.id));
    const id = ++lastStream;
    this.#stream = { id, next: offset };
    const opening = Buffer.alloc(12);
    opening.writeUInt32LE(this.#index + 1, 0);
    opening.writeBigUInt64LE(BigInt(offset), 4);
    send(FROM_SLOT.pull, numbered(id, opening));
    for (let n = 1; n < STREAM_WINDOW; n++) this.#credit(id);
  }

  #credit(id: number): void {
    send(FROM_SLOT.pull, numbered(id, Buffer.alloc(4)));
  }

  #receive(): void {
    const stream = this.#stream as OpenStream;
    for (;;) {
      const { type, payload } = nextFrame();
      const isOurs = payload.length >= 4 && payload.readUInt32LE(0) === stream.id;
      // Chunks of a stream that was closed may still be on their way.
      if (!isOurs) continue;
      if (type === TO_SLOT.chunk) {
        this.#held = payload.subarray(4);
        this.#heldAt = stream.next;
        stream.next += this.#held.length;
        this.#credit(stream.id);
        return;
      }
      if (type === TO_SLOT.end)
        throw new Error(
          payload[4] === COMPLETE ? 'an input is shorter than said' : 'an input cannot be read',
        );
    }
  }
}
