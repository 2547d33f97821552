/**
 * Save points as they come out of a slot: in pieces, the last of them marked. A slot that was taken over
 * can make its parent hold one of them, no more.
 */
import type { Bytes } from '#libs/kernel';

/** Longest save point. The guest's side refuses longer ones with an error that it can read. */
export const SAVE_POINT_MAX_BYTES = 16 * 1024 * 1024;

export class SavePointReader {
  #pieces: Buffer[] = [];
  #bytes = 0;

  /** Takes one piece; gives the save point when it was its last. */
  add(payload: Buffer): Bytes | 'too-long' | undefined {
    const piece = payload.subarray(1);
    this.#bytes += piece.length;
    if (this.#bytes > SAVE_POINT_MAX_BYTES) return 'too-long';
    this.#pieces.push(piece);
    if (payload[0] !== 1) return undefined;
    const state = new Uint8Array(Buffer.concat(this.#pieces));
    this.#pieces = [];
    this.#bytes = 0;
    return state;
  }
}
