/** What a metered slot can still do, by its own trial; asked before any guest ran in it. */
import { openSync } from 'node:fs';

function refusal(attempt: () => void): string {
  try {
    attempt();
    return 'allowed';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'refused';
  }
}

/** Names of interfaces that are up; asking takes a socket, which may be refused as well. */
function interfaces(): string[] {
  try {
    return Object.keys(process.getBuiltinModule('node:os').networkInterfaces());
  } catch {
    return [];
  }
}

/** The facts that layers look at (`SlotProbe`), but for those that are tried below Node. */
export function probeFromInside() {
  return {
    readFile: refusal(() => void openSync('/etc/passwd', 'r')),
    writeFile: refusal(() => void openSync('/tmp/seele-probe', 'a')),
    spawn: refusal(() => {
      const { error } = process.getBuiltinModule('node:child_process').spawnSync('/bin/true');
      if (error !== undefined) throw error;
    }),
    interfaces: interfaces(),
    environment: Object.keys(process.env).filter((name) => name !== 'PWD'),
    node: process.version,
    v8: process.versions.v8,
    hasWebAssembly: typeof WebAssembly === 'object',
    attempts: [],
  };
}
