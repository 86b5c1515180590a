// One order: what was ordered, where it stands, and everything that happened to it. Opened by the address's #order/<id>.

import { byId, fill, h } from "./dom.js";
import { count, minorToText, moment, money, words } from "./format.js";

const dialog = () => byId("order");

let openId = null; // the order that is open
let openPosition = 0; // the position it is shown at
let lastFocus = null;

export function setUpOrder() {
  window.addEventListener("hashchange", followAddress);
  byId("order-close").addEventListener("click", () => dialog().close());
  dialog().addEventListener("click", (event) => {
    if (event.target === dialog()) dialog().close(); // beside the article
  });
  dialog().addEventListener("close", () => {
    openId = null;
    if (location.hash.startsWith("#order/")) history.pushState(null, "", location.pathname);
    const row = lastFocus && document.querySelector(`a[href="${lastFocus}"]`);
    if (row) row.focus();
  });
  followAddress();
}

/** Something moved: show the open order as it is now. */
export function refreshOrder(position) {
  if (openId !== null && position > openPosition) load(openId, position);
}

function followAddress() {
  const found = /^#order\/([0-9a-f-]{36})$/.exec(location.hash);
  if (!found) {
    if (dialog().open) dialog().close();
    return;
  }
  openId = found[1];
  openPosition = 0;
  lastFocus = location.hash;
  byId("order-title").textContent = "Order";
  fill(byId("order-head"));
  fill(byId("order-body"), h("p", { "aria-busy": "true" }, "Loading…"));
  if (!dialog().open) dialog().showModal();
  load(openId, 0);
}

async function load(id, position) {
  try {
    const [order, timeline] = await Promise.all([ask(`/orders/${id}`), ask(`/orders/${id}/timeline`)]);
    if (openId !== id) return;
    openPosition = Math.max(position, order.updated_position);
    draw(order, timeline.events);
  } catch (error) {
    if (openId === id) fill(byId("order-body"), h("p", { class: "banner" }, error.message));
  }
}

async function ask(path) {
  const answer = await fetch(path, { headers: { Accept: "application/json" } }).catch(() => null);
  if (answer === null) throw new Error("The server does not answer. This is tried again when it is back.");
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.message);
  return body;
}

function draw(order, events) {
  byId("order-title").textContent = `Order ${order.number}`;
  fill(
    byId("order-head"),
    h(
      "p",
      { class: "order-line" },
      h("span", { class: "state", data: { state: order.status } }, words(order.status)),
      ...order.holds.map((hold) => h("span", { class: "hold" }, `held: ${words(hold)}`)),
      h("span", { class: "quiet" }, `${order.channel} · ${order.order_id}`),
    ),
  );
  fill(
    byId("order-body"),
    facts(order),
    problems(order),
    goods(order),
    parcels(order),
    h("h3", {}, "Timeline"),
    h("ol", { class: "timeline", id: "timeline" }, ...events.map((event) => entry(event, order))),
  );
}

function facts(order) {
  const units = order.units;
  const pairs = [
    ["Total", money(order.total, order.currency)],
    ["Payment", order.payment ? words(order.payment) : "–"],
    ["Units", `${count(units.ordered)} ordered, ${count(units.shipped)} shipped`],
    ["To", order.country],
    ["Customer", order.customer ?? "guest"],
    ["Placed", moment(order.placed_at)],
  ];
  return h("dl", { class: "facts" }, ...pairs.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

function problems(order) {
  if (!order.problems.length) return null;
  return h("ul", { class: "problems" }, ...order.problems.map((problem) => h("li", {}, problem.message)));
}

function goods(order) {
  const lines = order.lines.map((line) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, line.sku, h("small", {}, line.description)),
      h("td", { class: "number" }, count(line.quantity)),
      h("td", { class: "number" }, line.unit_price),
    ),
  );
  const head = h(
    "tr",
    {},
    h("th", { scope: "col" }, "SKU"),
    h("th", { scope: "col", class: "number" }, "Units"),
    h("th", { scope: "col", class: "number" }, "Unit price"),
  );
  const table = h("table", { class: "goods" }, h("thead", {}, head), h("tbody", {}, ...lines));
  const many = lines.length > 8;
  return h(
    "details",
    { open: !many },
    h("summary", {}, `${count(lines.length)} ${lines.length === 1 ? "line" : "lines"}`),
    h("div", { class: "scroll" }, table),
  );
}

function parcels(order) {
  const parts = Object.entries(order.fulfillments);
  if (!parts.length) return null;
  return h("ul", { class: "parcels" }, ...parts.map(([id, part]) => parcel(id, part)));
}

function parcel(id, part) {
  const papers = part.tracking_number
    ? [" · ", paper(id, "label", "label"), " · ", paper(id, "packing-slip", "packing slip")]
    : [];
  const carrier = part.tracking_number ? `, ${part.carrier} ${part.tracking_number}` : "";
  const tracked = part.tracking_status ? ` (${words(part.tracking_status)})` : "";
  const stuck = part.label ? `, label ${words(part.label)}` : "";
  const text = `${count(part.units)} units from ${part.location ?? "?"}: ${words(part.state)}${carrier}${tracked}${stuck}`;
  return h("li", {}, text, ...papers);
}

function paper(id, kind, name) {
  return h("a", { href: `/fulfillments/${encodeURIComponent(id)}/${kind}.pdf`, target: "_blank", rel: "noopener" }, name);
}

function entry(event, order) {
  const [service, name] = event.type.split(".");
  const said = Object.entries(event.facts).map(([key, value]) => fact(key, value, order));
  return h(
    "li",
    { data: { service } },
    h("span", { class: "what" }, h("b", {}, words(name)), h("small", {}, service)),
    h("span", { class: "quiet facts-line" }, said.filter((text) => text !== null).join(" · ")),
    h("time", { datetime: event.occurred_at, title: `position ${event.position}` }, moment(event.occurred_at)),
  );
}

// Of lists, a timeline tells the length.
const COUNTED = { lines: "line", charges: "charge", problems: "problem", unknown: "unknown SKU", missing: "missing SKU" };

const IS_MOMENT = /^\d{4}-\d\d-\d\dT\d\d:\d\d/;

function fact(name, value, order) {
  const { currency, exponent } = order;
  // The currency stands beside each amount, and a single parcel needs no name.
  if (name === "currency" || (name === "fulfillment_id" && Object.keys(order.fulfillments).length === 1)) return null;
  if (COUNTED[name]) return value ? `${count(value)} ${value === 1 ? COUNTED[name] : `${COUNTED[name]}s`}` : null;
  if (name.endsWith("_minor") && exponent !== null) {
    return `${words(name.replace("_minor", ""))} ${money(minorToText(value, exponent), currency)}`;
  }
  return `${words(name)} ${IS_MOMENT.test(value) ? moment(value) : words(String(value))}`;
}
