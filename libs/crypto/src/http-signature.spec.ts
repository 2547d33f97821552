import { bytesToHex, isSeeleError, utf8 } from '#libs/kernel';
import fc from 'fast-check';
import { contentDigest, verifyContentDigest } from './content-digest.ts';
import { signatureBase } from './http-signature-base.ts';
import { parseRequestSignature, signRequest, verifyRequest } from './http-signature.ts';
import { createNonceWindow } from './nonce-window.ts';
import { createSigner, verifyForeign } from './signatures.ts';

const code = (action: () => unknown): string => {
  try {
    action();
    return 'accepted';
  } catch (error) {
    if (!isSeeleError(error)) throw error;
    return error.code;
  }
};

describe('RFC 9421 Appendix B.2.6 (ed25519)', () => {
  const request = {
    method: 'POST',
    url: 'https://example.com/foo?param=Value&Pet=dog',
    headers: {
      Host: 'example.com',
      Date: 'Tue, 20 Apr 2021 02:07:55 GMT',
      'Content-Type': 'application/json',
      'Content-Digest':
        'sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:',
      'Content-Length': '18',
      'Signature-Input':
        'sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519"',
      Signature:
        'sig-b26=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==:',
    },
  };
  const seed = Buffer.from('n4Ni+HpISpVObnQMW0wOhCKROaIKqKtW/2ZYb2p9KcU=', 'base64');
  const publicKey = `01${Buffer.from('JrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=', 'base64').toString('hex')}`;
  const { components, parameters, signature } = parseRequestSignature(request);
  const base = signatureBase(request, components, parameters);

  it('gives the printed signature base', () => {
    expect(base).toBe(
      [
        '"date": Tue, 20 Apr 2021 02:07:55 GMT',
        '"@method": POST',
        '"@path": /foo',
        '"@authority": example.com',
        '"content-type": application/json',
        '"content-length": 18',
        '"@signature-params": ("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519"',
      ].join('\n'),
    );
  });

  it('verifies the printed signature and makes the same one', () => {
    expect(verifyForeign(publicKey, utf8(base), signature)).toBe(true);
    const signer = createSigner(new Uint8Array(seed));
    expect(signer.publicKey).toBe(publicKey);
    expect(bytesToHex(signer.signForeign(utf8(base)))).toBe(bytesToHex(signature));
  });

  it('accepts the printed RFC 9530 digest of its body', () => {
    const header = request.headers['Content-Digest'];
    expect(code(() => verifyContentDigest(header, utf8('{"hello": "world"}')))).toBe('accepted');
    expect(code(() => verifyContentDigest(header, utf8('{"hello": "wurld"}')))).toBe(
      'HTTP_DIGEST_MISMATCH',
    );
    expect(contentDigest(utf8('{"hello": "world"}'))).toBe(
      'sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:',
    );
  });
});

describe('signed requests', () => {
  const signer = createSigner(new Uint8Array(32).fill(3));
  const nowS = 1_700_000_000;
  const nonce = '00112233445566778899aabbccddeeff';
  const plain = {
    method: 'POST',
    url: 'http://127.0.0.1:7400/v1/orders?dry=1',
    headers: { 'content-type': 'application/cbor' },
    body: utf8('an order'),
  };
  const signed = (request = plain, options = {}) => ({
    ...request,
    headers: {
      ...request.headers,
      ...signRequest(request, signer, { nowS, nonce, ...options }),
    } as Record<string, string>,
  });
  const verdict = (request: Parameters<typeof verifyRequest>[0], at = nowS, more = {}) =>
    code(() => verifyRequest(request, { nowS: at, ...more }));

  it('name their signer', () => {
    expect(verifyRequest(signed(), { nowS })).toEqual({
      publicKey: signer.publicKey,
      account: signer.account,
      nonce,
      createdS: nowS,
      expiresS: nowS + 60,
    });
    const get = {
      method: 'GET',
      url: 'http://h/',
      headers: { 'content-type': 'x' },
      body: utf8(''),
    };
    expect(verdict(signed(get))).toBe('accepted');
  });

  it('are refused when anything covered was changed', () => {
    const request = signed();
    const { headers } = request;
    expect(verdict({ ...request, method: 'PUT' })).toBe('HTTP_SIGNATURE_WRONG');
    expect(verdict({ ...request, url: `${plain.url}0` })).toBe('HTTP_SIGNATURE_WRONG');
    expect(verdict({ ...request, url: 'http://evil/v1/orders?dry=1' })).toBe(
      'HTTP_SIGNATURE_WRONG',
    );
    expect(verdict({ ...request, body: utf8('an odder') })).toBe('HTTP_DIGEST_MISMATCH');
    const digest = contentDigest(utf8('other'));
    const swapped = {
      ...request,
      body: utf8('other'),
      headers: { ...headers, 'content-digest': digest },
    };
    expect(verdict(swapped)).toBe('HTTP_SIGNATURE_WRONG');
    const input = headers['signature-input'] as string;
    const later = input.replace(`expires=${nowS + 60}`, `expires=${nowS + 59}`);
    expect(later).not.toBe(input);
    expect(verdict({ ...request, headers: { ...headers, 'signature-input': later } })).toBe(
      'HTTP_SIGNATURE_WRONG',
    );
    const otherKey = createSigner(new Uint8Array(32)).publicKey;
    const claimed = input.replace(signer.publicKey, otherKey);
    expect(verdict({ ...request, headers: { ...headers, 'signature-input': claimed } })).toBe(
      'HTTP_SIGNATURE_WRONG',
    );
  });

  it('are refused before and after their time', () => {
    expect(verdict(signed(), nowS + 60)).toBe('accepted');
    expect(verdict(signed(), nowS + 61)).toBe('HTTP_SIGNATURE_EXPIRED');
    expect(verdict(signed(), nowS - 10)).toBe('accepted');
    expect(verdict(signed(), nowS - 11)).toBe('HTTP_SIGNATURE_EXPIRED');
    expect(verdict(signed(plain, { lifetimeS: 61 }))).toBe('HTTP_SIGNATURE_EXPIRED');
  });

  it('must cover method, address and body, and carry a nonce', () => {
    expect(verdict(plain)).toBe('HTTP_SIGNATURE_MISSING');
    const withoutBody = { ...plain, body: utf8('') };
    expect(verdict({ ...signed(withoutBody), body: plain.body })).toBe(
      'HTTP_SIGNATURE_INSUFFICIENT',
    );
    const required = { alsoRequire: ['Content-Type'] };
    expect(verdict(signed(), nowS, required)).toBe('HTTP_SIGNATURE_INSUFFICIENT');
    expect(verdict(signed(plain, { alsoCover: ['Content-Type'] }), nowS, required)).toBe(
      'accepted',
    );
    const request = signed();
    for (const [part, expected] of [
      ['"@method" ', 'HTTP_SIGNATURE_INSUFFICIENT'],
      ['"@target-uri" ', 'HTTP_SIGNATURE_INSUFFICIENT'],
      [`nonce="${nonce}";`, 'HTTP_SIGNATURE_INSUFFICIENT'],
      [`created=${nowS};`, 'HTTP_SIGNATURE_INSUFFICIENT'],
      [`;keyid="${signer.publicKey}"`, 'HTTP_SIGNATURE_INSUFFICIENT'],
    ] as const) {
      const input = request.headers['signature-input'] as string;
      expect(input).toContain(part);
      const headers = { ...request.headers, 'signature-input': input.replace(part, '') };
      expect(verdict({ ...request, headers })).toBe(expected);
    }
  });

  it('are good once, within a bounded memory', () => {
    const nonces = createNonceWindow(2);
    const use = (name: string, atS: number) =>
      code(() => nonces.use(signer.publicKey, name, nowS + 60, atS));
    expect(use('a', nowS)).toBe('accepted');
    expect(use('a', nowS + 60)).toBe('HTTP_SIGNATURE_REPLAYED');
    expect(use('b', nowS)).toBe('accepted');
    expect(use('c', nowS)).toBe('HTTP_NONCES_FULL');
    expect(use('c', nowS + 62)).toBe('accepted');
    expect(nonces.size).toBe(1);
  });

  it('give nothing but clear errors on hostile headers', () => {
    const request = signed();
    const mutated = fc
      .record({
        header: fc.constantFrom('signature', 'signature-input', 'content-digest'),
        at: fc.nat(300),
        text: fc.oneof(fc.string({ maxLength: 5 }), fc.constantFrom('"', ';', '=', '(', ')', ':')),
        cut: fc.nat(4),
      })
      .map(({ header, at, text, cut }) => {
        const value = request.headers[header as 'signature'] as string;
        const changed =
          value.slice(0, at % value.length) + text + value.slice((at % value.length) + cut);
        return { changed: changed !== value, headers: { ...request.headers, [header]: changed } };
      });
    fc.assert(
      fc.property(mutated, ({ headers, changed }) => {
        fc.pre(changed);
        // Optional white space may be added to a structured field without changing its meaning.
        expect(verdict({ ...request, headers })).toMatch(/^(HTTP_|accepted)/);
      }),
      { numRuns: 100 },
    );
    fc.assert(
      fc.property(fc.string(), fc.string(), (input, signature) => {
        const headers = { 'signature-input': input, signature };
        expect(verdict({ ...plain, headers })).toMatch(/^HTTP_/);
      }),
      { numRuns: 100 },
    );
  });
});
