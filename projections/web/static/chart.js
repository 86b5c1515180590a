// Orders as columns, revenue as a line, over the time the newest orders were placed.

import { byId, show } from "./dom.js";
import { count, money, step } from "./format.js";

const HEIGHT = 220;

let plot = null;
let drawn = "";
let newest = null;

export function setUpChart() {
  const redraw = () => {
    drawn = "";
    if (newest) drawChart(newest);
  };
  document.addEventListener("themechange", redraw);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  new ResizeObserver(() => plot && plot.setSize(size())).observe(byId("chart"));
}

export function drawChart(chart) {
  newest = chart;
  const total = chart.orders.reduce((sum, orders) => sum + orders, 0);
  show(byId("chart"), total > 0);
  show(byId("chart-none"), total === 0);
  byId("chart-span").textContent = total ? `the newest ${count(total)}, per ${step(chart.width_s)}` : "";
  const content = JSON.stringify(chart);
  if (!total || content === drawn) return;
  const isSameShape = plot && drawn && sameAxes(JSON.parse(drawn), chart);
  drawn = content;
  if (isSameShape) {
    plot.setData(columns(chart));
  } else {
    if (plot) plot.destroy();
    plot = new window.uPlot(options(chart), columns(chart), byId("chart"));
  }
}

const sameAxes = (one, other) =>
  one.width_s === other.width_s && one.currency === other.currency && one.at.length > 1 === other.at.length > 1;

const size = () => ({ width: Math.max(240, byId("chart").clientWidth), height: HEIGHT });

/** Columns stand in the middle of their time. A single one gets empty neighbours, so that it is no wall. */
function columns(chart) {
  const scale = 10 ** (chart.exponent ?? 2);
  let at = chart.at.map((start) => start + chart.width_s / 2);
  let orders = chart.orders.map((number) => number || null); // no column, not one of no height
  let revenue = chart.revenue_minor.map((minor) => minor / scale);
  if (at.length < 6) {
    const lacking = 6 - at.length;
    const before = Array.from({ length: lacking }, (_, number) => at[0] - (lacking - number) * chart.width_s);
    at = [...before, ...at];
    orders = [...before.map(() => null), ...orders];
    revenue = [...before.map(() => 0), ...revenue];
  }
  return [at, orders, revenue];
}

function options(chart) {
  const style = getComputedStyle(document.documentElement);
  const color = (name) => style.getPropertyValue(name).trim();
  const axis = { stroke: color("--ink-quiet"), grid: { stroke: color("--rule"), width: 1 }, ticks: { show: false }, font: "12px system-ui" };
  const uPlot = window.uPlot;
  return {
    ...size(),
    padding: [8, 0, 0, 0],
    cursor: { drag: { x: false, y: false }, points: { size: 7 } },
    scales: {
      x: { range: (_, low, high) => [low - chart.width_s / 2, high + chart.width_s / 2] },
      y: { range: (_, low, high) => [0, Math.max(4, Math.ceil(high * 1.15))] },
      money: { range: (_, low, high) => [Math.min(0, low), Math.max(1, high * 1.15)] },
    },
    axes: [
      { ...axis, grid: { show: false }, values: (_, times) => times.map((time) => timeLabel(time, chart.width_s)), space: 70 },
      { ...axis, size: 44, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000] },
      { ...axis, scale: "money", side: 1, size: 58, grid: { show: false }, values: (_, amounts) => amounts.map(short) },
    ],
    series: [
      { label: "From", value: (_, time) => (time === null ? span(chart) : timeLabel(time - chart.width_s / 2, chart.width_s, true)) },
      {
        label: "Orders",
        stroke: color("--column"),
        fill: color("--column"),
        paths: uPlot.paths.bars({ size: [0.72, 46], radius: 0.15 }),
        points: { show: false },
        value: (self, orders, _, column) => count(column === null ? sum(self.data[1]) : (orders ?? 0)),
      },
      {
        label: "Revenue",
        scale: "money",
        stroke: color("--line"),
        width: 2,
        points: { size: 5, fill: color("--line") },
        value: (self, taken, _, column) =>
          money((column === null ? sum(self.data[2]) : taken).toFixed(chart.exponent ?? 2), chart.currency),
      },
    ],
  };
}

const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);

/** Where no column is pointed at, the legend tells of all. */
const span = (chart) => `${timeLabel(newest.at[0], chart.width_s, true)} on`;

const short = (number) => new Intl.NumberFormat("en-GB", { notation: "compact", maximumFractionDigits: 1 }).format(number);

function timeLabel(seconds, width_s, isFull = false) {
  const at = new Date(seconds * 1000);
  const date = at.toLocaleDateString("en-GB", { day: "numeric", month: "short" });
  if (width_s >= 86400) return isFull ? `${date} ${at.getFullYear()}` : date;
  const second = width_s < 60 ? "2-digit" : undefined;
  const time = at.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", second });
  return isFull || (width_s >= 21600) ? `${date} ${time}` : time;
}

