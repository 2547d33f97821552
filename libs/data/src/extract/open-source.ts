/** What of a source can be published: what extraction saw, and the very bytes it saw it in. */
import { basename } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type ExtractedSource, extractSource } from './extract-source.ts';
import { extractTable, isTableUrl } from './postgres.ts';
import { snapshotDatabase } from './sqlite-snapshot.ts';

export interface OpenedSource {
  readonly extracted: ExtractedSource;
  /** Where it lies, without secrets. */
  readonly iri: string;
  readonly fileName: string;
  /** Removes copies that were made of it. */
  close(): Promise<void>;
}

/**
 * @param source path, or URL of a table
 * @param scratch folder for copies of databases
 * @throws DATA_SOURCE, DATA_CHANGED, DATA_BROKEN, DATA_LIMIT, DATA_EXTRACTION
 */
export async function openSource(source: string, scratch: string): Promise<OpenedSource> {
  if (isTableUrl(source)) return extractTable(source, scratch);
  const extracted = await extractSource(source);
  const { path, profile } = extracted;
  const [iri, fileName] = [pathToFileURL(path).href, basename(path)];
  const isDatabase = profile.kind === 'file' && profile.parts[0]?.format === 'sqlite';
  if (!isDatabase) return { extracted, iri, fileName, close: async () => undefined };
  const snapshot = await snapshotDatabase(path, scratch);
  try {
    // Looked at again: the copy is of one moment, and its bytes stay what they are.
    const copied = await extractSource(snapshot.path);
    return { extracted: copied, iri, fileName, close: snapshot.remove };
  } catch (error) {
    await snapshot.remove();
    throw error;
  }
}
