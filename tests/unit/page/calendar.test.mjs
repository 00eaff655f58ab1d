import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { INTERVALS, calendarDay, dayNumber, firstDay, fittingInterval, isoDay, lengthOf, parseDay } from "../../../page/calendar.js";

const CASES = JSON.parse(readFileSync(new URL("../../intervals.json", import.meta.url), "utf8"));

test("A day is its number since 1970-01-01.", () => {
  assert.equal(dayNumber(1970, 1, 1), 0);
  assert.equal(dayNumber(1969, 12, 31), -1);
  assert.deepEqual(calendarDay(dayNumber(2020, 2, 29)), [2020, 2, 29]);
  assert.deepEqual(calendarDay(dayNumber(1, 1, 1)), [1, 1, 1]);
});

test("A day is read as the API writes and takes it.", () => {
  for (const text of [20171002, "20171002", "2017-10-02"]) assert.equal(parseDay(text), dayNumber(2017, 10, 2));
  assert.equal(parseDay(10107), dayNumber(1, 1, 7));
  for (const text of ["2017-1002", "201710-02", "20171399", "20170229", "today", "2017", ""]) {
    assert.equal(parseDay(text), undefined, text);
  }
});

test("A day is written with four digits of its year.", () => {
  assert.equal(isoDay(dayNumber(2017, 10, 2)), "2017-10-02");
  assert.equal(isoDay(dayNumber(1, 1, 7)), "0001-01-07");
});

test("An interval begins on the day that series.py says.", () => {
  for (const { interval, day, first } of CASES.firstDays) {
    assert.equal(firstDay(interval, parseDay(day)), parseDay(first), `${interval} of ${day}`);
  }
});

test("An interval is as long as it is until the next one begins.", () => {
  const lengths = INTERVALS.map((interval) => lengthOf(interval, dayNumber(2020, 2, 29)));
  assert.deepEqual(lengths.slice(0, 2), [1, 7]);
  assert.equal(lengthOf("month", dayNumber(2020, 2, 29)), 29);
  assert.equal(lengthOf("month", dayNumber(2021, 2, 1)), 28);
  assert.equal(lengthOf("year", dayNumber(2020, 12, 31)), 366);
  assert.equal(lengthOf("year", dayNumber(2021, 1, 1)), 365);
});

test("The finest interval is taken of which the bars have room.", () => {
  const intervals = [1, 60, 61, 420, 421, 1800, 1801].map((days) => fittingInterval(days, 60));
  assert.deepEqual(intervals, ["day", "day", "week", "week", "month", "month", "year"]);
});
