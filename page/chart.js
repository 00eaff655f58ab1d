// @ts-nocheck

// The page of a chart: it reads what its address asks for, draws it and puts it in words. What a person picks goes into
// the address.

import { handOnKey, hasKey, takeKey } from "./access.js";
import { daysQuery, queryWith } from "./address.js";
import { Refusal, readDays, readFile } from "./api.js";
import { INTERVALS, fittingInterval, isoDay, parseDay } from "./calendar.js";
import { columnOf, drawBars, indexAt, sizeOf } from "./drawing.js";
import { byId } from "./elements.js";
import { tellEmpty, tellRefusal } from "./notices.js";
import { sumUp, toBars } from "./series.js";
import { inWords, mediumDay, nameOf, noteOf, number, plural, rounded, shortNameOf, visitsOf } from "./words.js";

const MOST_BARS = { least: 60, pxEach: 4 }; // a bar and the gap beside it

// `…/visits/324/chart` draws `…/visits/324`, whatever a stage or a custom domain puts in front.
const resourceId = location.pathname.split("/").at(-2);
const seriesAddress = new URL(`../${resourceId}`, location.href);
const title = resourceId === "all" ? "All events" : `Event ${resourceId}`;

/** What is on the page: the days read, the query that they answer, the bars made of them, and the drawing. */
const shown = { query: undefined, days: [], more: false, bars: [], interval: "day", plot: undefined, index: undefined };

/** What the dates were filled with, by the parameter that each is for. */
const filled = { startDate: "", endDate: "" };

let reading = new AbortController();

function asked(parameter) {
  return new URLSearchParams(location.search).get(parameter) ?? "";
}

/** Show what the address asks for. */
async function show() {
  reading.abort();
  reading = new AbortController();
  const query = daysQuery(location.search);
  fillControls();
  linkData(asked("interval"));
  if (String(query) !== shown.query) {
    enter("loading", "Loading…");
    try {
      Object.assign(shown, await readDays(seriesAddress, query, reading.signal), { query: String(query) });
    } catch (error) {
      if (error instanceof Refusal) refuse(error);
      else if (error.name !== "AbortError") throw error;
      return;
    }
  }
  const most = Math.max(MOST_BARS.least, byId("plot").clientWidth / MOST_BARS.pxEach);
  // A limit without an interval counts days, as the API does.
  shown.interval = asked("interval") || (asked("limit") ? "day" : fittingInterval(shown.days.length, most));
  shown.bars = limited(toBars(shown.interval, shown.days));
  linkData(shown.interval);
  if (shown.bars.length) return present();
  clearPlot();
  enter("empty", "No visits to show.");
  const hasRange = asked("startDate") || asked("endDate");
  tellEmpty(resourceId, title, hasRange ? addressWith({ startDate: "", endDate: "" }) : undefined);
}

function refuse(refusal) {
  shown.query = undefined;
  clearPlot();
  const locked = refusal.status === 401 || refusal.status === 403;
  enter(locked ? "locked" : "refused", locked ? "This service asks who you are." : "The series cannot be shown.");
  tellRefusal(refusal, byId("csv").href, show);
}

/** Leave no trace of the bars that were shown: without them, the plot is no slider. */
function clearPlot() {
  shown.plot?.destroy();
  shown.plot = undefined;
  const plot = byId("plot");
  for (const attribute of plot.getAttributeNames()) if (attribute !== "id") plot.removeAttribute(attribute);
}

/** Return the bars that the address does not limit away: the first ones, or in descending order the last. */
function limited(bars) {
  const limit = Number(asked("limit"));
  if (!limit) return bars;
  return asked("order") === "desc" ? bars.slice(-limit) : bars.slice(0, limit);
}

function enter(state, words) {
  document.body.dataset.state = state;
  byId("picture").setAttribute("aria-busy", String(state === "loading"));
  byId("summary").textContent = words;
  byId("notice").hidden = ["shown", "loading"].includes(state);
  hideTip();
}

function present() {
  const { bars, interval } = shown;
  const sums = sumUp(bars);
  enter("shown", [inWords(bars, sums), ...limits()].join(" "));
  byId("total").textContent = sums.loaded ? number.format(sums.total) : "–";
  byId("mean").textContent = sums.mean === null ? "–" : rounded(sums.mean);
  byId("highest-name").textContent = sums.highest ? `Most, ${shortNameOf(sums.highest)}` : "Most";
  byId("highest").textContent = sums.highest ? number.format(sums.highest.visits) : "–";
  byId("automatic").textContent = asked("interval") ? "automatic" : `automatic: ${interval}`;
  byId("caption").textContent = interval === "total" ? "Visits in total" : `Visits by ${interval}`;
  byId("key-missing").hidden = !bars.some((bar) => bar.visits === null);
  byId("key-incomplete").hidden = !bars.some((bar) => bar.missing && bar.visits !== null);
  for (const button of document.querySelectorAll("[data-days]")) {
    const whole = !asked("startDate") && !asked("endDate") && !asked("limit");
    const pressed = button.dataset.days === "all" ? whole : !whole && sums.days === Number(button.dataset.days);
    button.setAttribute("aria-pressed", String(pressed));
  }
  fillDates(isoDay(bars[0].from), isoDay(bars.at(-1).to));
  draw();
  if (byId("numbers").open) fillTable();
}

/** Return what keeps bars from being shown, in sentences. */
function limits() {
  const sentences = [];
  if (shown.more) sentences.push("The series goes on: pick a range to see later days.");
  if (shown.bars.length === Number(asked("limit"))) {
    sentences.push(`The address asks for ${plural(shown.bars.length, shown.interval)} at most.`);
  }
  return sentences;
}

function draw() {
  const element = byId("plot");
  shown.plot?.destroy();
  shown.plot = drawBars(element, shown.bars, (first, last) => {
    if (last > first) pick({ startDate: isoDay(shown.bars[first].from), endDate: isoDay(shown.bars[last].to) });
  });
  const column = document.createElement("div");
  column.id = "column";
  column.hidden = true;
  shown.plot.over.append(column);
  shown.plot.over.addEventListener("pointermove", (event) => point(indexAt(shown.plot, shown.bars, event.offsetX)));
  shown.plot.over.addEventListener("pointerdown", (event) => point(indexAt(shown.plot, shown.bars, event.offsetX)));
  shown.plot.over.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && hideTip());
  // To a screen reader the bars are a slider: its position is a bar, its value that bar in words.
  element.tabIndex = 0;
  element.setAttribute("role", "slider");
  element.setAttribute("aria-label", `${title}, visits by ${shown.interval}: arrow keys go from bar to bar`);
  element.setAttribute("aria-valuemin", "1");
  element.setAttribute("aria-valuemax", String(shown.bars.length));
  setValue(shown.bars.length - 1);
}

function setValue(index) {
  shown.index = index;
  const bar = shown.bars[index];
  const words = [`${nameOf(bar)}: ${visitsOf(bar)}`, noteOf(bar)].filter(Boolean).join(", ");
  byId("plot").setAttribute("aria-valuenow", String(index + 1));
  byId("plot").setAttribute("aria-valuetext", words);
}

/** Mark a bar and show its day and visits beside it. */
function point(index) {
  const { plot, bars } = shown;
  const bar = bars[index];
  setValue(index);
  const { left, width } = columnOf(plot, index);
  const column = byId("column");
  column.hidden = false;
  column.style.left = `${left}px`;
  column.style.width = `${width}px`;
  byId("tip-day").textContent = nameOf(bar);
  byId("tip-visits").textContent = visitsOf(bar);
  byId("tip-note").textContent = noteOf(bar);
  const tip = byId("tip");
  tip.hidden = false;
  const overLeft = plot.over.offsetLeft + plot.root.offsetLeft;
  const room = byId("picture").clientWidth - tip.offsetWidth;
  const right = overLeft + left + width + 8;
  const wanted = right <= room ? right : overLeft + left - tip.offsetWidth - 8;
  const top = plot.valToPos(bar.visits ?? plot.scales.y.max, "y") - tip.offsetHeight + 16;
  tip.style.left = `${Math.max(0, Math.min(wanted, room))}px`;
  tip.style.top = `${Math.max(0, Math.min(top, plot.over.clientHeight - tip.offsetHeight))}px`;
}

function hideTip() {
  byId("tip").hidden = true;
  byId("column")?.setAttribute("hidden", "");
}

/** Fill the table with the same bars, one a row. */
function fillTable() {
  const heading = { day: "Day", week: "Week", month: "Month", year: "Year", total: "Range" }[shown.interval];
  const table = document.createElement("table");
  table.createCaption().textContent = `${title}, visits by ${shown.interval}`;
  const head = table.createTHead().insertRow();
  for (const text of [heading, "Visits"]) {
    const cell = document.createElement("th");
    cell.scope = "col";
    cell.textContent = text;
    head.append(cell);
  }
  const body = table.createTBody();
  for (const bar of shown.bars) {
    const row = body.insertRow();
    const cell = document.createElement("th");
    cell.scope = "row";
    const time = document.createElement("time");
    time.dateTime = isoDay(bar.day);
    time.textContent = [nameOf(bar), noteOf(bar)].filter(Boolean).join(", ");
    cell.append(time);
    row.append(cell);
    const visits = row.insertCell();
    visits.textContent = bar.visits === null ? "not loaded" : number.format(bar.visits);
    visits.classList.toggle("missing", bar.visits === null);
  }
  byId("table").replaceChildren(table);
}

/** Link the series as it is shown: with the same range and interval, and every day of it. */
function linkData(interval) {
  const query = new URLSearchParams(daysQuery(location.search));
  if (interval && interval !== "day") query.set("interval", interval);
  for (const parameter of ["order", "limit"]) if (asked(parameter)) query.set(parameter, asked(parameter));
  for (const format of ["json", "csv"]) {
    query.set("format", format);
    byId(format).href = `${seriesAddress}?${query}`;
  }
}

function fillControls() {
  const day = (parameter) => {
    const parsed = parseDay(asked(parameter));
    return parsed === undefined ? "" : isoDay(parsed);
  };
  fillDates(day("startDate"), day("endDate"));
  byId("automatic").textContent = "automatic";
  byId("interval").value = INTERVALS.includes(asked("interval")) ? asked("interval") : "";
}

function fillDates(startDate, endDate) {
  Object.assign(filled, { startDate, endDate });
  // Only where it differs: to set a date is to interrupt whoever types it.
  if (byId("from").value !== startDate) byId("from").value = startDate;
  if (byId("to").value !== endDate) byId("to").value = endDate;
}

/** Return the page's address with some parameters changed, and without those that are set to nothing. */
function addressWith(changes) {
  // Whole: a path that begins with two slashes would be another host's address.
  return `${location.origin}${location.pathname}${queryWith(location.search, changes)}`;
}

/** Go to another range or interval; what was shown is a step back. */
function pick(changes) {
  // Other days are other rows: a limit on the old ones means nothing to them.
  const address = addressWith({ limit: "", order: "", ...changes });
  if (address === location.href.split("#")[0]) return;
  history.pushState(null, "", address);
  show();
}

/** Go to the range of the dates, as far as they were changed: an end that was open stays open. */
function pickRange(event) {
  const dates = { startDate: byId("from").value, endDate: byId("to").value };
  const { startDate, endDate } = dates;
  const changes = Object.fromEntries(Object.entries(dates).filter(([parameter, day]) => day !== filled[parameter]));
  // A year that is being typed begins with zeros; whoever means it leaves the date or presses Enter.
  const isTyped = event.type === "change" && Object.values(changes).some((day) => day && day < "1000");
  if (isTyped || !Object.keys(changes).length) return;
  const isReversed = startDate && endDate && endDate < startDate;
  byId("to").setCustomValidity(isReversed ? `The range begins on ${mediumDay(parseDay(startDate))}.` : "");
  if (isReversed) byId("to").reportValidity();
  else pick(changes);
}

const KEYS = {
  ArrowLeft: (index) => index - 1,
  ArrowDown: (index) => index - 1,
  ArrowRight: (index) => index + 1,
  ArrowUp: (index) => index + 1,
  PageDown: (index) => index - 10,
  PageUp: (index) => index + 10,
  Home: () => 0,
  End: () => shown.bars.length - 1,
};

function listen() {
  const plot = byId("plot");
  plot.addEventListener("keydown", (event) => {
    if (event.key === "Escape") hideTip();
    if (!shown.plot || !(event.key in KEYS) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    point(Math.min(Math.max(KEYS[event.key](shown.index), 0), shown.bars.length - 1));
  });
  plot.addEventListener("focus", () => plot.matches(":focus-visible") && point(shown.index));
  plot.addEventListener("blur", hideTip);
  byId("controls").addEventListener("submit", (event) => event.preventDefault());
  for (const date of [byId("from"), byId("to")]) {
    date.addEventListener("change", pickRange);
    date.addEventListener("blur", pickRange);
    date.addEventListener("keydown", (event) => event.key === "Enter" && pickRange(event));
  }
  byId("interval").addEventListener("change", (event) => pick({ interval: event.target.value }));
  for (const button of document.querySelectorAll("[data-days]")) {
    button.addEventListener("click", () => {
      if (button.dataset.days === "all") return pick({ startDate: "", endDate: "" });
      const last = shown.bars.length ? shown.bars.at(-1).to : parseDay(byId("to").value);
      if (last !== undefined)
        pick({ startDate: isoDay(last - Number(button.dataset.days) + 1), endDate: isoDay(last) });
    });
  }
  byId("numbers").addEventListener("toggle", () => byId("numbers").open && fillTable());
  for (const format of ["json", "csv"]) byId(format).addEventListener("click", download);
  document.addEventListener("click", follow);
  addEventListener("popstate", () => {
    takeKey(); // `#key=…` was put behind the address of the open page
    show();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => shown.plot?.redraw());
  new ResizeObserver(() => {
    if (!shown.plot) return;
    hideTip();
    shown.plot.setSize(sizeOf(plot));
  }).observe(plot);
}

/** Save what a link leads to, where the API wants to see a key: a link by itself shows none. */
async function download(event) {
  if (!hasKey()) return;
  event.preventDefault();
  const { id, href } = event.currentTarget;
  try {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await readFile(href));
    link.download = `visits-${resourceId}.${id}`;
    link.click();
    URL.revokeObjectURL(link.href);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    refuse(error);
  }
}

/** Hand the key on where a link opens another page of this service in this tab. */
function follow(event) {
  const link = event.target.closest("a");
  const isPlain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
  if (link?.origin === location.origin && isPlain && !event.defaultPrevented) handOnKey();
}

document.title = `${title} · Visits`;
byId("title").textContent = title;
takeKey();
listen();
show();
