import { type SearchOptions, queryOf } from './catalogue.ts';

const none = { keyword: [], theme: [], column: [], mediaType: [], mechanism: [] };
const options = (given: Partial<SearchOptions>): SearchOptions => ({
  ...{ ...none, purpose: [], publisher: [], limit: '20', offset: '0' },
  ...given,
});

test('what is searched for goes to the market under the names of its API', () => {
  const given = { maxPrice: '12.5', place: '-5.9,47.2,15.1,55.1', since: '2026-01-01' };
  expect(queryOf(options({ ...given, keyword: ['rain'] }), ['daily claims', 'north'])).toEqual({
    ...{ text: '"daily claims" north', maxPrice: '12.5', place: '-5.9,47.2,15.1,55.1' },
    ...{ from: '2026-01-01', keyword: ['rain'], limit: 20, offset: 0 },
  });
});

test.each([
  [{ maxPrice: 'cheap' }, '--max-price is an amount, such as 12.5, not "cheap"'],
  [{ maxPrice: '-1' }, '--max-price'],
  [{ place: '5.9,47.2' }, '--place is west,south,east,north in degrees, not "5.9,47.2"'],
  [{ since: 'yesterday' }, '--since is a day, such as 2026-01-31, not "yesterday"'],
  [{ until: '31.12.2026' }, '--until'],
  [{ limit: 'all' }, '--limit'],
])('wrong options of a search are named as they were given: %j', (given, words) => {
  expect(() => queryOf(options(given), [])).toThrow(words);
});
