/** What every way to wrap content keys must do. Each adapter's spec calls `describeKeyWrap`. */
import { equalBytes, type Bytes } from '#libs/kernel';

import { CONTENT_KEY_BYTES, MAX_WRAPPED_BYTES, type KeyUnwrap, type KeyWrap } from './key-wrap.ts';

export interface KeyWrapUnderTest {
  readonly wrap: KeyWrap;
  /** Whom it is wrapped for. */
  readonly reader: KeyUnwrap;
  /** Somebody else, with a good key of their own. */
  readonly stranger: KeyUnwrap;
}

export function describeKeyWrap(name: string, create: () => Promise<KeyWrapUnderTest>): void {
  describe(`KeyWrap: ${name}`, () => {
    const contentKey = Uint8Array.from({ length: CONTENT_KEY_BYTES }, (_, i) => i * 7 + 1);
    const binding = Uint8Array.from({ length: 32 }, (_, i) => i);
    let tested: KeyWrapUnderTest;
    let wrapped: Bytes;
    beforeAll(async () => {
      tested = await create();
      wrapped = await tested.wrap.wrap(contentKey, binding);
    });

    it('gives the key back to the reader, under the same scheme', async () => {
      expect(tested.reader.scheme).toBe(tested.wrap.scheme);
      expect(wrapped.length).toBeLessThanOrEqual(MAX_WRAPPED_BYTES);
      expect(await tested.reader.unwrap(wrapped, binding)).toEqual(contentKey);
    });

    it('gives nothing to anybody else', async () =>
      expect(await tested.stranger.unwrap(wrapped, binding)).toBeUndefined());

    it('does not show the key, nor the same bytes twice', async () => {
      expect(Buffer.from(wrapped).includes(Buffer.from(contentKey))).toBe(false);
      expect(equalBytes(wrapped, await tested.wrap.wrap(contentKey, binding))).toBe(false);
    });

    it('is of no use beside anything but what it was bound to', async () => {
      const other = binding.slice();
      other[31] = 0;
      expect(await tested.reader.unwrap(wrapped, other)).toBeUndefined();
    });

    it('notices every changed, missing and added byte', async () => {
      for (let at = 0; at < wrapped.length; at++) {
        const changed = wrapped.slice();
        changed[at] = (changed[at] as number) ^ 1;
        expect(await tested.reader.unwrap(changed, binding)).not.toEqual(contentKey);
        expect(await tested.reader.unwrap(wrapped.subarray(0, at), binding)).toBeUndefined();
      }
      expect(
        await tested.reader.unwrap(Buffer.concat([wrapped, wrapped]), binding),
      ).toBeUndefined();
    });
  });
}
