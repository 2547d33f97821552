/**
 * Takes the clock and the randomness of the machine away from an isolate. Shipped there as source
 * text, so it stands alone; runs before any line of the job.
 */

export function guestClock(seed: readonly number[]): void {
  const NativeDate = Date;
  const { defineProperty, getOwnPropertyDescriptor } = Object;
  const { apply, construct } = Reflect;
  const unbound =
    <T, A extends unknown[], R>(method: (this: T, ...args: A) => R) =>
    (self: T, ...args: A): R =>
      apply(method, self, args);

  // A job has no clock: it would be a timing side channel, and two replicas would disagree.
  const FixedDate = function FixedDate(this: unknown, ...args: unknown[]): unknown {
    if (new.target === undefined) return new NativeDate(0).toString();
    return construct(NativeDate, args.length === 0 ? [0] : args, new.target) as unknown;
  };
  defineProperty(FixedDate, 'name', { value: 'Date' });
  defineProperty(FixedDate, 'length', { value: 7 });
  defineProperty(FixedDate, 'prototype', { value: NativeDate.prototype, writable: false });
  defineProperty(NativeDate.prototype, 'constructor', {
    value: FixedDate,
    writable: true,
    configurable: true,
  });
  for (const name of ['parse', 'UTC'] as const)
    defineProperty(FixedDate, name, {
      value: NativeDate[name],
      writable: true,
      configurable: true,
    });
  defineProperty(FixedDate, 'now', { value: () => 0, writable: true, configurable: true });
  defineProperty(globalThis, 'Date', { value: FixedDate, writable: true, configurable: true });

  const formats = Intl.DateTimeFormat.prototype as unknown as Record<string, unknown>;
  const nativeParts = unbound(formats['formatToParts'] as (this: unknown, d?: unknown) => unknown);
  const nativeFormat = unbound(
    (getOwnPropertyDescriptor(formats, 'format') as { get: () => (d?: unknown) => unknown }).get,
  );
  defineProperty(formats, 'formatToParts', {
    value: function formatToParts(this: unknown, date?: unknown) {
      return nativeParts(this, date === undefined ? 0 : date);
    },
    writable: true,
    configurable: true,
  });
  defineProperty(formats, 'format', {
    get(this: unknown) {
      const format = nativeFormat(this as never);
      return (date?: unknown) => format(date === undefined ? 0 : date);
    },
    configurable: true,
  });

  let [a, b, c, d] = seed as [number, number, number, number];
  // sfc32 (Chris Doty-Humphrey, PractRand), 53 bits from two draws.
  const draw = () => {
    const t = (((a + b) | 0) + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + t;
    return t >>> 0;
  };
  for (let i = 0; i < 12; i++) draw();
  defineProperty(Math, 'random', {
    value: function random() {
      return ((draw() >>> 5) * 67_108_864 + (draw() >>> 6)) / 9_007_199_254_740_992;
    },
    writable: true,
    configurable: true,
  });
}
