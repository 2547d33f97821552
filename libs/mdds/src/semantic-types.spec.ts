import { findSemanticTypes, hasLuhnDigit, isIban, vetoedColumns, wordsOfName } from './index.ts';

const personal = (name: string, values: readonly string[] = []) =>
  findSemanticTypes({ name, values })
    .filter(({ isPersonal }) => isPersonal)
    .map(({ type }) => type);

describe('detectors of personal data', () => {
  it.each([
    ['e-mail addresses', 'contact', ['a@b.ch', 'x.y@mail.example', 'z@q.org', 'none'], ['email']],
    [
      'IBANs',
      'account',
      ['DE89 3704 0044 0532 0130 00', 'GB82WEST12345698765432', 'CH9300762011623852957'],
      ['iban'],
    ],
    [
      'card numbers',
      'payment',
      ['4111 1111 1111 1111', '5500005555555559', '378282246310005'],
      ['payment-card'],
    ],
    [
      'telephone numbers',
      'reach',
      ['+41 44 668 18 00', '+1 212-555-0100', '+4930123456'],
      ['phone'],
    ],
    ['addresses of machines', 'client', ['10.0.0.1', '192.168.4.77', '8.8.8.8'], ['ip-address']],
  ])('know %s by their values', (_what, name, values, types) => {
    const [first] = values;
    const enough = values.length > 3 ? [...values, first as string] : values;
    expect(personal(name, enough)).toEqual(types);
  });

  it.each([
    ...[
      ['patientID', 'person-id'],
      ['patient_id', 'person-id'],
      ['Patient Id', 'person-id'],
    ],
    ...[
      ['EMail', 'email'],
      ['date-of-birth', 'birth-date'],
      ['customer.lastName', 'person-name'],
      ['CVV', 'payment-card'],
    ],
  ])('know %s by its name, without a sample', (name, type) => {
    expect(personal(name)).toEqual([type]);
  });

  // Misfires of other detectors that match inside values and names.
  it.each([
    ['years beside the word code', 'year_code', ['1999', '2004', '2026', '2019']],
    ['numbers of scans', 'scan', ['SCN-125', 'SCN-126', 'SCN-127']],
    ['acid levels, whose name holds "cid"', 'acid_level', ['3.1', '4.2', '5.0']],
    ['companies, whose name holds "pan"', 'company', ['Acme', 'Initech', 'Umbrella']],
    ['descriptions, whose name holds "ip"', 'description', ['one', 'two', 'three']],
    [
      'long numbers without a check digit',
      'serial',
      ['4111111111111112', '5500005555555550', '378282246310006'],
    ],
    ['version numbers of four parts', 'build', ['1.2.3.4567', '10.0.19041.1', '6.1.7601.17514']],
    ['bank codes', 'bank', ['DE00370400440532013000', 'GB00WEST12345698765432', 'XX1234']],
    ['texts that hold an address', 'note', ['write to a@b.ch', 'ask x@y.org', 'see z@q.net']],
    ['a column with few hits', 'mixed', ['a@b.ch', 'one', 'two', 'three', 'four']],
    ['two values only', 'pair', ['a@b.ch', 'c@d.ch']],
  ])('keep still about %s', (_what, name, values) => {
    expect(personal(name, values)).toEqual([]);
  });

  it('say what is not personal too, and veto only what is', () => {
    const uuids = Array.from({ length: 3 }, (_, i) => `0000000${i}-1111-4222-8333-444444444444`);
    const columns = [
      { name: 'key', values: uuids },
      { name: 'mail', values: ['a@b.ch', 'b@c.ch', 'c@d.ch'] },
      { name: 'lat', values: ['47.1', '46.9', '47.0'] },
    ];
    expect(findSemanticTypes(columns[0] as (typeof columns)[0])).toEqual([
      { type: 'uuid', isPersonal: false, by: 'values', share: 1 },
    ]);
    expect(vetoedColumns(columns)).toEqual(['mail']);
  });

  it('check digits and words are as the standards say', () => {
    expect([hasLuhnDigit('79927398713'), hasLuhnDigit('79927398714')]).toEqual([true, false]);
    expect([isIban('CH93 0076 2011 6238 5295 7'), isIban('CH93 0076 2011 6238 5295 8')]).toEqual([
      true,
      false,
    ]);
    expect(wordsOfName('HTTPServer_clientIP')).toBe('http server client ip');
  });
});
