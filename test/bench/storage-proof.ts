/** Proof that content is held: one sector with its path, beside one UnixFS leaf with the nodes above. */
import { encodeWith, type Bytes } from '#libs/kernel';
import {
  blockOfSector,
  challengedSectors,
  commitSectors,
  LEAF_BYTES,
  proveSector,
  sectorProof,
  verifySector,
  writeFile,
} from '#libs/storage';

import { significant, type BenchFigures } from './harness.ts';

const CHALLENGES = 20;

export async function proofFigures(
  content: (length: number, seed: number) => Buffer,
  { seed, full }: { readonly seed: number; readonly full: boolean },
) {
  const leaves = full ? 1024 : 256;
  const leaf = content(LEAF_BYTES, seed); // the lengths of proofs do not depend on what is in them
  function* file(): Generator<Bytes> {
    for (let i = 0; i < leaves; i++) yield leaf;
  }
  const before = performance.now();
  const tree = await commitSectors(file());
  const seconds = (performance.now() - before) / 1000;

  const nodes: Bytes[] = [];
  await writeFile(file(), async (_, bytes) => {
    if (bytes.length < LEAF_BYTES) nodes.push(bytes);
  });
  const unixfsBytes = LEAF_BYTES + nodes.reduce((sum, node) => sum + node.length, 0);

  let proofBytes = 0;
  let proofsRefused = 0;
  for (const index of challengedSectors(leaf.subarray(0, 32), tree.sizeBytes, CHALLENGES)) {
    if (blockOfSector(index) >= leaves) throw new Error(`sector ${index} is beyond the end`);
    const proof = proveSector(tree, index, leaf);
    if (!verifySector(tree, index, proof)) proofsRefused++;
    proofBytes = Math.max(proofBytes, encodeWith(sectorProof, proof).length);
  }
  return {
    proofVsUnixfs: significant(unixfsBytes / proofBytes, 3),
    proofBytes,
    proofContentBytes: tree.sizeBytes,
    proofsRefused,
    sectorCommitMbPerSecond: significant(tree.sizeBytes / 1e6 / seconds, 3),
  } satisfies BenchFigures;
}
