import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { fetchWithKey, handOnKey, hasKey, showKey, takeKey } from "../../../page/access.js";

const KEY = `visits_${"a".repeat(43)}01234567`;

/** What the browser has, as far as it is used here. */
let asked;
let statuses;

beforeEach(() => {
  asked = [];
  statuses = [];
  globalThis.location = { hash: "", href: "https://api.example/visits/324/chart?interval=week" };
  globalThis.history = { state: null, replaceState: (_state, _title, address) => (location.href = address) };
  globalThis.window = { name: "" };
  globalThis.fetch = async (address, options) => {
    asked.push([String(address), options.headers?.Authorization]);
    return { status: statuses.shift() ?? 200 };
  };
  showKey("");
});

function openWith(hash) {
  location.hash = hash;
  location.href += hash;
  takeKey();
}

test("A key in the fragment is taken out of the address.", async () => {
  openWith(`#key=${KEY}`);
  await fetchWithKey("https://api.example/visits/324", {});

  assert.equal(location.href, "https://api.example/visits/324/chart?interval=week");
  assert.deepEqual(asked, [["https://api.example/visits/324", `Bearer ${KEY}`]]);
});

test("A fragment that is no key stays where it is.", () => {
  for (const hash of ["", "#table", "#monkey=1"]) openWith(hash);

  assert.equal(hasKey(), false);
  assert.ok(location.href.endsWith("#table#monkey=1"));
});

test("A key that encodes nothing is shown as it is.", async () => {
  openWith("#key=100%");
  await fetchWithKey("https://api.example/visits/324", {});

  assert.deepEqual(asked, [["https://api.example/visits/324", "Bearer 100%"]]);
});

test("A key is handed on to the next page of the tab, once.", () => {
  showKey(KEY);
  handOnKey();
  showKey("");

  takeKey();
  assert.equal(hasKey(), true);
  assert.equal(window.name, "");
});

test("Without a key nothing is handed on, and the tab keeps its name.", () => {
  window.name = "mine";
  handOnKey();
  takeKey();

  assert.equal(hasKey(), false);
  assert.equal(window.name, "mine");
});

test("A pasted key may have line ends and blanks in it.", async () => {
  showKey(` ${KEY.slice(0, 20)}\n${KEY.slice(20)}\u200b `);
  await fetchWithKey("https://api.example/visits/324", {});

  assert.equal(asked[0][1], `Bearer ${KEY}`);
});

test("Where a key in a header is as good as none, it is put into the address, from then on.", async () => {
  showKey(KEY);
  statuses = [401, 200, 200];
  await fetchWithKey("https://api.example/visits/324?fill=zero", {});
  await fetchWithKey("https://api.example/visits/318", {});

  assert.deepEqual(asked, [
    ["https://api.example/visits/324?fill=zero", `Bearer ${KEY}`],
    [`https://api.example/visits/324?fill=zero&key=${KEY}`, undefined],
    [`https://api.example/visits/318?key=${KEY}`, undefined],
  ]);
});

test("A token is never put into an address.", async () => {
  showKey("eyJhbGciOiJSUzI1NiJ9.e30.c2ln");
  statuses = [401];
  const response = await fetchWithKey("https://api.example/visits/324", {});

  assert.equal(response.status, 401);
  assert.equal(asked.length, 1);
});

test("Without a key the API is asked as ever.", async () => {
  await fetchWithKey("https://api.example/visits/324", { headers: { Accept: "text/csv" } });

  assert.deepEqual(asked, [["https://api.example/visits/324", undefined]]);
});
