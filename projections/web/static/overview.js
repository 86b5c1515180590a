// Figures, states, low stock and consumers: everything but the orders themselves and the chart.

import { byId, h, keyed, setText, show } from "./dom.js";
import { amount, count, money, words } from "./format.js";

const STATES = ["placed", "accepted", "confirmed", "completed", "rejected", "cancelled", "expired"];

export function drawOverview(summary) {
  setText(byId("position"), count(summary.position));
  drawTiles(summary);
  drawStates(summary);
  drawLow(summary);
  drawConsumers(summary);
}

function drawTiles(summary) {
  const [main, ...others] = Object.entries(summary.revenue);
  const held = Object.values(summary.by_hold).reduce((sum, orders) => sum + orders, 0);
  const tiles = [
    { name: "Orders", value: count(summary.orders), note: `${count(summary.by_status.completed ?? 0)} completed` },
    {
      name: "Revenue",
      title: main ? `Revenue, ${main[0]}` : "Revenue",
      value: main ? amount(main[1]) : "–",
      note: others.length ? others.map(([currency, amount]) => money(amount, currency)).join(" · ") : "captured",
    },
    { name: "Units shipped", value: count(summary.units_shipped), note: `${count(summary.skus)} SKUs in stock` },
    { name: "Holds", value: count(held), note: held ? "orders that wait" : "no order waits", level: held ? "warn" : "" },
    {
      name: "Low stock",
      value: count(summary.low_stock),
      note: `${count(summary.backordered_units)} units waited for`,
      level: summary.low_stock ? "warn" : "",
    },
    {
      name: "Parked events",
      value: count(summary.parked),
      note: summary.parked ? "see waybill parked list" : "all were handled",
      level: summary.parked ? "bad" : "",
    },
  ];
  keyed(byId("tiles"), tiles, (tile) => tile.name, makeTile, updateTile);
}

function makeTile(tile) {
  return h(
    "div",
    { class: "card tile" },
    h("h2", {}),
    h("p", { class: "value", data: { name: tile.name } }),
    h("p", { class: "quiet note" }),
  );
}

function updateTile(element, tile) {
  element.dataset.level = tile.level ?? "";
  element.querySelector("h2").textContent = tile.title ?? tile.name;
  setText(element.querySelector(".value"), tile.value);
  element.querySelector(".note").textContent = tile.note;
}

function drawStates(summary) {
  const states = STATES.map((state) => ({ state, orders: summary.by_status[state] ?? 0 }));
  const shares = states.filter(({ orders }) => orders > 0);
  keyed(
    byId("stack"),
    shares,
    ({ state }) => state,
    ({ state }) => h("span", { data: { state } }),
    (element, { orders }) => (element.style.flexGrow = orders),
  );
  keyed(
    byId("states"),
    states,
    ({ state }) => state,
    ({ state }) =>
      h("li", { data: { state } }, h("span", { class: "swatch" }), words(state), h("b", { data: { name: state } })),
    (element, { orders }) => {
      element.classList.toggle("none", orders === 0);
      setText(element.querySelector("b"), count(orders));
    },
  );
  const holds = Object.entries(summary.by_hold);
  show(byId("holds-part"), holds.length > 0);
  keyed(
    byId("holds"),
    holds,
    ([hold]) => hold,
    ([hold]) => h("li", {}, `${words(hold)} `, h("b", {})),
    (element, [, orders]) => setText(element.querySelector("b"), count(orders)),
  );
}

function drawLow(summary) {
  const shown = summary.low.length;
  show(byId("low-table"), shown > 0);
  show(byId("low-none"), shown === 0);
  byId("low-count").textContent = summary.low_stock > shown ? `${count(shown)} of ${count(summary.low_stock)}` : "";
  keyed(
    byId("low"),
    summary.low,
    ({ sku }) => sku,
    ({ sku }) =>
      h("tr", {}, h("th", { scope: "row" }, sku), ...[1, 2, 3].map(() => h("td", { class: "number" }, h("span", {})))),
    (row, { available, backordered, incoming }) => {
      [available, backordered, incoming].forEach((units, column) =>
        setText(row.children[column + 1].firstChild, units ? count(units) : column ? "–" : "0"),
      );
      row.classList.toggle("out", available <= 0);
    },
  );
}

function drawConsumers(summary) {
  const behind = summary.consumers.filter(({ lag }) => lag > 0).length;
  const stuck = summary.consumers.filter(({ trouble }) => trouble).length;
  byId("consumers-state").textContent = stuck ? `${stuck} put off` : behind ? `${behind} catching up` : "all caught up";
  keyed(
    byId("consumers"),
    summary.consumers,
    ({ name }) => name,
    ({ name }) =>
      h(
        "tr",
        {},
        h("th", { scope: "row" }, h("span", { class: "dot", "aria-hidden": "true" }), name, h("small", { class: "why" })),
        h("td", { class: "number lag" }, h("span", {})),
        h("td", { class: "number parked" }, h("span", {})),
      ),
    (row, { lag, parked, trouble }) => {
      row.dataset.level = trouble || parked ? "bad" : lag ? "warn" : "good";
      row.querySelector(".why").textContent = trouble ?? "";
      setText(row.querySelector(".lag span"), count(lag));
      setText(row.querySelector(".parked span"), count(parked));
    },
  );
}
