// Words that are frequent in two texts: reads the results of two runs of top-words.ts.
//
// Inputs `left` and `right`: JSON, [{word, count}]. Result: JSON, words of both with both counts.

const read = async (input) => {
  let text = '';
  for await (const line of input.lines()) text += line;
  return new Map(JSON.parse(text).map(({ word, count }) => [word, count]));
};

export default async ({ inputs }) => {
  const [left, right] = [await read(inputs.left), await read(inputs.right)];
  return [...left]
    .filter(([word]) => right.has(word))
    .map(([word, count]) => ({ word, left: count, right: right.get(word) }));
};
