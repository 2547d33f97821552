import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import fc from 'fast-check';
import { parseCid } from '#libs/storage';

import { byteRangeOf, isUnchanged } from './conditions.ts';
import { directoryPage } from './directory-page.ts';
import { parseGatewayRequest } from './gateway-request.ts';

const CID = 'bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e';

function exchange(headers: Record<string, string>, etag = '"one"') {
  const request = new IncomingMessage(new Socket());
  request.method = 'GET';
  Object.assign(request.headers, headers);
  const response = new ServerResponse(request);
  response.setHeader('etag', etag);
  return { request, response };
}

const rangeOf = (range: string, sizeBytes: number) => {
  const { request, response } = exchange({ range });
  return byteRangeOf(request, response, sizeBytes);
};

describe('RFC 9110 14 range requests', () => {
  it.each([
    ['bytes=0-4', { start: 0, end: 5 }],
    ['bytes=5-', { start: 5, end: 10 }],
    ['bytes=-3', { start: 7, end: 10 }],
    ['bytes=-30', { start: 0, end: 10 }],
    ['bytes=0-99', { start: 0, end: 10 }],
    ['bytes=10-', 'unsatisfiable'],
    ['bytes=-0', 'unsatisfiable'],
    ['bytes=5-4', undefined],
    ['bytes=0-1,3-4', undefined],
    ['lines=0-4', undefined],
    ['bytes=-', undefined],
  ])('%s of ten bytes', (range, expected) => {
    expect(rangeOf(range, 10)).toEqual(expected);
  });

  it('whatever is asked, a range lies in the content', () => {
    const text = fc.oneof(
      fc.string(),
      fc.tuple(fc.nat(), fc.nat()).map(([a, b]) => `${a}-${b}`),
    );
    fc.assert(
      fc.property(text, fc.nat({ max: 100 }), (asked, size) => {
        const range = rangeOf(`bytes=${asked}`, size);
        if (typeof range !== 'object') return;
        expect(range.start).toBeLessThan(range.end);
        expect(range.start).toBeGreaterThanOrEqual(0);
        expect(range.end).toBeLessThanOrEqual(size);
      }),
    );
  });
});

describe('RFC 9110 13.1.2 If-None-Match', () => {
  it.each([
    ['"one"', true],
    ['W/"one"', true],
    ['"other", W/"one"', true],
    ['*', true],
    ['"on', false],
    ['"oneself"', false],
  ])('%s', (asked, expected) => {
    const { request, response } = exchange({ 'if-none-match': asked });
    expect(isUnchanged(request, response)).toBe(expected);
  });
});

describe('a listing', () => {
  it('escapes names that somebody chose', async () => {
    async function* entries() {
      yield await Promise.resolve({ name: '<script>"x"</script>', cid: parseCid(CID) });
    }
    let page = '';
    const path = { root: parseCid(CID), segments: ['a"b<'] };
    for await (const part of directoryPage(path, entries())) page += part;
    expect(page).not.toMatch(/<script|"x"|a"b</);
    expect(page).toContain('&lt;script&gt;&quot;x&quot;');
    expect(page).toContain(`href="/ipfs/${CID}/a%22b%3C/%3Cscript%3E%22x%22%3C%2Fscript%3E"`);
  });
});

describe('requests', () => {
  it('any path, query and Accept gives a request or a coded error', () => {
    fc.assert(
      fc.property(fc.webUrl({ withQueryParameters: true }), fc.string(), (url, accept) => {
        const { request } = exchange({ accept });
        request.url = `/ipfs/${CID}/${new URL(url).pathname}${new URL(url).search}`;
        try {
          expect(parseGatewayRequest(request).path.root.toString()).toBe(CID);
        } catch (error) {
          expect((error as { code?: string }).code).toMatch(/^STORAGE_/);
        }
      }),
    );
  });
});
