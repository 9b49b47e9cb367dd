"use strict";
/* What the scripts of all pages use. Text is set as text, never as markup. */
function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}
function size(bytes) {
  for (const unit of ["B", "kB", "MB"]) {
    if (bytes < 999.95) return bytes.toFixed(unit === "B" ? 0 : 1) + " " + unit;
    bytes /= 1000;
  }
  return bytes.toFixed(1) + " GB";
}
function tell(element, title, text) {
  element.replaceChildren(make("b", "", title), document.createTextNode(": " + text));
}
