// Follows /events and draws each summary as it comes. The browser reconnects by itself; we only say how it stands.

import { drawChart, setUpChart } from "./chart.js";
import { byId, show } from "./dom.js";
import { refreshOrder, setUpOrder } from "./order.js";
import { drawOrders, refreshTimes } from "./orders.js";
import { drawOverview } from "./overview.js";

const TIMES_EVERY_MS = 15_000;
const AGAIN_AFTER_MS = 5_000;

const LINK = {
  live: "Live",
  waiting: "Connecting…",
  lost: "Connection lost, trying again…",
  trouble: "Read models are away",
};

function setLink(state) {
  const link = byId("link");
  if (link.dataset.state === state) return;
  link.dataset.state = state;
  byId("link-text").textContent = LINK[state];
}

function draw(summary) {
  show(byId("trouble"), false);
  show(byId("empty"), summary.orders === 0);
  drawOverview(summary);
  drawOrders(summary.newest);
  drawChart(summary.chart);
  refreshOrder(summary.position);
  setLink("live");
}

function complain(message) {
  byId("trouble").textContent = message;
  show(byId("trouble"), true);
  setLink("trouble");
}

function follow() {
  const source = new EventSource("/events");
  source.addEventListener("open", () => setLink("live"));
  source.addEventListener("summary", (event) => draw(JSON.parse(event.data)));
  source.addEventListener("trouble", (event) => complain(JSON.parse(event.data).message));
  source.addEventListener("error", () => {
    setLink("lost");
    if (source.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
    source.close();
    setTimeout(follow, AGAIN_AFTER_MS);
  });
}

function firstSteps() {
  const send = (path, body) => `curl ${location.origin}${path} --json '${JSON.stringify(body)}'`;
  const receipt = { reference: "first", lines: [{ sku: "MUG", quantity: 100 }] };
  const order = {
    channel: "web", number: "1", currency: "GBP", total: "12.50", payment_token: "tok_ok",
    lines: [{ sku: "MUG", quantity: 2, unit_price: "6.25" }],
    ship_to: { lines: ["1 High Street"], city: "London", postal_code: "EC1A 1BB", country: "GB" },
  };
  byId("try").textContent = `${send("/stock/receipts", receipt)}\n${send("/orders", order)}`;
}

firstSteps();
setUpChart();
setUpOrder();
follow();
setInterval(refreshTimes, TIMES_EVERY_MS);
