"use strict";
// What stands in the place of the picture when there is none: why, and what helps.

const ALL_EVENTS = "../all/chart";
const LOCKED = "The counts are not open to everyone here";

function tellEmpty() {
  clearPlot();
  enter("empty", "No visits to show.");
  const range = asked("startDate") || asked("endDate");
  if (range) tell("No visits in these days", `Nothing is known of ${name.toLowerCase()} there.`);
  else if (resourceId === "all") tell("No visits yet", "They appear as soon as a file of them is delivered.");
  else
    tell(
      `Nothing is known of ${name.toLowerCase()}`,
      "Perhaps the number is mistyped, or its first visit is still to come.",
    );
  if (range) noticeLink("Show all days", addressWith({ startDate: "", endDate: "" }));
  else if (resourceId !== "all") noticeLink("See all events together", ALL_EVENTS);
}

/** Say why there is no series, and what helps. */
function refuse(refusal) {
  shown.query = undefined;
  clearPlot();
  const locked = refusal.status === 401 || refusal.status === 403;
  enter(locked ? "locked" : "refused", locked ? "This service asks who you are." : "The series cannot be shown.");
  // Quoted for a shell: a path may have this quote, and whoever sent the link may have put it there.
  const address = byId("csv").href.replaceAll("'", "%27");
  if (refusal.status === 401) {
    tell(LOCKED, "With a token, they can be read like this:");
    noticeCode(`curl --header "Authorization: Bearer $TOKEN" \\\n  '${address}'`);
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
    else noticeLink("Show all days", location.pathname);
  } else {
    tell("The series did not come", refusal.message);
    const again = document.createElement("button");
    again.type = "button";
    again.textContent = "Try again";
    again.addEventListener("click", show);
    byId("notice").append(again);
  }
}

/** Leave no trace of the bars that were shown: without them, the plot is no slider. */
function clearPlot() {
  shown.plot?.destroy();
  shown.plot = undefined;
  const plot = byId("plot");
  for (const attribute of plot.getAttributeNames()) if (attribute !== "id") plot.removeAttribute(attribute);
}

function tell(heading, words) {
  const [title, text] = [document.createElement("h2"), document.createElement("p")];
  title.textContent = heading;
  text.textContent = words;
  byId("notice").replaceChildren(title, text);
}

function noticeCode(text) {
  const code = document.createElement("pre");
  code.textContent = text;
  byId("notice").append(code);
}

function noticeLink(text, address) {
  const link = document.createElement("a");
  link.href = address;
  link.textContent = text;
  byId("notice").append(link);
}
