// The elements of the document, by their ids.

/**
 * Return the element with an id.
 * @param {string} id
 */
export function byId(id) {
  return /** @type {HTMLElement} */ (document.getElementById(id));
}

/**
 * Return the link with an id.
 * @param {string} id
 */
export function linkById(id) {
  return /** @type {HTMLAnchorElement} */ (document.getElementById(id));
}

/**
 * Return the input with an id.
 * @param {string} id
 */
export function inputById(id) {
  return /** @type {HTMLInputElement} */ (document.getElementById(id));
}
