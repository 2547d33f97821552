// The most frequent words of a text. A verifiable job: anyone can run it again and gets the same bytes.
//
//   seele run examples/jobs/top-words.ts --kind verifiable --in text=book.txt --param top=10 --follow
//
// Input `text`: UTF-8. Result: JSON, words with their counts, the most frequent first.

interface Job {
  inputs: { text: { lines(): AsyncIterable<string> } };
  params: { top?: number };
  log(...values: unknown[]): void;
}

export default async ({ inputs, params, log }: Job) => {
  const counts = new Map<string, number>();
  let lines = 0;
  for await (const line of inputs.text.lines()) {
    lines++;
    for (const word of line.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [])
      counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  log(lines, 'lines,', counts.size, 'different words');
  // Equal counts in alphabetical order of code units, so that there is only one right answer.
  const ranked = [...counts].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1));
  return ranked.slice(0, params.top ?? 20).map(([word, count]) => ({ word, count }));
};
