// Elements are made of text nodes and properties, never of HTML: what a shop sends stays text, whatever it contains.

export const byId = (id) => document.getElementById(id);

export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") element.className = value;
    else if (name === "data") Object.assign(element.dataset, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  return fill(element, ...children);
}

/** Puts these in place of the element's children; null stands for nothing. */
export function fill(element, ...children) {
  element.replaceChildren(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export function show(element, shown) {
  element.hidden = !shown;
}

/** Sets a text and marks it for a moment, if it is another one than before. */
export function setText(element, text) {
  if (element.textContent === text) return;
  const isFirst = element.textContent === "" || element.textContent === "–";
  element.textContent = text;
  if (isFirst) return;
  element.classList.remove("changed");
  void element.offsetWidth; // without a look at it the browser would not start the animation again
  element.classList.add("changed");
}

/**
 * Makes the container's children those of `items`, in their order. An element stays the same as long as its key is
 * there: focus, selection and scrolling survive, and only what changed is touched.
 */
export function keyed(container, items, keyOf, make, update) {
  const known = new Map([...container.children].map((child) => [child.dataset.key, child]));
  const wanted = new Set(items.map(keyOf));
  for (const [key, child] of known) if (!wanted.has(key)) child.remove();
  items.forEach((item, number) => {
    const key = keyOf(item);
    let child = known.get(key);
    if (!child) {
      child = make(item);
      child.dataset.key = key;
    }
    update(child, item);
    if (container.children[number] !== child) container.insertBefore(child, container.children[number] ?? null);
  });
}
