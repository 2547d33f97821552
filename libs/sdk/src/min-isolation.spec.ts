import { defaultMinIsolation } from './jobs.ts';

describe('the isolation asked for where nothing was said', () => {
  it.each([
    ['http://127.0.0.1:7400', 'S0'],
    ['http://localhost:7400', 'S0'],
    ['http://[::1]:7400', 'S0'],
    ['https://market.example', 'S2'],
    ['http://127.example', 'S2'],
    ['http://10.0.0.1:7400', 'S2'],
  ])('%s: %s', (url, level) => expect(defaultMinIsolation(url)).toBe(level));
});
