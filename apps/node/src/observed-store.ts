/** The store with its commits timed, and failpoints in and after each. */
import type { KeyValueStore } from '#libs/kernel';
import { declareFailpoints, failpoint } from '#libs/platform';

declareFailpoints('node.commit.before', 'node.commit.in', 'node.commit.after');

export function observeStore(
  store: KeyValueStore,
  onCommit: (seconds: number) => void,
): KeyValueStore {
  return {
    get: (key) => store.get(key),
    range: (range) => store.range(range),
    snapshot: () => store.snapshot(),
    close: () => store.close(),
    async commit(writes) {
      failpoint('node.commit.before');
      const began = performance.now();
      const done = store.commit(writes);
      failpoint('node.commit.in');
      await done;
      onCommit((performance.now() - began) / 1000);
      failpoint('node.commit.after');
    },
  };
}
