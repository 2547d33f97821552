/** TypeScript to JavaScript by taking the types away; everything else stays where it stood. */
import { stripTypeScriptTypes } from 'node:module';

/** Node calls its own type stripper experimental; that is no news for whoever runs a command. */
function withoutWarning<T>(work: () => T): T {
  const { emitWarning } = process;
  process.emitWarning = () => undefined;
  try {
    return work();
  } finally {
    process.emitWarning = emitWarning;
  }
}

/** @throws what Node says of source that is no TypeScript, or needs more than stripping */
export function stripTypes(source: string): string {
  return withoutWarning(() => stripTypeScriptTypes(source));
}
