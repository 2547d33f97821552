/** A directory as a page of HTML: names, links, CIDs. Names are somebody's words and escaped as such. */
import type { DirectoryEntry, IpfsPath } from '../dag/directories.ts';

/** Part of the page's tag: raise it when the page changes. */
export const LISTING_VERSION = '1';
/** Longer directories are cut, and say so. */
const SHOWN_MAX = 10_000;

const ENTITIES: Readonly<Record<string, string>> = {
  ...{ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' },
};
const escaped = (text: string): string => text.replaceAll(/[&<>"']/g, (c) => ENTITIES[c] ?? c);

const STYLE =
  'body{font:16px/1.5 system-ui,sans-serif;margin:2rem;max-width:60rem}table{border-spacing:1rem .2rem}code{color:#666}';

export async function* directoryPage(
  { root, segments }: IpfsPath,
  entries: AsyncIterable<DirectoryEntry>,
): AsyncGenerator<string> {
  const base = ['/ipfs', root.toString(), ...segments.map(encodeURIComponent)].join('/');
  const title = `Index of ${escaped(['/ipfs', root.toString(), ...segments].join('/'))}`;
  yield (
    `<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>${title}</title>` +
      `<style>${STYLE}</style></head><body>\n<h1>${title}</h1>\n<table>\n`
  );
  if (segments.length > 0) {
    const above = base.slice(0, base.lastIndexOf('/'));
    yield `<tr><td><a href="${escaped(above)}/">..</a></td></tr>\n`;
  }
  let shown = 0;
  for await (const { name, cid } of entries) {
    if (++shown > SHOWN_MAX) {
      yield `<tr><td>and more: only ${SHOWN_MAX} are shown</td></tr>\n`;
      break;
    }
    const href = escaped(`${base}/${encodeURIComponent(name)}`);
    const link = `<a href="/ipfs/${cid.toString()}?filename=${escaped(encodeURIComponent(name))}">`;
    yield (
      `<tr><td><a href="${href}">${escaped(name)}</a></td>` +
        `<td>${link}<code>${cid.toString()}</code></a></td></tr>\n`
    );
  }
  yield '</table>\n</body></html>\n';
}
