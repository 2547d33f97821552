/**
 * A thread of the catalogue: one keeps the index in step with the chain, another answers from it. The
 * market's own thread never parses a stranger's document nor waits for a search.
 */
import { readFileSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { errorEntry, invariant, isSeeleError } from '#libs/kernel';
import { createShapeValidator, readRdf } from '#libs/mdds';
import { createNodeClient } from '#libs/platform';
import { createKuboBlobStore } from '#libs/storage';
import { CatalogueAnswers } from './catalogue-answers.ts';
import { CatalogueReader } from './catalogue-reader.ts';
import { openCatalogueReader, openCatalogueTables } from './catalogue-tables.ts';
import { CatalogueWriter } from './catalogue-writer.ts';
import { ChainFollower } from './chain-follower.ts';
import type { Answer, Question, ThreadSettings } from './thread-messages.ts';

const settings = workerData as ThreadSettings;
invariant(parentPort !== null, 'this file is the start of a thread');
const port = parentPort;

async function keepIndex(): Promise<void> {
  const { nodeUrl, storageUrl, storageToken, shapesFile, file, chain } = settings;
  const shapes = readRdf(readFileSync(shapesFile, 'utf8'), { format: 'turtle' });
  const database = openCatalogueTables(file, chain);
  const follower = new ChainFollower({
    node: createNodeClient(nodeUrl),
    blobs: createKuboBlobStore({
      url: storageUrl,
      ...(storageToken !== undefined && { token: storageToken }),
    }),
    writer: new CatalogueWriter(database),
    shapes: createShapeValidator(shapes),
    nowMs: () => Date.now(),
    onNote: (note, text) => port.postMessage({ kind: 'note', note, text } satisfies Answer),
  });
  port.on('message', () => follower.stop());
  port.postMessage({ kind: 'ready' } satisfies Answer);
  await follower.run();
  database.close();
  port.close();
}

function answerQuestions(): void {
  const database = openCatalogueReader(settings.file);
  const answers = new CatalogueAnswers(new CatalogueReader(database));
  port.on('message', async (question: Question | 'stop') => {
    if (question === 'stop') {
      database.close();
      port.close();
      return;
    }
    port.postMessage(await answerTo(answers, question));
  });
  port.postMessage({ kind: 'ready' } satisfies Answer);
}

async function answerTo(
  answers: CatalogueAnswers,
  { id, method, args }: Question,
): Promise<Answer> {
  try {
    const answer = answers[method].bind(answers) as (...given: readonly unknown[]) => unknown;
    return { kind: 'answer', id, value: await answer(...args) };
  } catch (error) {
    const known = isSeeleError(error) && errorEntry(error.code) !== undefined;
    const message = error instanceof Error ? error.message : String(error);
    return {
      kind: 'refusal',
      id,
      code: known ? error.code : 'MARKET_CATALOGUE_UNAVAILABLE',
      message,
    };
  }
}

if (settings.role === 'index') await keepIndex();
else answerQuestions();
