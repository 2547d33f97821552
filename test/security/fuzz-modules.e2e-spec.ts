import { fuzzModules } from './fuzz-modules.ts';

describe('mutated WebAssembly modules', () => {
  it('are refused by name or run within their fuel; ten thousand by the command', () => {
    const { failures, tried, ran, refused } = fuzzModules(600, 7);
    expect(failures).toEqual([]);
    expect(ran).toBeGreaterThan(3);
    const sum = Object.values(refused).reduce((total, n) => total + n, 0);
    expect(ran + sum).toBe(tried);
  });
});
