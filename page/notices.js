// What stands in the place of the picture when there is none: why, and what helps.

import { hasKey, showKey } from "./access.js";
import { byId } from "./elements.js";

const ALL_EVENTS = "../all/chart";
const LOCKED = "The counts are not open to everyone here";

/**
 * Say that there are no visits, and what helps.
 * @param {string} resourceId
 * @param {string} title the event's name
 * @param {string | undefined} allDays the address without the range; undefined if there is none
 */
export function tellEmpty(resourceId, title, allDays) {
  if (allDays !== undefined) tell("No visits in these days", `Nothing is known of ${title.toLowerCase()} there.`);
  else if (resourceId === "all") tell("No visits yet", "They appear as soon as a file of them is delivered.");
  else
    tell(
      `Nothing is known of ${title.toLowerCase()}`,
      "Perhaps the number is mistyped, or its first visit is still to come.",
    );
  if (allDays !== undefined) noticeLink("Show all days", allDays);
  else if (resourceId !== "all") noticeLink("See all events together", ALL_EVENTS);
}

/**
 * Say why there is no series, and what helps.
 * @param {import("./api.js").Refusal} refusal
 * @param {string} csv the address of the series
 * @param {() => void} retry
 */
export function tellRefusal(refusal, csv, retry) {
  // Quoted for a shell: a path may have this quote, and whoever sent the link may have put it there.
  const address = csv.replaceAll("'", "%27");
  if (hasKey() && (refusal.status === 401 || refusal.status === 403)) {
    tell("This key is refused", "It may be mistyped or another service's, have ended, or have been revoked.");
    noticeKey(retry);
  } else if (refusal.status === 401) {
    tell(LOCKED, "With a key or token, you can see them here. This page keeps it in memory only.");
    noticeKey(retry);
    noticeText("A link that ends in #key=… brings its key along. A program sends the key in a header:");
    noticeCode(`curl --header "Authorization: Bearer $KEY" \\\n  '${address}'`);
  } else if (refusal.status === 403) {
    const region = /\.execute-api\.([a-z0-9-]+)\.amazonaws\./.exec(location.host)?.[1] ?? "eu-west-1";
    tell(LOCKED, "With credentials that may call this API, they can be read like this:");
    noticeCode(
      `curl --aws-sigv4 "aws:amz:${region}:execute-api" \\\n  --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" \\\n` +
        `  --header "X-Amz-Security-Token: $AWS_SESSION_TOKEN" \\\n  '${address}'`,
    );
  } else if (refusal.status === 400 || refusal.status === 404) {
    tell("That cannot be drawn", refusal.message);
    if (refusal.parameter === "resourceId") noticeLink("See all events together", ALL_EVENTS);
    else noticeLink("Show all days", `${location.origin}${location.pathname}`);
  } else {
    tell("The series did not come", refusal.message);
    const again = document.createElement("button");
    again.type = "button";
    again.textContent = "Try again";
    again.addEventListener("click", retry);
    byId("notice").append(again);
  }
}

/**
 * @param {string} heading
 * @param {string} words
 */
function tell(heading, words) {
  const [title, text] = [document.createElement("h2"), document.createElement("p")];
  title.textContent = heading;
  text.textContent = words;
  byId("notice").replaceChildren(title, text);
}

/**
 * Ask for a key or token.
 * @param {() => void} retry
 */
function noticeKey(retry) {
  const [form, label, input, button] = [
    document.createElement("form"),
    document.createElement("label"),
    document.createElement("input"),
    document.createElement("button"),
  ];
  input.type = "password";
  input.autocomplete = "off";
  input.required = true;
  label.append("Key or token ", input);
  button.textContent = "Show";
  form.append(label, button);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    showKey(input.value);
    retry();
  });
  byId("notice").append(form);
}

/** @param {string} text */
function noticeText(text) {
  const paragraph = document.createElement("p");
  paragraph.textContent = text;
  byId("notice").append(paragraph);
}

/** @param {string} text */
function noticeCode(text) {
  const code = document.createElement("pre");
  code.textContent = text;
  byId("notice").append(code);
}

/**
 * @param {string} text
 * @param {string} address
 */
function noticeLink(text, address) {
  const link = document.createElement("a");
  link.href = address;
  link.textContent = text;
  byId("notice").append(link);
}
