// How the days of a series become bars, and what bars come to. Nothing here touches the page.

import { firstDay } from "./calendar.js";

/** @typedef {import("./calendar.js").Interval} Interval */

/** @typedef {[day: number, visits: number | null]} Day A day and its visits; null = not loaded. */

/**
 * @typedef {object} Bar
 * @property {Interval} interval
 * @property {number} day the interval's first day
 * @property {number} from the first day of it that is in the range
 * @property {number} to the last day of it that is in the range
 * @property {number | null} visits null if none of its days was loaded
 * @property {number} missing how many of its days were not loaded
 */

/**
 * Return a series as bars, oldest first.
 * @param {Interval} interval
 * @param {Day[]} days every day of a range, oldest first
 */
export function toBars(interval, days) {
  /** @type {Bar[]} */
  const bars = [];
  let day = NaN;
  for (const [each, visits] of days) {
    const first = firstDay(interval, each);
    let bar = bars.at(-1);
    if (!bar || first !== day) {
      day = first;
      bar = { interval, day: interval === "total" ? each : first, from: each, to: each, visits: null, missing: 0 };
      bars.push(bar);
    }
    bar.to = each;
    if (visits === null) bar.missing += 1;
    else bar.visits = (bar.visits ?? 0) + visits;
  }
  return bars;
}

/**
 * @typedef {object} Sums
 * @property {number} total
 * @property {number} days
 * @property {number} loaded how many of the days were loaded
 * @property {number | null} mean the visits of a loaded day; null if none was
 * @property {Bar | null} highest null if there were no visits
 */

/**
 * Return what bars come to.
 * @param {Bar[]} bars
 * @returns {Sums}
 */
export function sumUp(bars) {
  let [total, days, missing] = [0, 0, 0];
  /** @type {Bar | null} */
  let highest = null;
  for (const bar of bars) {
    total += bar.visits ?? 0;
    days += bar.to - bar.from + 1;
    missing += bar.missing;
    if ((bar.visits ?? 0) > (highest?.visits ?? 0)) highest = bar;
  }
  const loaded = days - missing;
  return { total, days, loaded, mean: loaded ? total / loaded : null, highest };
}
