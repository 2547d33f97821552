/**
 * A thread that answers SPARQL queries over the public directories of one moment. It is ended from
 * outside when a query takes too long: nothing inside could stop one.
 */
import { parentPort, workerData } from 'node:worker_threads';
import oxigraph from 'oxigraph';
import { invariant, utf8Decode } from '#libs/kernel';
import { CatalogueReader } from './catalogue-reader.ts';
import { openCatalogueReader } from './catalogue-tables.ts';
import type { SparqlAnswer, SparqlQuestion, SparqlSettings } from './sparql.ts';

const { file, quadsMax } = workerData as SparqlSettings;
invariant(parentPort !== null, 'this file is the start of a thread');
const port = parentPort;

/** All directories shown, each a graph of its own under its dataset's IRI; their union is the default. */
function load(): oxigraph.Store {
  const store = new oxigraph.Store();
  const database = openCatalogueReader(file);
  const reader = new CatalogueReader(database);
  for (let after = 0; store.size < quadsMax;) {
    const page = reader.feedPage(after);
    if (page.length === 0) break;
    for (const { uai, document } of page)
      store.load(utf8Decode(document), {
        format: 'application/n-quads',
        to_graph_name: oxigraph.namedNode(uai),
        unchecked: true,
      });
    after = page.at(-1)?.id ?? after;
  }
  database.close();
  return store;
}

const store = load();

const FORMATS = ['application/sparql-results+json', 'text/turtle'] as const;

/** SELECT and ASK give a table, CONSTRUCT and DESCRIBE a graph; the store knows which. */
function answer({ id, query, bytesMax }: SparqlQuestion): SparqlAnswer {
  let refused: string | undefined;
  for (const mediaType of FORMATS)
    try {
      const text = store.query(query, {
        ...{ use_default_graph_as_union: true, results_format: mediaType },
      }) as string;
      return text.length > bytesMax ? { id, tooLarge: text.length } : { id, text, mediaType };
    } catch (error) {
      refused ??= error instanceof Error ? error.message : String(error);
    }
  return { id, refused: refused ?? 'not understood' };
}

port.on('message', (question: SparqlQuestion) => port.postMessage(answer(question)));
port.postMessage({ ready: store.size });
