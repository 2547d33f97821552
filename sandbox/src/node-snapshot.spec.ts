import { findAddon } from './launch.ts';
import { canUseNodeSnapshot } from './node-snapshot.ts';

describe('may slots start from the snapshot of Node', () => {
  it('finds the two heaps alike or not, the same on every try', async () => {
    const addon = findAddon();
    const first = await canUseNodeSnapshot(process.execPath, addon);
    // Another spelling of the path is asked anew.
    expect(await canUseNodeSnapshot(process.execPath, `/./${addon}`)).toBe(first);
  });

  it('says no when a process fails', async () => {
    expect(await canUseNodeSnapshot(process.execPath, '/no/such/addon.node')).toBe(false);
    expect(await canUseNodeSnapshot('/bin/true', findAddon())).toBe(false);
  });
});
