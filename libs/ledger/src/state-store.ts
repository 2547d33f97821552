/** State entries and the tree over them, as they lie in the store. */
import { type NodeReader, type StateTree, createStateTree } from '#libs/merkle';
import { ByteArena, type KeyValueWrite } from '#libs/kernel';
import type { StateChange } from './journal.ts';
import { TREE_PREFIX, stateKey } from './layout.ts';
import { stateTreeKeyText, stateValueHashText } from './state-keys.ts';

const DEFAULT_CACHED_NODES = 500_000;

/** The state tree as it was committed last. */
export function openStateTree(reader: NodeReader, maxCachedNodes?: number): StateTree {
  return createStateTree({
    reader,
    keyPrefix: TREE_PREFIX,
    maxCachedNodes: maxCachedNodes ?? DEFAULT_CACHED_NODES,
  });
}

export function updateStateTree(tree: StateTree, changes: readonly StateChange[]) {
  for (const { contract, key, after } of changes)
    tree.updateText(
      stateTreeKeyText(contract, key),
      after === undefined ? null : stateValueHashText(after),
    );
  return tree.commit();
}

export function stateWrites(changes: readonly StateChange[]): KeyValueWrite[] {
  const arena = new ByteArena();
  return changes.map(({ contract, key, after }) => ({
    key: stateKey(contract, key, arena),
    value: after ?? null,
  }));
}
