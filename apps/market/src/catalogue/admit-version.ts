/**
 * Whether a document is the public directory that its owner recorded on the chain: readable, of the
 * recorded hash, conforming to the shapes, about this very dataset and committing to the complete
 * directory that the chain names.
 */
import type { VersionRecord } from '#contracts';
import { type Bytes, formatAccount, isSeeleError } from '#libs/kernel';
import {
  type CatalogueEntry,
  type ShapeValidator,
  canonicalLines,
  catalogueEntryOf,
  hashOfLines,
  readPublicDirectory,
  readRdf,
} from '#libs/mdds';
import { formatUai, parseUai } from '#libs/vtp';

export type Admission =
  | { readonly admitted: true; readonly entry: CatalogueEntry }
  | { readonly admitted: false; readonly problem: string };

/** The UAI of a dataset with its owner's account. */
export const uaiOf = (
  chainName: string,
  { owner, path }: Pick<VersionRecord, 'owner' | 'path'>,
): string => `chain://${chainName}/${formatAccount(owner)}/${path}`;

export interface AdmissionParts {
  readonly chainName: string;
  readonly shapes: ShapeValidator;
  /** Whom a human name stands for now. */
  resolveName(name: string): Promise<string | undefined>;
}

/** Whether a UAI means the recorded dataset, by its owner's account or name. */
async function isAbout(
  parts: AdmissionParts,
  uai: string,
  record: VersionRecord,
): Promise<boolean> {
  const { account, ...rest } = parseUai(uai);
  if (account === undefined) return false;
  const owner = account.kind === 'id' ? account.id : await parts.resolveName(account.name);
  const id = { kind: 'id', id: record.owner } as const;
  return (
    owner === record.owner && formatUai({ ...rest, account: id }) === uaiOf(parts.chainName, record)
  );
}

/** @throws what reading names from the chain throws */
export async function admitVersion(
  parts: AdmissionParts,
  record: VersionRecord,
  document: Bytes,
): Promise<Admission> {
  try {
    const quads = readRdf(document, { format: 'n-quads' });
    const differing = (what: string): Admission => ({
      admitted: false,
      problem: `${what} is not what the chain holds`,
    });
    if (hashOfLines(await canonicalLines(quads)) !== record.publicHash)
      return differing('the hash of the document');
    await parts.shapes.demand(quads);
    const head = readPublicDirectory(quads);
    if (head.canonicalHash !== record.completeHash)
      return differing('the hash of the complete directory');
    const { root, size } = head.commitment;
    if (root !== record.quadRoot || size !== record.quadCount)
      return differing('the commitment to the complete directory');
    const entry = catalogueEntryOf(quads);
    if (entry.version !== record.version) return differing('the version');
    if (!(await isAbout(parts, head.uai, record))) return differing(`the dataset <${head.uai}>`);
    return { admitted: true, entry };
  } catch (error) {
    // The document is at fault, not the chain: whatever is not its own kind of error goes on.
    if (isSeeleError(error) && /^(MDDS|VTP)_/.test(error.code))
      return { admitted: false, problem: `${error.message} [${error.code}]` };
    throw error;
  }
}
