/** How slots follow each other. Local timing only: nothing that is agreed on depends on it. */

/** Up to so many validators a slot may open as soon as the one before is decided. */
const SMALL_SET = 4;
/** From so many on a whole interval lies between a decision and the next slot. */
const WIDE_SET = 13;

/**
 * When the next slot opens: one interval after the one before opened, so that voting and executing do not
 * add to it. A slot costs n² votes, which in larger sets is what the machines do: there it rests after a
 * decision, a ninth of an interval for each validator beyond four, so that each cut orders more.
 */
export function nextOpening(
  openedAtUs: number,
  decidedAtUs: number,
  intervalUs: number,
  validators: number,
): number {
  const share = Math.min(1, Math.max(0, (validators - SMALL_SET) / (WIDE_SET - SMALL_SET)));
  return Math.max(decidedAtUs + Math.round(share * intervalUs), openedAtUs + intervalUs);
}
