/** "Did you mean …": the word that a misspelt one was most likely meant to be. */

/** Levenshtein distance, given up beyond `most`. */
function distance(a: string, b: string, most: number): number {
  if (Math.abs(a.length - b.length) > most) return most + 1;
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const swap = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(swap, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[b.length] as number;
}

const WORD_MAX = 64;

export function nearestWord(given: string, known: readonly string[]): string | undefined {
  if (given.length > WORD_MAX) return undefined;
  const word = given.toLowerCase();
  const most = Math.max(2, Math.floor(given.length / 3));
  const begun = known.filter(
    (candidate) => word.length > 2 && candidate.toLowerCase().startsWith(word),
  );
  if (begun.length === 1) return begun[0];
  const ranked = known
    .map((candidate) => ({ candidate, far: distance(word, candidate.toLowerCase(), most) }))
    .filter(({ candidate, far }) => far <= most && far < candidate.length)
    .toSorted((a, b) => a.far - b.far);
  return ranked[0]?.candidate;
}
