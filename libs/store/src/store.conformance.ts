/** What every adapter of the kernel's KeyValueStore must do. */
import { type Bytes, type KeyValueStore, bytesToHex, utf8, utf8Decode } from '#libs/kernel';

export interface StoreUnderTest {
  open(): KeyValueStore;
  /** Ends the store as a crash would, with no goodbye; `open` then opens what survived. */
  crash(): Promise<void> | void;
  cleanUp(): Promise<void> | void;
}

const put = (key: string, value: string) => ({ key: utf8(key), value: utf8(value) });
const remove = (key: string) => ({ key: utf8(key), value: null });
const textOf = (value: Bytes | undefined) => value && utf8Decode(value);

export function describeKeyValueStore(name: string, create: () => StoreUnderTest): void {
  describe(`KeyValueStore: ${name}`, () => {
    let underTest: StoreUnderTest;
    let store: KeyValueStore;
    const keys = (range: { reverse?: boolean; limit?: number } = {}, start = 'a', end = 'z') =>
      [...store.range({ start: utf8(start), end: utf8(end), ...range })].map(([key]) =>
        utf8Decode(key),
      );

    beforeEach(() => {
      underTest = create();
      store = underTest.open();
    });
    afterEach(async () => {
      await store.close();
      await underTest.cleanUp();
    });

    it('returns what was committed and nothing else', async () => {
      await store.commit([put('a', '1'), put('b', '2')]);
      await store.commit([put('a', '3'), remove('b'), remove('never')]);
      expect(textOf(store.get(utf8('a')))).toBe('3');
      expect(store.get(utf8('b'))).toBeUndefined();
      expect(store.get(utf8('c'))).toBeUndefined();
    });

    it('keeps empty values and any bytes in keys', async () => {
      const key = Uint8Array.of(0, 255, 0, 1);
      await store.commit([{ key, value: new Uint8Array() }]);
      expect(store.get(key)).toHaveLength(0);
      const all = [...store.range({ start: Uint8Array.of(0), end: Uint8Array.of(1) })];
      expect(all.map(([found]) => bytesToHex(found))).toEqual(['00ff0001']);
    });

    it('applies the last write of a key within one batch', async () => {
      await store.commit([put('a', '1'), put('a', '2'), put('b', '1'), remove('b')]);
      expect(textOf(store.get(utf8('a')))).toBe('2');
      expect(store.get(utf8('b'))).toBeUndefined();
    });

    it('ranges over [start, end) in byte order, both ways, limited', async () => {
      await store.commit(['b', 'a', 'c', 'ab', 'z'].map((key) => put(key, key)));
      expect(keys()).toEqual(['a', 'ab', 'b', 'c']);
      expect(keys({ reverse: true })).toEqual(['c', 'b', 'ab', 'a']);
      expect(keys({ limit: 2 })).toEqual(['a', 'ab']);
      expect(keys({ limit: 2, reverse: true })).toEqual(['c', 'b']);
      expect(keys({ limit: 0 })).toEqual([]);
      expect(keys({}, 'ab', 'c')).toEqual(['ab', 'b']);
      expect(keys({ reverse: true }, 'ab', 'c')).toEqual(['b', 'ab']);
    });

    it('gives snapshots that later commits do not change', async () => {
      await store.commit([put('a', '1'), put('b', '1')]);
      const snapshot = store.snapshot();
      await store.commit([put('a', '2'), remove('b'), put('c', '2')]);
      expect(textOf(snapshot.get(utf8('a')))).toBe('1');
      expect(snapshot.get(utf8('c'))).toBeUndefined();
      const seen = [...snapshot.range({ start: utf8('a'), end: utf8('z') })];
      expect(seen.map(([key, value]) => `${utf8Decode(key)}=${utf8Decode(value)}`)).toEqual([
        'a=1',
        'b=1',
      ]);
      snapshot.close();
      expect(() => snapshot.get(utf8('a'))).toThrow(
        expect.objectContaining({ code: 'STORE_CLOSED' }),
      );
      expect(textOf(store.get(utf8('a')))).toBe('2');
    });

    it('keeps values that the caller or reader changes afterwards', async () => {
      const value = utf8('1');
      await store.commit([{ key: utf8('a'), value }]);
      value[0] = 0;
      (store.get(utf8('a')) as Bytes)[0] = 0;
      expect(textOf(store.get(utf8('a')))).toBe('1');
    });

    it('has every acknowledged commit after a crash, and unacknowledged ones whole or not', async () => {
      await store.commit([put('a', '1')]);
      void store.commit([put('b', '1'), put('c', '1')]).catch(() => undefined);
      await underTest.crash();
      store = underTest.open();
      expect(textOf(store.get(utf8('a')))).toBe('1');
      expect([undefined, '1']).toContain(textOf(store.get(utf8('b'))));
      expect(textOf(store.get(utf8('c')))).toBe(textOf(store.get(utf8('b'))));
    });

    it('refuses work after it was closed', async () => {
      await store.close();
      expect(() => store.get(utf8('a'))).toThrow(expect.objectContaining({ code: 'STORE_CLOSED' }));
      await expect(store.commit([put('a', '1')])).rejects.toMatchObject({ code: 'STORE_CLOSED' });
    });
  });
}
