/** Small files of binary formats, written by hand after their specifications. */
import { deflateRawSync } from 'node:zlib';

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
