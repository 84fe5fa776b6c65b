// Making and finding elements.

export const $ = (selector) => document.querySelector(selector);

/** An element with attributes, listeners (onclick: f) and children; false and null ones are left out. */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "text") element.textContent = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Let the user save something as a file. */
export function download(content, name) {
  const link = el("a", { href: URL.createObjectURL(content), download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

/** The same work, however often it is called for, once before the page is drawn next. */
export function once(work) {
  let waiting = false;
  return () => {
    if (!waiting) requestAnimationFrame(() => { waiting = false; work(); });
    waiting = true;
  };
}

/** A number as it is shown: whole where it is, else with one digit. */
export function shown(number) {
  return Math.abs(number - Math.round(number)) < 0.05 ? String(Math.round(number)) : number.toFixed(1);
}
