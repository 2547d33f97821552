/** Committed state in plain memory: for tests of contracts, with no blocks, tree or disk. */
import { type Bytes, bytesToHex, hexToBytes } from '#libs/kernel';
import type { StateChange, StateReader } from './journal.ts';

export interface MemoryState extends StateReader {
  apply(changes: readonly StateChange[]): void;
}

export function createMemoryState(): MemoryState {
  // Hex keeps the order of bytes.
  const contracts = new Map<string, Map<string, Bytes>>();
  const entriesOf = (contract: string) => {
    const known = contracts.get(contract);
    if (known) return known;
    const created = new Map<string, Bytes>();
    contracts.set(contract, created);
    return created;
  };
  return {
    get: (contract, key) => contracts.get(contract)?.get(bytesToHex(key)),
    *scan(contract, prefix, cursor) {
      const prefixHex = bytesToHex(prefix);
      const after = cursor && bytesToHex(cursor);
      const keys = [...entriesOf(contract).keys()].filter(
        (key) => key.startsWith(prefixHex) && (after === undefined || key > after),
      );
      for (const key of keys.sort())
        yield [hexToBytes(key) as Bytes, entriesOf(contract).get(key) as Bytes];
    },
    apply(changes) {
      for (const { contract, key, after } of changes) {
        if (after === undefined) entriesOf(contract).delete(bytesToHex(key));
        else entriesOf(contract).set(bytesToHex(key), after);
      }
    },
  };
}
