// Days, bars and their sums in words. Nothing here touches the page.

import { MS_PER_DAY, calendarDay, lengthOf } from "./calendar.js";

/** @typedef {import("./series.js").Bar} Bar */
/** @typedef {import("./series.js").Sums} Sums */

export const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

export const number = new Intl.NumberFormat("en", { maximumFractionDigits: 2 });

/** @param {number} mean */
export const rounded = (mean) => new Intl.NumberFormat("en", { maximumFractionDigits: mean < 100 ? 1 : 0 }).format(mean);

/** @param {Intl.DateTimeFormatOptions} options */
const asDate = (options) => {
  const format = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", ...options });
  return (/** @type {number} */ day) => format.format(day * MS_PER_DAY);
};

const longDay = asDate({ weekday: "long", day: "numeric", month: "long", year: "numeric" });
export const mediumDay = asDate({ day: "numeric", month: "long", year: "numeric" });
const longMonth = asDate({ month: "long", year: "numeric" });

/** @param {number} day */
const shortDay = (day) => {
  const [year, month, dayOfMonth] = calendarDay(day);
  return `${dayOfMonth} ${MONTHS[month - 1]} ${year}`; // as below the bars: en-GB has Sept
};

/**
 * Return what the bars come to, and the range, in a sentence or two.
 * @param {Bar[]} bars one or more
 * @param {Sums} sums
 */
export function inWords(bars, { total, days, loaded, mean }) {
  const [first, last] = [bars[0].from, bars[bars.length - 1].to];
  const whole = (/** @type {number} */ day) => mediumDay(day).replaceAll(" ", "\u00a0"); // no date over two lines
  const range = first === last ? `on ${longDay(first)}` : `from ${whole(first)} to ${whole(last)}`;
  if (mean === null) return `No data has arrived for any of the ${plural(days, "day")} ${range}.`;
  const average = days > 1 ? `, ${rounded(mean)} a day on average` : "";
  const sentences = [`${plural(total, "visit")} ${range}${average}.`];
  const missing = days - loaded;
  if (missing) {
    const are = missing === 1 ? "is" : "are";
    sentences.push(`${plural(missing, "day")} of ${number.format(days)} ${are} not loaded, and not in the average.`);
  }
  return sentences.join(" ");
}

/**
 * @param {number} count
 * @param {string} noun
 */
export function plural(count, noun) {
  return `${number.format(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/**
 * Return what a bar stands for, in words.
 * @param {Bar} bar
 */
export function nameOf(bar) {
  switch (bar.interval) {
    case "day":
      return longDay(bar.from);
    case "month":
      return longMonth(bar.from);
    case "year":
      return String(calendarDay(bar.from)[0]);
    default:
      return bar.from === bar.to ? shortDay(bar.from) : `${shortDay(bar.from)} to ${shortDay(bar.to)}`;
  }
}

/** @param {Bar} bar */
export function shortNameOf(bar) {
  if (bar.interval === "day") return shortDay(bar.from);
  return bar.interval === "week" ? `week of ${shortDay(bar.from)}` : nameOf(bar);
}

/** @param {Bar} bar */
export function visitsOf(bar) {
  return bar.visits === null ? "not loaded" : plural(bar.visits, "visit");
}

/**
 * Return what is to be known of a bar besides: days that are not loaded, or not in the range.
 * @param {Bar} bar
 */
export function noteOf(bar) {
  const days = bar.to - bar.from + 1;
  if (bar.missing && bar.visits !== null) return `${bar.missing} of ${plural(days, "day")} not loaded`;
  const whole = bar.interval === "total" ? days : lengthOf(bar.interval, bar.day);
  return days < whole ? `${days} of ${whole} days in this range` : "";
}
