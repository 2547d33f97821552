/** Small files of binary formats, written by hand after their specifications. */
import { deflateRawSync } from 'node:zlib';
import type { SeededRandomness } from '#libs/kernel';

/** A ZIP of deflated members, by hand (APPNOTE 4.3). */
function zip(members: Readonly<Record<string, string | Uint8Array>>): Uint8Array {
  const [bodies, directory]: [Buffer[], Buffer[]] = [[], []];
  let offset = 0;
  for (const [name, text] of Object.entries(members)) {
    const packed = deflateRawSync(text);
    const head = Buffer.alloc(30);
    head.writeUInt32LE(0x04034b50, 0);
    head.writeUInt16LE(8, 8);
    head.writeUInt16LE(name.length, 26);
    const entry = Buffer.alloc(46);
    entry.writeUInt32LE(0x02014b50, 0);
    entry.writeUInt16LE(8, 10);
    entry.writeUInt32LE(packed.length, 20);
    entry.writeUInt16LE(name.length, 28);
    entry.writeUInt32LE(offset, 42);
    bodies.push(head, Buffer.from(name), packed);
    directory.push(entry, Buffer.from(name));
    offset += 30 + name.length + packed.length;
  }
  const index = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(Object.keys(members).length, 10);
  end.writeUInt32LE(index.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...bodies, index, end]);
}

export function workbook(sheet: string | Uint8Array): Uint8Array {
  return zip({
    'xl/workbook.xml':
      '<workbook><sheets><sheet name="Visits &amp; more" sheetId="1" r:id="rId1"/></sheets></workbook>',
    'xl/_rels/workbook.xml.rels':
      '<Relationships><Relationship Id="rId1" Target="worksheets/sheet1.xml"/></Relationships>',
    'xl/styles.xml': '<cellXfs><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs>',
    'xl/sharedStrings.xml':
      '<sst><si><t>name</t></si><si><r><t>An</t></r><r><t>na</t></r></si></sst>',
    'xl/worksheets/sheet1.xml': sheet,
  });
}

export const sheetXml = (): string =>
  `<sheetData>
   <row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" t="inlineStr"><is><t>day</t></is></c><c r="C1" t="str"><v>n</v></c></row>
   <row r="2"><c r="A2" t="s"><v>1</v></c><c r="B2" s="1"><v>46023</v></c><c r="C2"><v>1.5</v></c></row>
   <row r="3"><c r="B3" s="1"><v>46024</v></c><c r="C3"><f>1+1</f><v>2</v></c></row></sheetData>`;

/** One empty page with an information dictionary (ISO 32000-1, 7.5). */
export function pdf(): string {
  const objects = [
    '<</Type/Catalog/Pages 2 0 R>>',
    '<</Type/Pages/Kids[3 0 R]/Count 1>>',
    '<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>',
    '<</Title(Claims)/Author(Clinic)/CreationDate(D:20260701080000Z)>>',
  ];
  let text = '%PDF-1.4\n';
  const offsets = objects.map((object, i) => {
    const at = text.length;
    text += `${i + 1} 0 obj${object}endobj\n`;
    return `${String(at).padStart(10, '0')} 00000 n \n`;
  });
  const start = text.length;
  return `${text}xref\n0 5\n0000000000 65535 f \n${offsets.join('')}trailer<</Size 5/Root 1 0 R/Info 4 0 R>>\nstartxref\n${start}\n%%EOF`;
}

/** TIFF 6.0 with EXIF and GPS directories, one after another. */
export function tiff(): Uint8Array {
  const bytes = Buffer.alloc(400);
  bytes.write('II*\0', 'latin1');
  bytes.writeUInt32LE(8, 4);
  let data = 200;
  const directory = (
    at: number,
    entries: readonly (readonly [number, number, number, Buffer])[],
  ) => {
    bytes.writeUInt16LE(entries.length, at);
    entries.forEach(([tag, type, count, value], i) => {
      const entry = at + 2 + i * 12;
      bytes.writeUInt16LE(tag, entry);
      bytes.writeUInt16LE(type, entry + 2);
      bytes.writeUInt32LE(count, entry + 4);
      if (value.length <= 4) return void value.copy(bytes, entry + 8);
      bytes.writeUInt32LE(data, entry + 8);
      value.copy(bytes, data);
      data += value.length;
    });
  };
  const text = (value: string) => Buffer.from(`${value}\0`);
  const long = (value: number) => Buffer.from(Uint32Array.of(value).buffer);
  const degrees = (whole: number, minutes: number) =>
    Buffer.from(Uint32Array.of(whole, 1, minutes, 1, 0, 1).buffer);
  directory(8, [
    [0x010f, 2, 5, text('Acme')],
    [0x8769, 4, 1, long(60)],
    [0x8825, 4, 1, long(100)],
  ]);
  directory(60, [[0x9003, 2, 20, text('2026:07:01 08:00:00')]]);
  directory(100, [
    [1, 2, 2, text('N')],
    [2, 5, 3, degrees(40, 30)],
    [3, 2, 2, text('W')],
    [4, 5, 3, degrees(3, 30)],
  ]);
  return bytes;
}

/** Unsigned, seven bits a byte. */
function varint(value: number): number[] {
  const bytes: number[] = [];
  for (let left = value; ; left >>>= 7) {
    if (left < 128) return [...bytes, left];
    bytes.push((left & 127) | 128);
  }
}
const zigzag = (value: number): number[] => varint((value << 1) ^ (value >> 31));

/** Thrift, compact protocol: a field's value with its type. */
type Thrift = readonly [type: number, bytes: readonly number[]];
const i32 = (value: number): Thrift => [5, zigzag(value)];
const i64 = (value: number): Thrift => [6, zigzag(value)];
const binary = (text: string): Thrift => [8, [...varint(text.length), ...Buffer.from(text)]];
const list = (type: number, items: readonly (readonly number[])[]): Thrift => [
  9,
  [(items.length << 4) | type, ...items.flat()],
];
/** Fields by their numbers, which are below 16 from one to the next. */
function struct(fields: Readonly<Record<number, Thrift>>): Thrift {
  let before = 0;
  const bytes = Object.entries(fields).flatMap(([id, [type, value]]) => {
    const head = ((Number(id) - before) << 4) | type;
    before = Number(id);
    return [head, ...value];
  });
  return [12, [...bytes, 0]];
}

/** A Parquet file of three rows in two plain columns, `n` (INT64) and `name` (text, one missing). */
export function parquet(): Uint8Array {
  const [int64, byteArray] = [2, 6];
  const texts = ['An', 'na'].flatMap((text) => [text.length, 0, 0, 0, ...Buffer.from(text)]);
  const numbers = Buffer.alloc(24);
  [1, 2, 3].forEach((value, i) => numbers.writeBigInt64LE(BigInt(value), 8 * i));
  // Definition levels 1, 0, 1 in one run of eight, bit-packed.
  const levels = [2, 0, 0, 0, 3, 0b101];
  const columns = [
    { name: 'n', type: int64, repetition: 0, body: [...numbers] },
    { name: 'name', type: byteArray, repetition: 1, body: [...levels, ...texts] },
  ];
  const body = [...Buffer.from('PAR1')];
  const chunks = columns.map(({ name, type, body: data }) => {
    const offset = body.length;
    const page = struct({ 1: i32(3), 2: i32(0), 3: i32(3), 4: i32(3) });
    const head = struct({ 1: i32(0), 2: i32(data.length), 3: i32(data.length), 5: page });
    body.push(...head[1], ...data);
    const size = body.length - offset;
    const meta = struct({
      ...{ 1: i32(type), 2: list(5, [zigzag(0)]), 3: list(8, [binary(name)[1]]), 4: i32(0) },
      ...{ 5: i64(3), 6: i64(size), 7: i64(size), 9: i64(offset) },
    });
    return struct({ 2: i64(offset), 3: meta })[1];
  });
  const schema = [
    struct({ 4: binary('root'), 5: i32(columns.length) })[1],
    ...columns.map(
      ({ name, type, repetition }) =>
        struct({
          ...{ 1: i32(type), 3: i32(repetition), 4: binary(name) },
          ...(type === byteArray && { 6: i32(0) }),
        })[1],
    ),
  ];
  const group = struct({ 1: list(12, chunks), 2: i64(body.length), 3: i64(3) })[1];
  const [, footer] = struct({
    ...{ 1: i32(1), 2: list(12, schema), 3: i64(3), 4: list(12, [group]) },
  });
  const length = Buffer.alloc(4);
  length.writeUInt32LE(footer.length);
  return Uint8Array.from([...body, ...footer, ...length, ...Buffer.from('PAR1')]);
}

/** A copy with some bytes changed, numbers made as large as they get, pieces moved, or the end cut off. */
export function mutated(whole: Uint8Array, randomness: SeededRandomness): Uint8Array {
  const bytes = Uint8Array.from(whole);
  for (let left = 1 + randomness.below(3); left > 0; left--) {
    const at = randomness.below(bytes.length);
    const ways = [
      () => void (bytes[at] = randomness.below(256)),
      () => void ((bytes[at] as number) ^= 1 << randomness.below(8)),
      () => void bytes.fill(0xff, at, at + 1 + randomness.below(8)),
      () => void bytes.fill(0x7f, at, at + 1 + randomness.below(4)),
      () => void bytes.copyWithin(at, randomness.below(bytes.length)),
    ];
    ways[randomness.below(ways.length)]?.();
  }
  return randomness.below(7) === 0 ? bytes.subarray(0, randomness.below(bytes.length)) : bytes;
}
