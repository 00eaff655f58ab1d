// Who asks: a reader's key or token, as the API is shown it. It is kept in memory only, never in an address or a store.

/** A key of this service. No other text is put into an address. */
const KEY = /^visits_[0-9A-Za-z]{43}[0-9a-f]{8}$/;

/** What a page leaves, while it is left by one of its links, to the next page in its tab. */
const HANDED_ON = "visits-key=";

let shownKey = "";
let isInAddress = false;

/** Take the key that the page was opened with, by `#key=…` or by a link of another page, out of where it stands. */
export function takeKey() {
  const given = location.hash.startsWith("#key=") ? decoded(location.hash.slice("#key=".length)) : "";
  const handedOn = window.name.startsWith(HANDED_ON) ? window.name.slice(HANDED_ON.length) : "";
  if (handedOn) window.name = "";
  // The entry of the history has the address without the key from now on.
  if (given) history.replaceState(history.state, "", location.href.split("#")[0]);
  if (given || handedOn) showKey(given || handedOn);
}

/**
 * Show the API this key or token from now on.
 * @param {string} text as it was pasted: a mail may have broken it into lines
 */
export function showKey(text) {
  shownKey = text.replace(/[^!-~]/g, "");
  isInAddress = false;
}

/** Return whether the API is shown a key or token. */
export function hasKey() {
  return shownKey !== "";
}

/** Hand the key on to the page of this service that a link is about to open in this tab. */
export function handOnKey() {
  if (hasKey()) window.name = HANDED_ON + shownKey;
}

/**
 * Fetch an address of the API, showing the key if there is one.
 * @param {string} address
 * @param {RequestInit} options
 * @returns {Promise<Response>}
 */
export async function fetchWithKey(address, options) {
  if (!hasKey()) return fetch(address, options);
  if (!isInAddress) {
    const headers = { ...options.headers, Authorization: `Bearer ${shownKey}` };
    const response = await fetch(address, { ...options, headers });
    // A key in a header that is as good as none: this stage looks for keys in the address.
    if (response.status !== 401 || !KEY.test(shownKey)) return response;
    isInAddress = true;
  }
  const withKey = new URL(address);
  withKey.searchParams.set("key", shownKey);
  return fetch(withKey, options);
}

/** @param {string} text */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // A percent sign that encodes nothing is no key's: the API refuses it.
  }
}
