/**
 * ipfs/gateway-conformance: the assertions about trustless gateways (blocks and CARs by CID and path)
 * and about path gateways (files, directories and links as they are), on every CAR fixture below DIR. The storage process serves them; what each answer must be is worked
 * out here from the fixture alone.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { CarReader } from '@ipld/car';
import { type StorageProcess, startStorage } from '../e2e/storage-process.ts';
import { Asker, cacheFault, escaped, headerFaults } from './gateway-asker.ts';
import { fileCases, fileRefusals } from './gateway-files.ts';
import {
  type Asked,
  type Fixture,
  everything,
  fileRange,
  fileSize,
  pathsOf,
  shardsOf,
  view,
} from './gateway-fixture.ts';
import type { Suite } from './suite.ts';

const RAW_TYPE = 'application/vnd.ipld.raw';
const CAR_TYPE = 'application/vnd.ipld.car';
/** A block that no fixture has. */
const ABSENT = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy';

async function carBlocks(response: Response): Promise<string[]> {
  const reader = await CarReader.fromBytes(new Uint8Array(await response.arrayBuffer()));
  const found: string[] = [];
  for await (const { cid } of reader.blocks()) found.push(cid.toString());
  return found;
}

const same = (a: readonly string[], b: readonly string[]): string | undefined =>
  a.join() === b.join() ? undefined : `blocks expected:\n${a.join('\n')}\nfound:\n${b.join('\n')}`;

class TrustlessCases extends Asker {
  async blocks(fixture: Fixture, asked: Asked): Promise<void> {
    const { path, end } = asked;
    const bytes = fixture.blocks.get(end.toString()) as Uint8Array;
    const label = `${fixture.name} ${path}`;
    const body = async (response: Response) =>
      Buffer.from(await response.arrayBuffer()).equals(bytes) ? undefined : 'another block';
    await this.ask(`${label} format=raw`, `${path}?format=raw`, 200, body);
    const headers = { accept: RAW_TYPE };
    await this.ask(`${label} Accept raw`, path, 200, body, { headers });
    await this.ask(`${label} raw headers`, `${path}?format=raw`, 200, (response) =>
      headerFaults(response, {
        'content-type': new RegExp(`^${escaped(RAW_TYPE)}$`),
        'content-length': new RegExp(`^${bytes.length}$`),
        'content-disposition': /attachment;\s*filename=".*\.bin"/,
        'x-content-type-options': /^nosniff$/,
        'x-ipfs-path': new RegExp(`^${escaped(path)}$`),
        'x-ipfs-roots': new RegExp(end.toString()),
        etag: /.+/,
      }),
    );
    await this.ask(`${label} raw caching`, `${path}?format=raw`, 200, cacheFault);
    await this.ask(`${label} filename`, `${path}?format=raw&filename=foobar.bin`, 200, (response) =>
      headerFaults(response, { 'content-disposition': /attachment;\s*filename="foobar\.bin"/ }),
    );
    await this.ask(
      `${label} HEAD`,
      `${path}?format=raw`,
      200,
      (response) => headerFaults(response, { 'content-length': new RegExp(`^${bytes.length}$`) }),
      { method: 'HEAD' },
    );
    await this.notModified(label, `${path}?format=raw`);
  }

  async car(
    label: string,
    path: string,
    expected: readonly string[] | undefined,
    init: RequestInit = {},
  ): Promise<void> {
    if (expected === undefined) return; // The fixture lacks what would be asked for.
    const wanted = [...new Set(expected)];
    await this.ask(label, path, 200, async (r) => same(wanted, await carBlocks(r)), init);
  }

  async cars(fixture: Fixture, asked: Asked): Promise<void> {
    const { path, way, end } = asked;
    const label = `${fixture.name} ${path}`;
    const all = everything(fixture, end);
    const from = (blocks: readonly string[] | undefined) => blocks && [...way, ...blocks];
    const found = view(fixture, end);
    const isFile = found?.kind === 'file';
    await this.car(`${label} car`, `${path}?format=car`, from(all));
    await this.car(`${label} Accept car`, path, from(all), { headers: { accept: CAR_TYPE } });
    await this.car(`${label} all`, `${path}?format=car&dag-scope=all`, from(all));
    const block = `${path}?format=car&dag-scope=block`;
    await this.car(`${label} block`, block, from([end.toString()]));
    const size = isFile ? fileSize(fixture, end) : 0;
    const entity = isFile ? fileRange(fixture, end, 0, size) : shardsOf(fixture, end);
    await this.car(`${label} entity`, `${path}?format=car&dag-scope=entity`, from(entity));
    await this.ask(`${label} car headers`, block, 200, (response) =>
      headerFaults(response, {
        'content-type': new RegExp(`^${escaped(CAR_TYPE)}; *version=1`),
        'content-disposition': /attachment;\s*filename=".*\.car"/,
        'x-content-type-options': /^nosniff$/,
        'accept-ranges': /^none$/,
        'x-ipfs-path': new RegExp(`^${escaped(path)}$`),
        etag: /.+/,
      }),
    );
    await this.ask(`${label} car caching`, block, 200, cacheFault);
    await this.notModified(`${label} car`, block);
    if (!isFile || size === 0) return;
    const ranges: [string, number, number][] = [
      ['0:*', 0, size],
      [`0:${Math.min(999, size - 1)}`, 0, Math.min(1000, size)],
      [`${Math.floor(size / 2)}:*`, Math.floor(size / 2), size],
      [`-${Math.min(5, size)}:*`, size - Math.min(5, size), size],
      [`0:-1`, 0, size],
      [`0:${size + 1_000_000}`, 0, size],
    ];
    for (const [text, start, stop] of ranges) {
      const query = `format=car&dag-scope=entity&entity-bytes=${text}`;
      const blocks = from(fileRange(fixture, end, start, stop));
      await this.car(`${label} entity-bytes=${text}`, `${path}?${query}`, blocks);
    }
  }

  async refusals(fixture: Fixture): Promise<void> {
    const path = `/ipfs/${fixture.root.toString()}`;
    const { name } = fixture;
    const absent = `${path}/i-do-not-exist`;
    await this.ask(`${name} no such path, raw`, `${absent}?format=raw`, 404);
    await this.ask(`${name} no such path, car`, `${absent}?format=car`, 404);
    for (const query of ['entity-bytes=x:y', 'entity-bytes=9:1', 'dag-scope=nothing'])
      await this.ask(`${name} ${query}`, `${path}?format=car&${query}`, 400);
  }
}

function carFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.car'))
    .map((file) => join(folder, file))
    .toSorted();
}

async function fixturesOf(file: string, folder: string): Promise<Fixture[]> {
  const reader = await CarReader.fromBytes(readFileSync(file));
  const blocks = new Map<string, Uint8Array>();
  for await (const { cid, bytes } of reader.blocks()) blocks.set(cid.toString(), bytes);
  const name = relative(folder, file);
  return (await reader.getRoots())
    .filter((root) => blocks.has(root.toString()))
    .map((root) => ({ name, root, blocks }));
}

async function load(storage: StorageProcess, file: string): Promise<void> {
  const source = [readFileSync(file)];
  // Some fixtures lack blocks on purpose: they cannot be pinned.
  for await (const _ of storage.client.dag.import(source, { pinRoots: false }));
}

export const gateway: Suite = async (folder) => {
  const files = carFiles(folder);
  if (files.length === 0) throw new Error(`there are no CAR files below ${folder}`);
  const env = { SEELE_STORAGE_SWARM: 'off', SEELE_STORAGE_GATEWAY: '127.0.0.1:0' };
  const storage = await startStorage({ env });
  try {
    const runner = new TrustlessCases(storage.gateway);
    await runner.ask('unknown block', `/ipfs/${ABSENT}?format=raw`, 404);
    await runner.ask('no CID', '/ipfs/nonsense?format=raw', 400);
    await runner.ask('empty identity block', '/ipfs/bafkqaaa?format=raw', 200);
    await runner.ask('POST', `/ipfs/${ABSENT}?format=raw`, 405, undefined, { method: 'POST' });
    await fileRefusals(runner);
    for (const file of files) {
      await load(storage, file);
      for (const fixture of await fixturesOf(file, folder)) {
        await Promise.all(
          pathsOf(fixture).flatMap((asked) => [
            runner.blocks(fixture, asked),
            runner.cars(fixture, asked),
            fileCases(runner, fixture, asked),
          ]),
        );
        await runner.refusals(fixture);
      }
    }
    return runner.results.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  } finally {
    await storage.discard();
  }
};
