import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createSeededRandomness } from '#libs/kernel';
import { SECRET_BYTES, describeDataset, exportCroissant } from '#libs/mdds';
import { runSuite } from './main.ts';
import { FULL_DESCRIPTION } from './published-documents.ts';

const MF = '@prefix mf: <http://www.w3.org/2001/sw/DataAccess/tests/test-manifest#> .';
const CANON = `${MF} @prefix rdfc: <https://w3c.github.io/rdf-canon/tests/vocab#> .`;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'seele-conformance-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function put(files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
}

describe('npm run conformance', () => {
  it('runs the kinds of tests of rdf-canon, and can fail', async () => {
    const nodes = Array.from({ length: 9 }, (_, i) => i);
    const clique = nodes.flatMap((s) =>
      nodes.filter((o) => o !== s).map((o) => `_:e${s} <urn:p> _:e${o} .\n`),
    );
    put({
      'tests/manifest.ttl': `${CANON} <manifest> a mf:Manifest ; mf:entries ( <#c> <#m> <#n> <#wrong> ) .
        <#c> a rdfc:RDFC10EvalTest ; mf:action <in.nq> ; mf:result <out.nq> .
        <#m> a rdfc:RDFC10MapTest ; mf:action <in.nq> ; mf:result <map.json> .
        <#n> a rdfc:RDFC10NegativeEvalTest ; mf:action <clique.nq> .
        <#wrong> a rdfc:RDFC10EvalTest ; mf:action <in.nq> ; mf:result <in.nq> .`,
      'tests/in.nq': '_:z <urn:p> "1" .\n_:z <urn:q> _:y .\n',
      'tests/out.nq': '_:c14n0 <urn:p> "1" .\n_:c14n0 <urn:q> _:c14n1 .\n',
      'tests/map.json': '{"z":"c14n0","y":"c14n1"}',
      'tests/clique.nq': clique.join(''),
    });
    const { tried, passed, failures } = await runSuite('rdf-canon', folder);
    expect([tried, passed]).toEqual([4, 3]);
    expect(failures[0]).toMatchObject({ name: 'wrong' });
  });

  it('compares SHACL reports, through included manifests', async () => {
    const test = (expected: string) => `${MF} @prefix sh: <http://www.w3.org/ns/shacl#> .
      @prefix sht: <http://www.w3.org/ns/shacl-test#> .
      <urn:s> a sh:NodeShape ; sh:targetNode <urn:a> ; sh:property [ sh:path <urn:p> ; sh:minCount 1 ] .
      <> a mf:Manifest ; mf:entries ( <#case> ) . <#case> a sht:Validate ;
      mf:action [ sht:dataGraph <> ; sht:shapesGraph <> ] ; mf:result [ ${expected} ] .`;
    put({
      'manifest.ttl': `${MF} <> a mf:Manifest ; mf:include <right.ttl> , <wrong.ttl> .`,
      'right.ttl':
        test(`sh:conforms false ; sh:result [ sh:focusNode <urn:a> ; sh:resultPath <urn:p> ;
        sh:resultSeverity sh:Violation ; sh:sourceConstraintComponent sh:MinCountConstraintComponent ]`),
      'wrong.ttl': test('sh:conforms true'),
    });
    const { tried, passed, failures } = await runSuite('shacl', folder);
    expect([tried, passed]).toEqual([2, 1]);
    expect(failures[0]?.why).toMatch(/conforms: true expected/);
  });

  it('takes Croissant in and out, and notices what is no Croissant', async () => {
    const secret = createSeededRandomness(1).bytes(SECRET_BYTES);
    const { public: directory } = await describeDataset(FULL_DESCRIPTION, secret);
    put({
      'ours/metadata.json': JSON.stringify(exportCroissant(directory)),
      'nameless/metadata.json': '{"@context":{"@vocab":"https://schema.org/"},"@type":"Dataset"}',
      'remote/metadata.json': '{"@context":"https://elsewhere.example/","name":"x"}',
    });
    const { tried, failures } = await runSuite('croissant', folder);
    expect(tried).toBe(3);
    expect(failures.map(({ name }) => dirname(name))).toEqual(['nameless', 'remote']);
    expect(failures[1]?.why).toMatch(/not built in/);
  });

  it('holds published documents against the shapes of a DCAT-AP folder', async () => {
    const shapes = (path: string) => `@prefix sh: <http://www.w3.org/ns/shacl#> .
      <urn:s> a sh:NodeShape ; sh:targetClass <http://www.w3.org/ns/dcat#Dataset> ;
      sh:property [ sh:path <${path}> ; sh:minCount 1 ] .`;
    put({
      'shacl/shapes.ttl': shapes('http://purl.org/dc/terms/title'),
      'html/examples/one.jsonld':
        '{"@context":"https://example.org/context/dcat-ap.jsonld","title":"Bees"}',
      'context/dcat-ap.jsonld': '{"@context":{"title":"http://purl.org/dc/terms/title"}}',
    });
    expect(await runSuite('dcat-ap', folder)).toMatchObject({ tried: 4, passed: 4 });
    put({ 'shacl/shapes.ttl': shapes('urn:nobody-says-this') });
    expect(await runSuite('dcat-ap', folder)).toMatchObject({ tried: 4, passed: 1 });
  });

  it('refuses unknown suites and folders without cases', async () => {
    await expect(runSuite('other', folder)).rejects.toThrow('rdf-canon');
    await expect(runSuite('shacl', folder)).rejects.toThrow('manifest.ttl');
  });
});
