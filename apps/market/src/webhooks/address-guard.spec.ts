import fc from 'fast-check';
import { isSeeleError } from '#libs/kernel';
import {
  DEFAULT_TARGET_POLICY,
  type TargetPolicy,
  checkTarget,
  isPublicAddress,
  pinAddress,
} from './address-guard.ts';

const local: TargetPolicy = { ...DEFAULT_TARGET_POLICY, allowLocal: true };

const codeOf = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    return isSeeleError(error) ? error.code : String(error);
  }
  return 'ok';
};

const PUBLIC = [
  '1.1.1.1',
  '8.8.8.8',
  '100.63.255.255',
  '100.128.0.1',
  '172.15.1.1',
  '172.32.0.1',
].concat(['192.169.0.1', '11.0.0.1', '223.255.255.255', '2606:4700:4700::1111', '2a00:1450::8a']);

/** First, last and some between, of each range that must never be reached. */
const INNER = ['0.0.0.0', '0.1.2.3', '10.0.0.0', '10.255.255.255', '100.64.0.1', '100.127.255.255']
  .concat(['127.0.0.1', '127.255.255.254', '169.254.0.1', '169.254.169.254', '172.16.0.1'])
  .concat(['172.31.255.255', '192.0.0.170', '192.0.2.1', '192.88.99.1', '192.168.0.1'])
  .concat(['192.168.255.255', '198.18.0.1', '198.19.255.255', '198.51.100.7', '203.0.113.9'])
  .concat(['224.0.0.1', '239.255.255.255', '240.0.0.1', '255.255.255.255'])
  .concat(['::', '::1', '::ffff:127.0.0.1', '::ffff:7f00:1', '::ffff:8.8.8.8', '::127.0.0.1'])
  .concat(['64:ff9b::a00:1', '64:ff9b::10.0.0.1', '64:ff9b:1::1', '100::1', 'fc00::1', 'fd12::1'])
  .concat(['fe80::1', 'fe80::1%eth0', 'fec0::1', 'ff02::1', '2001::1', '2001:db8::1'])
  .concat(['2002:7f00:1::', '2002:a00:1::1', '3fff::1', '5f00::1', 'not an address', '']);

describe('addresses of webhooks', () => {
  it.each(PUBLIC)('%s is public', (address) => {
    expect(isPublicAddress(address)).toBe(true);
  });

  it.each(INNER)('%s is not', (address) => {
    expect(isPublicAddress(address)).toBe(false);
  });

  it('an address inside is refused however it is spelled', () => {
    const spellings = [
      '127.0.0.1',
      '0x7f.1',
      '2130706433',
      '017700000001',
      '127.1',
      '0',
      '127.0.0.1.',
    ]
      .concat(['[::1]', '[::ffff:127.0.0.1]', '[0:0:0:0:0:ffff:7f00:1]', '[fe80::1]', '[::]'])
      .concat(['169.254.169.254', '0xA9FEA9FE', '[64:ff9b::169.254.169.254]', '１２７.０.０.１'])
      .concat([
        'localhost',
        'LOCALHOST',
        'localhost.',
        'a.localhost',
        'db.internal',
        'printer.local',
      ])
      .concat(['market', 'router.lan', 'x.home.arpa']);
    for (const host of spellings)
      expect([host, codeOf(() => checkTarget(`https://${host}/`, DEFAULT_TARGET_POLICY))]).toEqual([
        host,
        'WEBHOOK_URL',
      ]);
  });

  it('only https, without credentials and fragment, on the ports of the operator', () => {
    const check = (url: string) => codeOf(() => checkTarget(url, DEFAULT_TARGET_POLICY));
    expect(check('https://hooks.example.com/a?b=c')).toBe('ok');
    expect(check('https://hooks.example.com:8443/')).toBe('ok');
    for (const url of [
      'http://hooks.example.com/',
      'https://u:p@hooks.example.com/',
      'nonsense',
      '',
    ]
      .concat([
        'https://hooks.example.com/#x',
        'https://hooks.example.com:22/',
        'ftp://example.com/',
      ])
      .concat([
        'file:///etc/passwd',
        'gopher://example.com/',
        `https://example.com/${'a'.repeat(2100)}`,
      ]))
      expect([url, check(url)]).toEqual([url, 'WEBHOOK_URL']);
  });

  it('http and loopback only where the operator lets them, and no other inner address even there', () => {
    const check = (url: string) => codeOf(() => checkTarget(url, local));
    expect(check('http://127.0.0.1:9000/hook')).toBe('ok');
    expect(check('http://localhost:9000/')).toBe('ok');
    expect(check('https://[::1]:1/')).toBe('ok');
    for (const url of ['http://10.0.0.1/', 'https://192.168.1.1/', 'http://hooks.example.com/'])
      expect([url, check(url)]).toEqual([url, 'WEBHOOK_URL']);
  });

  it('a name is pinned only if all that it resolves to is public', () => {
    const pin = (...addresses: string[]) =>
      codeOf(() => pinAddress('hooks.example.com', addresses, local));
    expect(pinAddress('hooks.example.com', ['1.1.1.1', '8.8.8.8'], local)).toBe('1.1.1.1');
    expect(pin('1.1.1.1', '10.0.0.1')).toBe('WEBHOOK_ADDRESS');
    expect(pin('127.0.0.1')).toBe('WEBHOOK_ADDRESS');
    expect(pin()).toBe('WEBHOOK_DNS');
    expect(pinAddress('localhost', ['127.0.0.1'], local)).toBe('127.0.0.1');
  });

  it('no text makes it throw anything but WEBHOOK_URL, nor pass with an inner address', () => {
    const anything = fc.oneof(
      fc.string(),
      fc.webUrl(),
      fc.ipV4().map((ip) => `https://${ip}/`),
      fc.ipV6().map((ip) => `https://[${ip}]/`),
      fc.nat(2 ** 32 - 1).map((ip) => `https://${ip}/`),
    );
    fc.assert(
      fc.property(anything, (text) => {
        try {
          const { host } = checkTarget(text, DEFAULT_TARGET_POLICY);
          if (/^[\d.]+$|:/.test(host)) expect(isPublicAddress(host)).toBe(true);
        } catch (error) {
          expect(isSeeleError(error) && error.code).toBe('WEBHOOK_URL');
        }
      }),
      { numRuns: 300 },
    );
  });
});
