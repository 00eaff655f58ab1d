// @ts-nocheck

// The bars of a series, drawn by uPlot: a column each, whatever its length in days, so that none is wider than another.

import { calendarDay, firstDay } from "./calendar.js";
import { MONTHS } from "./words.js";

const HATCH_PX = 7;
const TICK_PX = { day: 60, month: 52, year: 44 }; // a label's width and some air
const PLOT_MARGIN_PX = 4;

/** Ticks of the days' axis, finest first: whether one stands at a bar, by the days of it and of the bar before. */
const TICKS = [
  ...[1, 2].map((step) => ({ unit: "day", at: (bar, before, index) => index % step === 0 })),
  { unit: "day", at: (bar) => firstDay("week", bar.from) === bar.from },
  ...[1, 3, 6].map((step) => ({
    unit: "month",
    at: (bar, before) => begins("month", bar, before) && (calendarDay(bar.from)[1] - 1) % step === 0,
  })),
  ...[1, 2, 5, 10, 20, 50].map((step) => ({
    unit: "year",
    at: (bar, before) => begins("year", bar, before) && calendarDay(bar.from)[0] % step === 0,
  })),
];

/** 1, 2, 5, 10, … of visits from one line to the next. */
const WHOLE_STEPS = Array.from({ length: 45 }, (_, n) => [1, 2, 5][n % 3] * 10 ** Math.floor(n / 3));

const compactNumber = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });

/** Return whether an interval begins at a bar; at the first one, if the bar is that interval or begins with it. */
function begins(interval, bar, before) {
  const first = firstDay(interval, bar.from);
  if (before) return firstDay(interval, before.from) !== first;
  return bar.interval === interval || bar.from === first;
}

/** Return the labels of a days' axis so wide, by the index of their bar; the year where it is new. */
export function dayLabels(bars, widthPx) {
  // The day that a month begins on says nothing, nor does the month of a year.
  const finest = { month: "month", year: "year" }[bars[0].interval] ?? "day";
  for (const { unit, at } of TICKS.slice(TICKS.findIndex((rule) => rule.unit === finest))) {
    const indices = bars.flatMap((bar, index) => (at(bar, bars[index - 1], index) ? [index] : []));
    if (!indices.length || indices.length * TICK_PX[unit] > widthPx) continue;
    let shownYear;
    return new Map(
      indices.map((index) => {
        const [year, month, day] = calendarDay(bars[index].from);
        const label = { day: `${day} ${MONTHS[month - 1]}`, month: MONTHS[month - 1], year: String(year) }[unit];
        const isNew = year !== shownYear && unit !== "year";
        shownYear = year;
        return [index, isNew ? `${label}\n${year}` : label];
      }),
    );
  }
  return new Map([[0, String(calendarDay(bars[0].from)[0])]]);
}

/** Draw bars into an element and return the uPlot; `onSelect` is told the indices that a mouse was dragged over. */
export function drawBars(element, bars, onSelect) {
  const colour = (name) => getComputedStyle(element).getPropertyValue(`--${name}`).trim();
  const font = () => `12px ${getComputedStyle(element).fontFamily}`;
  const whole = bars.every((bar) => Number.isInteger(bar.visits ?? 0));
  const axis = { stroke: () => colour("muted"), font: font(), ticks: { show: false } };
  let labels = new Map();
  const options = {
    ...sizeOf(element),
    padding: [12, 8, 0, 0],
    legend: { show: false },
    cursor: { x: false, y: false, points: { show: false }, drag: { x: true, setScale: false }, focus: { prox: -1 } },
    scales: {
      x: { time: false, range: [-0.5, bars.length - 0.5] },
      y: { range: (_, least, most) => [Math.min(least ?? 0, 0), most > 0 ? most * 1.04 : 1] },
    },
    axes: [
      {
        ...axis,
        size: 44,
        gap: 8,
        grid: { show: false },
        splits: (plot) => {
          labels = dayLabels(bars, plot.width);
          return [...labels.keys()];
        },
        values: (_, splits) => splits.map((index) => labels.get(index)),
      },
      {
        ...axis,
        gap: 8,
        space: 36,
        incrs: whole ? WHOLE_STEPS : undefined,
        grid: { stroke: () => colour("grid"), width: 1 },
        size: (_, values) => 16 + 7 * Math.max(1, ...(values ?? []).map((text) => String(text ?? "").length)),
        values: (_, splits) => splits.map((value) => compactNumber.format(value)),
      },
    ],
    series: [
      {},
      {
        fill: () => colour("bar"),
        points: { show: false },
        paths: uPlot.paths.bars({ size: [bars.length > 1 ? 0.78 : 0.3, 56], radius: [0.12, 0] }),
        width: 0,
      },
    ],
    hooks: {
      drawClear: [(plot) => hatch(plot, bars, colour("hatch"))],
      drawAxes: [(plot) => baseline(plot, colour("muted"))],
      setSelect: [
        (plot) => {
          const { left, width } = plot.select;
          if (width > 0) onSelect(indexAt(plot, bars, left), indexAt(plot, bars, left + width));
          plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        },
      ],
    },
  };
  return new uPlot(options, [bars.map((_, index) => index), bars.map((bar) => bar.visits)], element);
}

export function sizeOf(element) {
  return { width: element.clientWidth - PLOT_MARGIN_PX, height: element.clientHeight - PLOT_MARGIN_PX };
}

/** Return the index of the bar at a position, in CSS pixels from the left of the plot. */
export function indexAt(plot, bars, left) {
  return Math.min(Math.max(Math.round(plot.posToVal(left, "x")), 0), bars.length - 1);
}

/** Return a bar's column in CSS pixels from the left of the plot. */
export function columnOf(plot, index) {
  const left = plot.valToPos(index - 0.5, "x");
  return { left, width: plot.valToPos(index + 0.5, "x") - left };
}

/** Hatch the columns of days that were not loaded; above a bar, fainter, where it lacks some of its days. */
function hatch(plot, bars, colour) {
  const { ctx } = plot;
  const { left, top, width, height } = plot.bbox;
  const column = width / bars.length;
  const bottom = top + height;
  const runs = [];
  bars.forEach((bar, index) => {
    if (!bar.missing) return;
    const last = runs.at(-1);
    if (last && last.end === index && bar.visits === null && last.visits === null) last.end += 1;
    else runs.push({ ...bar, begin: index, end: index + 1 });
  });
  ctx.save();
  ctx.fillStyle = ctx.strokeStyle = colour;
  ctx.lineWidth = devicePixelRatio;
  for (const run of runs) {
    ctx.save();
    ctx.beginPath();
    ctx.rect(left + run.begin * column, top, (run.end - run.begin) * column, height);
    ctx.clip();
    ctx.globalAlpha = run.visits === null ? 0.16 : 0.07;
    ctx.fillRect(left, top, width, height);
    ctx.globalAlpha = run.visits === null ? 0.75 : 0.35;
    ctx.beginPath();
    const step = HATCH_PX * devicePixelRatio;
    const from = left + run.begin * column - height;
    // From one origin for all, so that the lines of neighbours meet.
    for (let x = from - ((from - left) % step) - step; x < left + run.end * column; x += step) {
      ctx.moveTo(x, bottom);
      ctx.lineTo(x + height, top);
    }
    ctx.stroke();
    ctx.restore();
  }
  ctx.restore();
}

function baseline(plot, colour) {
  const { ctx } = plot;
  const y = Math.round(plot.valToPos(0, "y", true)) + 0.5;
  ctx.save();
  ctx.strokeStyle = colour;
  ctx.lineWidth = devicePixelRatio;
  ctx.beginPath();
  ctx.moveTo(plot.bbox.left, y);
  ctx.lineTo(plot.bbox.left + plot.bbox.width, y);
  ctx.stroke();
  ctx.restore();
}
