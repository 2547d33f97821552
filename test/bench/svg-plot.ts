/** Line charts as SVG text: axes with ticks, a grid, a legend beside the lines, nothing else. */

export interface Series {
  readonly name: string;
  /** Points in order of x; a y of null is left out (the line has a gap there). */
  readonly points: readonly (readonly [x: number, y: number | null])[];
  readonly isDashed?: boolean;
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
/** Distinguishable without red and green side by side (Okabe and Ito). */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#56b4e9', '#e69f00', '#333333'];

const escape = (text: string) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

const short = (value: number): string => {
  if (value >= 1e6) return `${Number((value / 1e6).toPrecision(3))} M`;
  if (value >= 1e4) return `${Number((value / 1e3).toPrecision(3))} k`;
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

function logScale(values: readonly number[], begin: number, end: number): Scale {
  const positive = values.filter((value) => value > 0);
  const low = Math.floor(Math.log10(Math.min(...positive)) + 1e-9);
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...positive)) - 1e-9));
  const ticks = Array.from({ length: high - low + 1 }, (_, i) => 10 ** (low + i));
  return {
    ticks,
    at: (value) => begin + ((Math.log10(value) - low) / (high - low)) * (end - begin),
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
      `<text x="${at}" y="${bottom + 18}" text-anchor="middle" fill="#333">${short(tick)}</text>`,
    );
  }
  for (const tick of y.ticks) {
    const at = y.at(tick).toFixed(1);
    out.push(
      `<path d="M${LEFT} ${at}H${right}" stroke="#e4e4e4"/>`,
      `<text x="${LEFT - 8}" y="${at}" dy="4" text-anchor="end" fill="#333">${short(tick)}</text>`,
    );
  }
  out.push(
    `<path d="M${LEFT} ${TOP}V${bottom}H${right}" fill="none" stroke="#333"/>`,
    `<text x="${(LEFT + right) / 2}" y="${HEIGHT - 16}" text-anchor="middle" fill="#111">${escape(plot.x.label)}</text>`,
    `<text transform="translate(20 ${(TOP + bottom) / 2}) rotate(-90)" text-anchor="middle" fill="#111">${escape(plot.y.label)}</text>`,
  );
  for (const [i, series] of plot.series.entries()) out.push(...linesOf(series, i, x, y, right));
  return `${out.join('\n')}\n</svg>\n`;
}

function linesOf(series: Series, index: number, x: Scale, y: Scale, right: number): string[] {
  const colour = COLOURS[index % COLOURS.length] as string;
  const dashes = series.isDashed ? ' stroke-dasharray="6 4"' : '';
  let path = '';
  let isDown = false;
  const dots: string[] = [];
  for (const [px, py] of series.points) {
    if (py === null) {
      isDown = false;
      continue;
    }
    const [cx, cy] = [x.at(px).toFixed(1), y.at(py).toFixed(1)];
    path += `${isDown ? 'L' : 'M'}${cx} ${cy}`;
    isDown = true;
    dots.push(`<circle cx="${cx}" cy="${cy}" r="3" fill="${colour}"/>`);
  }
  const legendY = TOP + 10 + index * 22;
  return [
    `<path d="${path}" fill="none" stroke="${colour}" stroke-width="2"${dashes}/>`,
    ...dots,
    `<path d="M${right + 16} ${legendY}H${right + 42}" stroke="${colour}" stroke-width="2"${dashes}/>`,
    `<text x="${right + 50}" y="${legendY + 4}" fill="#111">${escape(series.name)}</text>`,
  ];
}
