// Monthly statistics of a daily weather record.
//
// Input `weather`: CSV with a header and the columns date, precipitation (mm), temp_max, temp_min (°C).
// Result: one JSON object per month of the year, over all years of the record.

const MONTHS = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ');
const WET_DAY_MM = 1;

export default async ({ inputs, params, log, progress }) => {
  const { weather } = inputs;
  const months = MONTHS.map((month) => ({ month, days: 0, wetDays: 0, rain: 0, high: 0, low: 0 }));
  let columns;
  let readBytes = 0;
  let days = 0;
  for await (const line of weather.lines()) {
    readBytes += line.length + 1;
    const cells = line.split(',');
    if (columns === undefined) {
      columns = Object.fromEntries(cells.map((name, i) => [name, i]));
      continue;
    }
    if (cells.length < 4) continue;
    const at = (name) => Number(cells[columns[name]]);
    const month = months[Number(cells[columns.date].slice(5, 7)) - 1];
    month.days += 1;
    month.rain += at('precipitation');
    month.high += at('temp_max');
    month.low += at('temp_min');
    if (at('precipitation') >= (params.wetDayMm ?? WET_DAY_MM)) month.wetDays += 1;
    days += 1;
    if (days % 365 === 0) {
      if (days % 730 === 0) log(`${days} days read`);
      progress(Math.min(1, readBytes / weather.sizeBytes), cells[columns.date].slice(0, 4));
    }
  }
  const round = (value) => Math.round(value * 10) / 10;
  progress(1, 'done');
  return {
    days,
    months: months.map(({ month, days: n, wetDays, rain, high, low }) => ({
      month,
      meanHigh: round(high / n),
      meanLow: round(low / n),
      rainPerDay: round(rain / n),
      wetDays: Math.round((100 * wetDays) / n),
    })),
  };
};
