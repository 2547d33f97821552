/** Line charts as SVG text: axes with ticks, a grid, a legend beside the lines, nothing else. */

export interface Series {
  readonly name: string;
  /** Points in order of x; a y of null is left out (the line has a gap there). */
  readonly points: readonly (readonly [x: number, y: number | null])[];
  readonly isDashed?: boolean;
  /** Only the points: what was measured beside a line that was computed. */
  readonly isDots?: boolean;
  /** Colour of another series, by its index. */
  readonly colourOf?: number;
}

export interface Plot {
  readonly title: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly series: readonly Series[];
  /** One sentence under the title: the setting. */
  readonly note?: string;
}

export interface Axis {
  readonly label: string;
  readonly isLog?: boolean;
  /** Linear axes: where it starts and ends; by the data when left out. */
  readonly from?: number;
  readonly to?: number;
}

const WIDTH = 760;
const HEIGHT = 440;
const LEFT = 76;
const RIGHT = 215;
const TOP = 64;
const BOTTOM = 58;
const TICKS_MAX = 10;
/** Distinguishable without red and green side by side (Okabe and Ito). */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#56b4e9', '#e69f00', '#333333'];

const escape = (text: string) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

const short = (value: number, isLog = false): string => {
  if (value >= 1e6) return `${Number((value / 1e6).toPrecision(3))} M`;
  if (value >= (isLog ? 1e3 : 1e4)) return `${Number((value / 1e3).toPrecision(3))} k`;
  return String(Number(value.toPrecision(4)));
};

interface Scale {
  readonly ticks: readonly number[];
  readonly at: (value: number) => number;
}

/** Round steps (1, 2, 5 times a power of ten), some six of them. */
function linearScale(axis: Axis, values: readonly number[], begin: number, end: number): Scale {
  const from = axis.from ?? Math.min(0, ...values);
  const to = axis.to ?? Math.max(...values, from + 1);
  const rough = (to - from) / 6;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10) * power;
  const top = axis.to ?? Math.ceil(to / step - 1e-9) * step;
  const ticks: number[] = [];
  for (let i = 0; from + i * step <= top + step * 1e-9; i++) ticks.push(from + i * step);
  return { ticks, at: (value) => begin + ((value - from) / (top - from)) * (end - begin) };
}

/** Ticks at 1, 2 and 5 times the powers of ten; at the powers alone when that were too many. */
function logScale(values: readonly number[], begin: number, end: number): Scale {
  const positive = values.filter((value) => value > 0);
  const [low, high] = [Math.min(...positive), Math.max(...positive)];
  const stepsOf = (factors: readonly number[]) => {
    const steps: number[] = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++)
      for (const factor of factors) steps.push(factor * 10 ** power);
    const from = steps.findLastIndex((step) => step <= low * (1 + 1e-9));
    const to = steps.findIndex((step) => step >= high * (1 - 1e-9));
    return steps.slice(Math.min(from, to - 1), to + 1);
  };
  const fine = stepsOf([1, 2, 5]);
  const ticks = fine.length <= TICKS_MAX ? fine : stepsOf([1]);
  const [from, to] = [Math.log10(ticks[0] ?? 1), Math.log10(ticks.at(-1) ?? 10)];
  return {
    ticks,
    at: (value) => begin + ((Math.log10(value) - from) / (to - from)) * (end - begin),
  };
}

const scaleOf = (axis: Axis, values: readonly number[], begin: number, end: number): Scale =>
  axis.isLog ? logScale(values, begin, end) : linearScale(axis, values, begin, end);

/** The chart as one SVG document. */
export function plotToSvg(plot: Plot): string {
  const right = WIDTH - RIGHT;
  const bottom = HEIGHT - BOTTOM;
  const points = plot.series.flatMap((series) => series.points);
  const xs = points.map(([x]) => x);
  const ys = points.flatMap(([, y]) => (y === null ? [] : [y]));
  const x = scaleOf(plot.x, xs, LEFT, right);
  const y = scaleOf(plot.y, ys, bottom, TOP);
  const out = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="13">`,
    `<title>${escape(plot.title)}</title>`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#ffffff"/>`,
    `<text x="${LEFT}" y="24" font-size="16" font-weight="bold" fill="#111">${escape(plot.title)}</text>`,
    `<text x="${LEFT}" y="44" fill="#555">${escape(plot.note ?? '')}</text>`,
  ];
  for (const tick of x.ticks) {
    const at = x.at(tick).toFixed(1);
    out.push(
      `<path d="M${at} ${TOP}V${bottom}" stroke="#e4e4e4"/>`,
      `<text x="${at}" y="${bottom + 18}" text-anchor="middle" fill="#333">${short(tick, plot.x.isLog)}</text>`,
    );
  }
  for (const tick of y.ticks) {
    const at = y.at(tick).toFixed(1);
    out.push(
      `<path d="M${LEFT} ${at}H${right}" stroke="#e4e4e4"/>`,
      `<text x="${LEFT - 8}" y="${at}" dy="4" text-anchor="end" fill="#333">${short(tick, plot.y.isLog)}</text>`,
    );
  }
  out.push(
    `<path d="M${LEFT} ${TOP}V${bottom}H${right}" fill="none" stroke="#333"/>`,
    `<text x="${(LEFT + right) / 2}" y="${HEIGHT - 16}" text-anchor="middle" fill="#111">${escape(plot.x.label)}</text>`,
    `<text transform="translate(20 ${(TOP + bottom) / 2}) rotate(-90)" text-anchor="middle" fill="#111">${escape(plot.y.label)}</text>`,
  );
  for (const i of plot.series.keys()) out.push(...linesOf(plot.series, i, x, y, right));
  return `${out.join('\n')}\n</svg>\n`;
}

/** One mark per series, so that lines on top of each other can be told apart. */
function mark(shape: number, x: number, y: number, colour: string): string {
  const style = `fill="#ffffff" stroke="${colour}" stroke-width="1.5"`;
  const path = (d: string) => `<path d="M${x.toFixed(1)} ${y.toFixed(1)}${d}" ${style}/>`;
  switch (shape % 5) {
    case 0:
      return `<circle cx="${x.toFixed(1)}" cy="${y.toFixed(1)}" r="3.5" ${style}/>`;
    case 1:
      return path('m-3.5 -3.5h7v7h-7z');
    case 2:
      return path('m0 -4.5l4.5 8h-9z');
    case 3:
      return path('m0 -5l4.5 5l-4.5 5l-4.5 -5z');
    default:
      return path('m0 4.5l4.5 -8h-9z');
  }
}

function linesOf(
  series: readonly Series[],
  index: number,
  x: Scale,
  y: Scale,
  right: number,
): string[] {
  const one = series[index] as Series;
  const shape = one.colourOf ?? index;
  const colour = COLOURS[shape % COLOURS.length] as string;
  const dashes = one.isDashed ? ' stroke-dasharray="6 4"' : '';
  // What is drawn first is wider, and shows beside what covers it.
  const width = one.isDashed ? 1.5 : 1.6 + 0.7 * (series.length - 1 - index);
  const stroke = `stroke="${colour}" stroke-width="${Math.min(width, 4.5).toFixed(1)}"${dashes}`;
  let path = '';
  let isDown = false;
  const marks: string[] = [];
  for (const [px, py] of one.points) {
    if (py === null) {
      isDown = false;
      continue;
    }
    const [cx, cy] = [x.at(px), y.at(py)];
    path += `${isDown ? 'L' : 'M'}${cx.toFixed(1)} ${cy.toFixed(1)}`;
    isDown = true;
    marks.push(mark(shape, cx, cy, colour));
  }
  const legendY = TOP + 10 + index * 22;
  const line = (d: string) => (one.isDots ? [] : [`<path d="${d}" fill="none" ${stroke}/>`]);
  const isMarked = !one.isDashed;
  return [
    ...line(path),
    ...(isMarked ? marks : []),
    ...line(`M${right + 16} ${legendY}H${right + 42}`),
    ...(isMarked ? [mark(shape, right + 29, legendY, colour)] : []),
    `<text x="${right + 50}" y="${legendY + 4}" fill="#111">${escape(one.name)}</text>`,
  ];
}
