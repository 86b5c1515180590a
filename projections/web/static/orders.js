// The newest orders. Each leads to its own part of the address, which opens the order.

import { byId, h, keyed, setText, show } from "./dom.js";
import { ago, count, moment, money, words } from "./format.js";

export function drawOrders(newest) {
  show(byId("orders-none"), newest.length === 0);
  show(byId("orders-table"), newest.length > 0);
  keyed(byId("orders"), newest, (order) => order.order_id, makeRow, updateRow);
}

/** "5 min ago" grows old without any news. */
export function refreshTimes() {
  for (const time of document.querySelectorAll("#orders time")) time.textContent = ago(time.dateTime);
}

function makeRow(order) {
  const link = h("a", { href: `#order/${order.order_id}` }, order.number);
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, link, h("small", { class: "channel" }, order.channel)),
    h("td", {}, h("span", { class: "state" }), h("span", { class: "waits" })),
    h("td", { class: "payment" }, h("span", {})),
    h("td", { class: "number units" }),
    h("td", { class: "number total" }),
    h("td", {}, h("time", { datetime: order.placed_at, title: moment(order.placed_at) })),
  );
}

function updateRow(row, order) {
  const state = row.querySelector(".state");
  state.dataset.state = order.status;
  setText(state, words(order.status));
  row.querySelector(".waits").textContent = order.holds.length ? `held: ${order.holds.map(words).join(", ")}` : "";
  setText(row.querySelector(".payment span"), order.payment ? words(order.payment) : "–");
  row.querySelector(".units").textContent = count(order.units);
  row.querySelector(".total").textContent = money(order.total, order.currency);
  row.querySelector("time").textContent = ago(order.placed_at);
}
