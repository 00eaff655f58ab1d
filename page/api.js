// The API is asked here, and nowhere else.

import { fetchWithKey } from "./access.js";
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

/**
 * Return a series as a file; raise Refusal.
 * @param {string} address
 */
export async function readFile(address) {
  const response = await answered(address, {}, new AbortController().signal);
  return response.blob();
}

/** @typedef {{ EventCount: number | null, EventDay: number, EventId: string }} Row */

/**
 * Return the rows of one answer, and the query of the next.
 * @param {string} address
 * @param {AbortSignal} signal
 * @returns {Promise<{ rows: Row[], next: string | undefined }>}
 */
async function ask(address, signal) {
  const response = await answered(address, { Accept: "application/json" }, signal);
  const rows = await response.json().catch(() => null);
  signal.throwIfAborted();
  if (!Array.isArray(rows)) throw new Refusal(response.status, "The answer is no series.");
  // The query alone: the API does not know what a custom domain puts in front of the path.
  const next = /<[^>?]*(\?[^>]*)>; rel="next"/.exec(response.headers.get("Link") ?? "");
  return { rows, next: next?.[1] };
}

/**
 * Return an answer that is no refusal.
 * @param {string} address
 * @param {Record<string, string>} headers
 * @param {AbortSignal} signal
 */
async function answered(address, headers, signal) {
  let response;
  try {
    const patience = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
    response = await fetchWithKey(address, { headers, signal: patience });
  } catch (error) {
    if (signal.aborted) throw error;
    const isLate = error instanceof DOMException && error.name === "TimeoutError";
    throw new Refusal(0, isLate ? "No answer came in time." : "No answer came. Is the network there?");
  }
  if (response.ok) return response;
  const problem = await response.json().catch(() => null);
  const detail = problem?.detail ?? problem?.message ?? `The answer was ${response.status} ${response.statusText}`;
  throw new Refusal(response.status, detail, problem?.parameter);
}
