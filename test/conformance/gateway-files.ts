/** What a path gateway must answer: files, directories and links as they are. */
import { type Asker, cacheFault, escaped, headerFaults } from './gateway-asker.ts';
import { type Asked, type Fixture, contentOf, entries, shardsOf, view } from './gateway-fixture.ts';

/** A block that no fixture has. */
const ABSENT = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy';

const bodyIs = (bytes: Buffer) => async (response: Response) =>
  Buffer.from(await response.arrayBuffer()).equals(bytes) ? undefined : 'other bytes';

async function fileAnswers(asker: Asker, label: string, asked: Asked, content: Buffer) {
  const { path, end } = asked;
  const size = content.length;
  await asker.ask(`${label} file`, path, 200, bodyIs(content));
  await asker.ask(`${label} file headers`, path, 200, (response) =>
    headerFaults(response, {
      'content-length': new RegExp(`^${size}$`),
      'content-type': /^[\w.+-]+\/[\w.+-]+(?:; ?charset=utf-8)?$/,
      'x-content-type-options': /^nosniff$/,
      'accept-ranges': /^bytes$/,
      etag: new RegExp(`^"${end.toString()}"$`),
      'x-ipfs-path': new RegExp(`^${escaped(path)}$`),
      'x-ipfs-roots': new RegExp(`${end.toString()}$`),
    }),
  );
  await asker.ask(`${label} file caching`, path, 200, cacheFault);
  await asker.notModified(`${label} file`, path);
  const weak = { headers: { 'if-none-match': `"other", W/"${end.toString()}"` } };
  await asker.ask(`${label} weak If-None-Match in a list`, path, 304, undefined, weak);
  const download = `${path}?filename=a%20b.txt&download=true`;
  await asker.ask(`${label} download`, download, 200, (response) =>
    headerFaults(response, { 'content-disposition': /^attachment; *filename="a.?b\.txt"/ }),
  );
  const length = (response: Response) =>
    headerFaults(response, { 'content-length': new RegExp(`^${size}$`) });
  await asker.ask(`${label} file HEAD`, path, 200, length, { method: 'HEAD' });
  if (size === 0) return;
  const ranges: [string, number, number][] = [
    ['0-0', 0, 1],
    [`${Math.floor(size / 2)}-`, Math.floor(size / 2), size],
    [`-${Math.min(5, size)}`, size - Math.min(5, size), size],
    [`0-${size + 1_000_000}`, 0, size],
  ];
  for (const [text, start, stop] of ranges) {
    const headers = { range: `bytes=${text}` };
    const part = content.subarray(start, stop);
    await asker.ask(`${label} Range ${text}`, path, 206, bodyIs(part), { headers });
    const stated = new RegExp(`^bytes ${start}-${stop - 1}/${size}$`);
    const check = (r: Response) => headerFaults(r, { 'content-range': stated });
    await asker.ask(`${label} Content-Range ${text}`, path, 206, check, { headers });
  }
  const beyond = { headers: { range: `bytes=${size}-` } };
  await asker.ask(`${label} Range beyond the end`, path, 416, undefined, beyond);
  const changed = { headers: { range: 'bytes=0-0', 'if-range': '"another"' } };
  await asker.ask(`${label} If-Range of another`, path, 200, bodyIs(content), changed);
}

async function directoryAnswers(asker: Asker, fixture: Fixture, label: string, asked: Asked) {
  const { path, end } = asked;
  const redirect = { redirect: 'manual' } as const;
  const to = (location: string) => (response: Response) =>
    headerFaults(response, { location: new RegExp(`${escaped(location)}$`) });
  await asker.ask(`${label} without slash`, path, 301, to(`${path}/`), redirect);
  const query = `${path}?filename=x`;
  await asker.ask(`${label} keeps its query`, query, 301, to(`${path}/?filename=x`), redirect);
  const inside = entries(fixture, end);
  const index = inside.find(({ link }) => link.name === 'index.html');
  const content = index && contentOf(fixture, index.link.cid);
  if (index) {
    if (content) await asker.ask(`${label} index.html`, `${path}/`, 200, bodyIs(content));
    return;
  }
  await asker.ask(`${label} listing`, `${path}/`, 200, async (response) => {
    const page = (await response.text()).replaceAll('&#39;', "'");
    const missing = inside.find(({ link }) => !page.includes(encodeURIComponent(link.name)));
    return missing ? `${missing.link.name} is not listed` : undefined;
  });
  await asker.ask(`${label} listing headers`, `${path}/`, 200, (response) =>
    headerFaults(response, {
      'content-type': /^text\/html/,
      etag: new RegExp(`^(?:W/)?"DirIndex-.*_CID-${end.toString()}"$`),
      'x-ipfs-path': new RegExp(`^${escaped(path)}/$`),
    }),
  );
  await asker.notModified(`${label} listing`, `${path}/`);
}

/** Requests for one path of a fixture without a format. */
export async function fileCases(asker: Asker, fixture: Fixture, asked: Asked): Promise<void> {
  const { path, end } = asked;
  const label = `${fixture.name} ${path}`;
  const found = view(fixture, end);
  const content = contentOf(fixture, end);
  if (found?.kind === 'file' && content) {
    await fileAnswers(asker, label, asked, content);
    await asker.ask(`${label} below a file`, `${path}/below`, 404);
  }
  if (found?.kind === 'symlink' && content)
    await asker.ask(`${label} link`, path, 200, bodyIs(content));
  // Without all of its shards a directory can neither be listed nor searched.
  const isWhole = found?.kind === 'sharded' && shardsOf(fixture, end) !== undefined;
  if (found?.kind === 'directory' || isWhole) {
    await directoryAnswers(asker, fixture, label, asked);
    await asker.ask(`${label} no such name`, `${path}/i-do-not-exist`, 404);
  }
  const cached = { headers: { 'cache-control': 'only-if-cached' } };
  await asker.ask(`${label} only-if-cached`, `${path}?format=raw`, 200, undefined, cached);
}

/** Requests that no fixture is needed for. */
export async function fileRefusals(asker: Asker): Promise<void> {
  const path = `/ipfs/${ABSENT}`;
  const cached = { headers: { 'cache-control': 'only-if-cached' }, method: 'HEAD' };
  await asker.ask('only-if-cached of what is not here', path, 412, undefined, cached);
  await asker.ask('not here', path, 404);
  await asker.ask('no CID, no format', '/ipfs/nonsense', 400);
  await asker.ask('a format there is not', '/ipfs/bafkqaaa?format=nonsense', 406);
}
