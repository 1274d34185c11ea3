/**
 * Elements and their text. Everything that comes from a feed goes through here as text, never as markup.
 *
 * @module
 */

const SVG = "http://www.w3.org/2000/svg";

/** Makes an element with attributes and children; strings become text. An undefined or false attribute is left out. */
export function el(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** Makes an SVG element in the same way. */
export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children);
  return node;
}

/** Sets an element's text if it changed: an unchanged text costs no layout. */
export function setText(node, value) {
  const child = node.firstChild;
  if (child === null) node.textContent = value;
  else if (child.data !== value) child.data = value;
}

/** Sets an attribute if it changed; null removes it. */
export function setAttribute(node, name, value) {
  if (value === null) node.removeAttribute(name);
  else if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

/** Makes a table with a caption for screen readers; `columns` are `[title, class]`. Returns the table and its body. */
export function table(caption, columns, className) {
  const body = el("tbody");
  const heads = columns.map(([title, name]) => el("th", { scope: "col", class: name }, title));
  const whole = el("table", { class: className }, el("caption", { class: "unseen" }, caption), el("thead", {}, el("tr", {}, ...heads)), body);
  return { table: whole, body };
}

/** Makes a panel with a heading. Returns both. */
export function panel(title, className, ...children) {
  const heading = el("h2", {}, title);
  return { panel: el("section", { class: `panel ${className}`, "aria-label": title }, el("header", {}, heading), ...children), heading };
}
