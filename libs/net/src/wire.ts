/**
 * What an adapter of the transport brings: encrypted byte streams to addresses, and timers. Who is at
 * the other end is proven above it, bound to the stream by `binding`.
 */
import type { Bytes } from '#libs/kernel';

export interface Wire {
  /** A secret of the two ends of this very stream (RFC 9266): nobody in between can have the same. */
  readonly binding: Bytes;
  /** Where the other end is, for limits per address and for logs. */
  readonly remote: string;
  /** Sends bytes; `onTaken` runs when they have left this process. Not to be changed afterwards. */
  write(bytes: Bytes, onTaken: () => void): void;
  /** Sets who gets the bytes and the end. To be called once, at once. */
  open(onBytes: (bytes: Bytes) => void, onEnd: (why: string) => void): void;
  /** Stops reading: the other side's bytes wait there. */
  pause(): void;
  resume(): void;
  /** Ends after what was written is sent, within `graceMs`; then everything is cut off. */
  end(graceMs: number): void;
}

export interface Timers {
  nowMs(): number;
  /** Returns a function that cancels it. Does not keep a process alive. */
  after(ms: number, action: () => void): () => void;
  /** Runs after what is going on now. */
  soon(action: () => void): void;
}

export interface Carrier {
  readonly timers: Timers;
  /** Takes streams from now on; the address others dial. @throws NET_LISTEN */
  listen(onWire: (wire: Wire) => void): Promise<string>;
  /** @throws NET_ADDRESS_INVALID and rejects with whatever went wrong on the way */
  connect(address: string, timeoutMs: number): Promise<Wire>;
  close(): Promise<void>;
}
