"use strict";
// What the API is asked, and how its days become bars. A day is its number since 1970-01-01. The page is not touched.

const INTERVALS = ["day", "week", "month", "year", "total"];

/** An answer has 10,000 rows: 137 years of days are more than anybody looks at, and 3 MB. */
const MAX_ANSWERS = 5;
const TIMEOUT_MS = 35_000; // API Gateway gives up after 30 s

const MS_PER_DAY = 86_400_000;

/** What the page sees to by itself; a value that it does not know goes to the API, which says what is wrong. */
const OWN_PARAMETERS = {
  fill: /^zero$/,
  format: /^(json|csv)$/,
  interval: /^(day|week|month|year|total)$/,
  limit: /^([1-9][0-9]{0,3}|10000)$/,
  order: /^(asc|desc)$/,
};

/** The API said no: `status` and its words; status 0 where there was no answer. */
class Refusal extends Error {
  constructor(status, detail, parameter, retryAfterS) {
    super(detail);
    Object.assign(this, { status, parameter, retryAfterS });
  }
}

function dayNumber(year, month, day) {
  // Date.UTC takes the years 0 to 99 for those of the twentieth century.
  return new Date(0).setUTCFullYear(year, month - 1, day) / MS_PER_DAY;
}

/** Return the day's year, month (1 to 12) and day of the month. */
function calendarDay(day) {
  const date = new Date(day * MS_PER_DAY);
  return [date.getUTCFullYear(), date.getUTCMonth() + 1, date.getUTCDate()];
}

/** Return the day of `20171002`, the number or text, or of `2017-10-02`; undefined where that is no day. */
function parseDay(text) {
  const match = /^(\d{4})(-?)(\d\d)\2(\d\d)$/.exec(String(text).padStart(8, "0"));
  if (!match) return undefined;
  const day = dayNumber(+match[1], +match[3], +match[4]);
  return isoDay(day) === `${match[1]}-${match[3]}-${match[4]}` ? day : undefined;
}

/** Return `2017-10-02`. */
function isoDay(day) {
  const [year, month, dayOfMonth] = calendarDay(day);
  return [String(year).padStart(4, "0"), String(month).padStart(2, "0"), String(dayOfMonth).padStart(2, "0")].join("-");
}

/** Return the first day of the interval that a day is in. */
function firstDay(interval, day) {
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

/** Return how many days the interval has that begins on a day. */
function lengthOf(interval, day) {
  const longest = { day: 1, week: 7, month: 31, year: 366 }[interval];
  return firstDay(interval, day + longest) - day;
}

/** Return the finest interval of which `most` bars are enough for so many days. */
function fittingInterval(days, most) {
  if (days <= most) return "day";
  if (days <= most * 7) return "week";
  return days <= most * 30 ? "month" : "year";
}

/**
 * Return a series as bars, oldest first: `interval`; `day`, its first; `from` and `to`, its days that are in the range;
 * `visits`, null where none of them was loaded; `missing`, how many were not.
 */
function toBars(interval, days) {
  const bars = [];
  let day;
  for (const [each, visits] of days) {
    if (!bars.length || firstDay(interval, each) !== day) {
      day = firstDay(interval, each);
      bars.push({ interval, day: interval === "total" ? each : day, from: each, to: each, visits: null, missing: 0 });
    }
    const bar = bars.at(-1);
    bar.to = each;
    if (visits === null) bar.missing += 1;
    else bar.visits = (bar.visits ?? 0) + visits;
  }
  return bars;
}

/** Return what bars come to: total, days, days loaded, mean of those, the highest bar. */
function sumUp(bars) {
  const sum = (value) => bars.reduce((total, bar) => total + value(bar), 0);
  const total = sum((bar) => bar.visits ?? 0);
  const days = sum((bar) => bar.to - bar.from + 1);
  const loaded = days - sum((bar) => bar.missing);
  const highest = bars.reduce((best, bar) => ((bar.visits ?? 0) > (best?.visits ?? 0) ? bar : best), null);
  return { total, days, loaded, mean: loaded ? total / loaded : null, highest };
}

/** Return the query for the days that the page's address asks for. */
function daysQuery(search) {
  const query = new URLSearchParams(search);
  for (const [name, pattern] of Object.entries(OWN_PARAMETERS)) {
    const values = query.getAll(name);
    if (values.length === 1 && pattern.test(values[0])) query.delete(name);
  }
  if (!query.has("fill")) query.set("fill", "zero");
  return query;
}

/** Return the days of a series as [day, visits or null], and whether there are more; raise Refusal. */
async function readDays(address, query, signal) {
  const days = [];
  let following = `?${query}`;
  for (let answers = 0; following && answers < MAX_ANSWERS; answers += 1) {
    const answer = await ask(`${address}${following}`, signal);
    for (const row of answer.rows) days.push([parseDay(row.EventDay), row.EventCount]);
    following = answer.next;
  }
  return { days, more: Boolean(following) };
}

/** Return the rows of one answer, and the query of the next. */
async function ask(address, signal) {
  let response;
  let body;
  try {
    const patience = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
    response = await fetch(address, { headers: { Accept: "application/json" }, signal: patience });
    body = await response.json().catch(() => null);
  } catch (error) {
    if (signal.aborted) throw error;
    throw new Refusal(
      0,
      error.name === "TimeoutError" ? "No answer came in time." : "No answer came. Is the network there?",
    );
  }
  if (!response.ok || !Array.isArray(body)) {
    const detail = body?.detail ?? body?.message ?? `The answer was ${response.status} ${response.statusText}`;
    throw new Refusal(response.status, detail, body?.parameter, response.headers.get("Retry-After"));
  }
  // The query alone: what a custom domain puts in front of the path, the API does not know.
  const next = /<[^>?]*(\?[^>]*)>; rel="next"/.exec(response.headers.get("Link") ?? "");
  return { rows: body, next: next?.[1] };
}
