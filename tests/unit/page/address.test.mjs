import assert from "node:assert/strict";
import { test } from "node:test";

import { daysQuery, queryWith } from "../../../page/address.js";

test("The API is asked for every day of the range; intervals, order and limit are the page's own work.", () => {
  assert.equal(
    String(daysQuery("?startDate=20171001&interval=week&order=desc&limit=5&format=csv&fill=zero")),
    "startDate=20171001&fill=zero",
  );
});

test("A value that no parameter has is passed on, for the API to say what is wrong.", () => {
  for (const wrong of ["interval=hour", "limit=005", "limit=x", "order=up", "fill=null", "limit=5&limit=6"]) {
    assert.ok(String(daysQuery(wrong)).startsWith(wrong), wrong);
  }
});

test("A name that is no parameter of a series is not passed on.", () => {
  assert.equal(String(daysQuery("?key=SECRET&interval=week&calc.exe")), "fill=zero");
  assert.equal(queryWith("?key=SECRET&interval=week&calc.exe", {}), "?interval=week");
});

test("The address changes by what is picked.", () => {
  assert.equal(queryWith("", { startDate: "2017-10-02" }), "?startDate=20171002");
  assert.equal(queryWith("?startDate=20171002&interval=week", { startDate: "" }), "?interval=week");
  assert.equal(queryWith("?startDate=20171002", { startDate: "" }), "");
});
