/**
 * Makes one script of an ES module and of what it imports from beside it. A slot is started for every
 * order, and each file it loads, like the loader of ES modules itself, costs every one of those starts.
 *
 * Understands what our own code is written in and refuses the rest: named imports and exports, one to a
 * statement, at the beginning of a line; Node's own modules by name; no default export, no cycles.
 */
import { readFileSync } from 'node:fs';
import * as modules from 'node:module';
import { dirname, extname, join } from 'node:path';
import { compileFunction } from 'node:vm';
import { sandboxError } from './errors.ts';

// The compiler leaves a comment and the statement after it on one line.
const IMPORT = /(?<=^|\*\/ )import\s+(\{[^}]*\}|\* as \w+)\s+from\s+["']([^"']+)["'];?/gm;
const DECLARATION =
  /(?<=^|\*\/ )export (?=(?:(?:async )?function\*?|const|let|class)\s+([A-Za-z_$][\w$]*))/gm;
const LEFT = /(?<=^|\*\/ )(?:import|export)\b.*/m;

function plainSource(path: string): string {
  const source = readFileSync(path, 'utf8');
  return extname(path) === '.ts' ? modules.stripTypeScriptTypes(source) : source;
}

function refuse(path: string, what: string): never {
  throw sandboxError('SANDBOX_START', `${path} cannot become part of a script: ${what}`);
}

/** The whole program as a classic script with `require` in reach. @throws SANDBOX_START */
export function joinModules(entry: string): string {
  const done = new Map<string, string>();
  const open = new Set<string>();
  const parts: string[] = [];
  const add = (path: string): string => {
    const known = done.get(path);
    if (known !== undefined) return known;
    if (open.has(path)) refuse(path, 'it imports itself by way of another');
    open.add(path);
    const imported = plainSource(path)
      .replace(/^\/\/# sourceMappingURL=.*$/m, '')
      .replace(IMPORT, (_all, names: string, from: string) => {
        const value = from.startsWith('.')
          ? add(join(dirname(path), from))
          : from.startsWith('node:')
            ? `require('${from}')`
            : refuse(path, `it imports ${from}`);
        return names.startsWith('*')
          ? `const ${names.slice(5)} = ${value};`
          : `const ${names.replaceAll(' as ', ': ')} = ${value};`;
      });
    const exported: string[] = [];
    const body = imported.replace(DECLARATION, (_all, name: string) => {
      exported.push(name);
      return '';
    });
    const left = LEFT.exec(body);
    if (left !== null) refuse(path, `"${left[0].slice(0, 60)}" is not understood`);
    const name = `module${done.size}`;
    parts.push(`const ${name} = (() => {\n${body}\nreturn { ${exported.join(', ')} };\n})();`);
    done.set(path, name);
    open.delete(path);
    return name;
  };
  add(entry);
  const script = `'use strict';\n${parts.join('\n')}\n`;
  try {
    // Only parsed, to see a mistake here rather than in every slot.
    compileFunction(script, ['require']);
  } catch (error) {
    refuse(entry, String(error));
  }
  return script;
}
