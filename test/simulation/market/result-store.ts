/** Where results lie: there, not yet there, gone, or not to be asked just now. */
import { CID } from 'multiformats/cid';
import { create as createDigest } from 'multiformats/hashes/digest';
import { sha256 } from '#libs/crypto';
import { utf8 } from '#libs/kernel';
import type { MarketEvent } from '#libs/market';
import type { World } from './world.ts';

type Outcome = Extract<MarketEvent, { kind: 'resultChecked' }>['outcome'];

const RAW = 0x55;
const SHA2_256 = 0x12;

export const cidOf = (text: string): string =>
  CID.createV1(RAW, createDigest(SHA2_256, sha256(utf8(text)))).toString();

export class ResultStore {
  readonly #world: World;
  readonly #sizes = new Map<string, number>();

  constructor(world: World) {
    this.#world = world;
  }

  put(cid: string, sizeBytes: number): void {
    if (this.#world.fault('result appears late', 0.03)) {
      this.#world.after(this.#world.between(500, 4000), 'result', () =>
        this.#sizes.set(cid, sizeBytes),
      );
      return;
    }
    this.#sizes.set(cid, sizeBytes);
  }

  has(cid: string, maxBytes: number): boolean {
    const sizeBytes = this.#sizes.get(cid);
    return sizeBytes !== undefined && sizeBytes <= maxBytes;
  }

  check(cid: string, maxBytes: number, answer: (outcome: Outcome) => void): void {
    const world = this.#world;
    if (world.fault('storage does not answer', 0.03)) return;
    world.after(world.between(1, 20), 'checked', () => {
      if (world.fault('storage is down', 0.03)) return answer({ is: 'unavailable' });
      const sizeBytes = this.#sizes.get(cid);
      if (sizeBytes === undefined) return answer({ is: 'missing' });
      if (sizeBytes > maxBytes) return answer({ is: 'too-large' });
      answer({ is: 'good', sizeBytes });
      if (world.fault('checked twice', 0.02)) answer({ is: 'good', sizeBytes });
    });
  }
}

/** CID of the right output of a task, and of what liar number n says instead; 0 is the truth. */
export const unitOutput = (lie: number) => Uint8Array.from({ length: 36 }, (_, i) => i + 1 + lie);
