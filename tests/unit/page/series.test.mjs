import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { isoDay, parseDay } from "../../../page/calendar.js";
import { sumUp, toBars } from "../../../page/series.js";

const CASES = JSON.parse(readFileSync(new URL("../../intervals.json", import.meta.url), "utf8"));

/** Return every day of a range with its count, null where there is none. */
function everyDay(start, end, counts) {
  const [first, last] = [parseDay(start), parseDay(end)];
  return Array.from({ length: last - first + 1 }, (_, n) => {
    const day = first + n;
    return [day, counts[Number(isoDay(day).replaceAll("-", ""))] ?? null];
  });
}

test("Days become the rows that series.py makes of them.", () => {
  for (const { why, interval, start, end, counts, rows } of CASES.sums) {
    const bars = toBars(interval, everyDay(start, end, counts));
    assert.deepEqual(
      bars.map((bar) => [bar.day, bar.visits]),
      rows.map(([day, visits]) => [parseDay(day), visits]),
      why,
    );
  }
});

test("A bar has the days of it that are in the range, and how many of them are missing.", () => {
  const [first, second] = toBars("week", everyDay(20171004, 20171010, { 20171004: 1, 20171008: 2, 20171010: 3 }));
  assert.deepEqual([isoDay(first.from), isoDay(first.to), first.missing], ["2017-10-04", "2017-10-08", 3]);
  assert.deepEqual([isoDay(second.from), isoDay(second.to), second.missing], ["2017-10-09", "2017-10-10", 1]);
});

test("No days are no bars.", () => {
  assert.deepEqual(toBars("week", []), []);
});

test("Bars come to a total, a mean of the days loaded, and the highest.", () => {
  const bars = toBars("day", everyDay(20171001, 20171004, { 20171001: 1, 20171002: 5, 20171004: 0 }));
  assert.deepEqual(sumUp(bars), { total: 6, days: 4, loaded: 3, mean: 2, highest: bars[1] });
});

test("Bars of which none was loaded have no mean.", () => {
  const { mean, highest, loaded } = sumUp(toBars("day", everyDay(20171001, 20171002, {})));
  assert.deepEqual([mean, highest, loaded], [null, null, 0]);
});
