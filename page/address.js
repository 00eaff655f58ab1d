// What the page's address asks for, and what the API is asked for it. Nothing here touches the page.

/** The parameters of a series: no other name of the address is passed on, or stands in a link. */
const PARAMETERS = ["startDate", "endDate", "fill", "interval", "order", "limit", "format"];

/** What the page does by itself. Of any other value the API says what is wrong. */
const OWN_PARAMETERS = {
  fill: /^zero$/,
  format: /^(json|csv)$/,
  interval: /^(day|week|month|year|total)$/,
  limit: /^([1-9][0-9]{0,3}|10000)$/,
  order: /^(asc|desc)$/,
};

/**
 * Return the query for the days that a page's query asks for.
 * @param {string} search
 */
export function daysQuery(search) {
  const query = new URLSearchParams(search);
  for (const name of new Set(query.keys())) if (!PARAMETERS.includes(name)) query.delete(name);
  for (const [name, pattern] of Object.entries(OWN_PARAMETERS)) {
    const values = query.getAll(name);
    if (values.length === 1 && pattern.test(values[0])) query.delete(name);
  }
  if (!query.has("fill")) query.set("fill", "zero");
  return query;
}

/**
 * Return a page's query with some parameters changed, and without those that are set to nothing or that are not known.
 * @param {string} search
 * @param {Record<string, string>} changes
 */
export function queryWith(search, changes) {
  const query = new URLSearchParams(search);
  for (const name of new Set(query.keys())) if (!PARAMETERS.includes(name)) query.delete(name);
  for (const [name, value] of Object.entries(changes)) {
    if (value) query.set(name, value.replaceAll("-", ""));
    else query.delete(name);
  }
  return String(query) && `?${query}`;
}
