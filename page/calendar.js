// Days and the intervals that they make up. A day is its number since 1970-01-01, as everything here is UTC.
// The rules are those of series.py: tests/intervals.json holds both to the same cases.

/** @typedef {"day" | "week" | "month" | "year" | "total"} Interval */

/** @type {Interval[]} */
export const INTERVALS = ["day", "week", "month", "year", "total"];

export const MS_PER_DAY = 86_400_000;

/**
 * Return the number of a calendar day; the month is 1 to 12.
 * @param {number} year
 * @param {number} month
 * @param {number} dayOfMonth
 */
export function dayNumber(year, month, dayOfMonth) {
  // Date.UTC takes the years 0 to 99 for those of the twentieth century.
  return new Date(0).setUTCFullYear(year, month - 1, dayOfMonth) / MS_PER_DAY;
}

/**
 * Return the day's year, month (1 to 12) and day of the month.
 * @param {number} day
 * @returns {[number, number, number]}
 */
export function calendarDay(day) {
  const date = new Date(day * MS_PER_DAY);
  return [date.getUTCFullYear(), date.getUTCMonth() + 1, date.getUTCDate()];
}

/**
 * Return the day that `20171002`, a number or text, or `2017-10-02` stands for; undefined if there is no such day.
 * @param {number | string} text
 */
export function parseDay(text) {
  const match = /^(\d{4})(-?)(\d\d)\2(\d\d)$/.exec(String(text).padStart(8, "0"));
  if (!match) return undefined;
  const day = dayNumber(+match[1], +match[3], +match[4]);
  return isoDay(day) === `${match[1]}-${match[3]}-${match[4]}` ? day : undefined;
}

/**
 * Return a day as `2017-10-02`.
 * @param {number} day
 */
export function isoDay(day) {
  const [year, month, dayOfMonth] = calendarDay(day);
  return [String(year).padStart(4, "0"), String(month).padStart(2, "0"), String(dayOfMonth).padStart(2, "0")].join("-");
}

/**
 * Return the first day of the interval that a day is in; of `total`, which has none of its own, -Infinity.
 * @param {Interval} interval
 * @param {number} day
 */
export function firstDay(interval, day) {
  const [year, month] = calendarDay(day);
  switch (interval) {
    case "week":
      return day - ((((day + 3) % 7) + 7) % 7); // 1970-01-01 was a Thursday
    case "month":
      return dayNumber(year, month, 1);
    case "year":
      return dayNumber(year, 1, 1);
    case "total":
      return -Infinity;
    default:
      return day;
  }
}

const MOST_DAYS = { day: 1, week: 7, month: 31, year: 366, total: Infinity };

/**
 * Return how many days the interval has that a day is in.
 * @param {Interval} interval
 * @param {number} day
 */
export function lengthOf(interval, day) {
  const first = firstDay(interval, day);
  return firstDay(interval, first + MOST_DAYS[interval]) - first;
}

/**
 * Return the finest interval of which `most` bars are enough for so many days.
 * @param {number} days
 * @param {number} most
 * @returns {Interval}
 */
export function fittingInterval(days, most) {
  if (days <= most) return "day";
  if (days <= most * 7) return "week";
  return days <= most * 30 ? "month" : "year";
}
