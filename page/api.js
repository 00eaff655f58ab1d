// The API is asked here, and nowhere else.

import { parseDay } from "./calendar.js";

/** @typedef {import("./series.js").Day} Day */

/** An answer has 10,000 rows: 137 years of days are more than a picture can show, and 3 MB. */
const MAX_ANSWERS = 5;

const TIMEOUT_MS = 35_000; // API Gateway gives up after 30 s

/** The API's refusal: its status, 0 if there was no answer, and its words. */
export class Refusal extends Error {
  /**
   * @param {number} status
   * @param {string} detail
   * @param {string} [parameter] the one to blame
   */
  constructor(status, detail, parameter) {
    super(detail);
    this.status = status;
    this.parameter = parameter;
  }
}

/**
 * Return the days of a series, and whether there are more; raise Refusal.
 * @param {URL} address
 * @param {URLSearchParams} query
 * @param {AbortSignal} signal
 * @returns {Promise<{ days: Day[], more: boolean }>}
 */
export async function readDays(address, query, signal) {
  /** @type {Day[]} */
  const days = [];
  /** @type {string | undefined} */
  let following = `?${query}`;
  for (let answers = 0; following && answers < MAX_ANSWERS; answers += 1) {
    const answer = await ask(`${address}${following}`, signal);
    for (const row of answer.rows) days.push([parseDay(row.EventDay) ?? NaN, row.EventCount]);
    following = answer.next;
  }
  return { days, more: Boolean(following) };
}

/** @typedef {{ EventCount: number | null, EventDay: number, EventId: string }} Row */

/**
 * Return the rows of one answer, and the query of the next.
 * @param {string} address
 * @param {AbortSignal} signal
 * @returns {Promise<{ rows: Row[], next: string | undefined }>}
 */
async function ask(address, signal) {
  let response;
  let body;
  try {
    const patience = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
    response = await fetch(address, { headers: { Accept: "application/json" }, signal: patience });
    body = await response.json().catch(() => null);
  } catch (error) {
    if (signal.aborted) throw error;
    const isLate = error instanceof DOMException && error.name === "TimeoutError";
    throw new Refusal(0, isLate ? "No answer came in time." : "No answer came. Is the network there?");
  }
  if (!response.ok || !Array.isArray(body)) {
    const detail = body?.detail ?? body?.message ?? `The answer was ${response.status} ${response.statusText}`;
    throw new Refusal(response.status, detail, body?.parameter);
  }
  // The query alone: the API does not know what a custom domain puts in front of the path.
  const next = /<[^>?]*(\?[^>]*)>; rel="next"/.exec(response.headers.get("Link") ?? "");
  return { rows: body, next: next?.[1] };
}
