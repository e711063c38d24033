// Convergence, the stations' bars of time, furnaces as they go.
import { CONFIG, ask, byId, el, inks, layout, percent } from "./monitor_base.js";

const KEPT = 3000;

export function convergence(experiments, maximize = true) {
  const colours = inks();
  const rows = Object.entries(experiments).sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([id, item], index) => [index + 1, id, item]).filter(([, , item]) => item.objective !== null);
  const x = rows.map(([number]) => number);
  const y = rows.map(([, , item]) => 100 * item.objective);
  let best = null;
  const step = y.map((value) => (best = best === null ? value : maximize ? Math.max(best, value) : Math.min(best, value)));
  const text = rows.map(([, id, item]) => `<b>${id}</b> ${percent(item.objective)}`);
  Plotly.react("convergence", [
    { x, y: step, mode: "lines", line: { shape: "hv", color: colours.good, width: 2 }, hoverinfo: "skip" },
    { x, y, text, type: x.length > 1500 ? "scattergl" : "scatter", mode: "markers", marker: { color: colours.accent, size: 7, opacity: 0.8 }, hovertemplate: "%{text}<extra></extra>" },
  ], layout(colours, { height: 300, xaxis: { title: { text: "experiment" }, rangemode: "tozero" }, yaxis: { title: { text: "objective / %" }, rangemode: "tozero" } }), CONFIG);
}

const ACTIONS = { dispense: "#7a5bb5", transfer: "#8a94a3", heat: "#d9632b", measure: "#1f6fb5", analyse: "#2a9187" };

export async function stations() {
  let chart;
  try {
    chart = await ask("/api/chart");
  } catch (error) {
    byId("chart-note").textContent = error.message;
    return;
  }
  byId("chart-note").textContent = "";
  const colours = inks();
  const traces = chart.actions.map((action) => ({
    type: "bar", orientation: "h", name: action.name, base: action.start, x: action.length,
    y: action.station.map((name) => chart.stations.indexOf(name)), offset: action.offset, width: action.width,
    text: action.text, textposition: "none", hovertemplate: "%{text}<extra></extra>",
    marker: { color: ACTIONS[action.name] ?? colours.soft, line: { color: colours.bad, width: action.failed.map((bad) => (bad ? 2 : 0)) } },
  }));
  Plotly.react("chart", traces, layout(colours, {
    height: 70 + 42 * chart.stations.length, showlegend: true, legend: { orientation: "h", y: 1.08, x: 0 },
    xaxis: { title: { text: `time since the start / ${chart.unit}` } },
    yaxis: { tickvals: chart.stations.map((_, i) => i), ticktext: chart.stations, autorange: "reversed", fixedrange: true },
    margin: { l: 120, r: 12, t: 20, b: 42 }, hovermode: "closest",
  }), CONFIG);
}

// Traces of furnaces on canvases: twenty readings a second cost nothing.
export class Furnaces {
  constructor(host) {
    this.host = host;
    this.known = new Map();
  }

  async past() {
    const past = await ask("/api/temperatures").catch(() => ({}));
    for (const [name, points] of Object.entries(past)) this.furnace(name).points.unshift(...points);
  }

  furnace(name) {
    let found = this.known.get(name);
    if (!found) {
      const value = el("b", {}, "–");
      const wanted = el("span", { class: "soft small" });
      const canvas = el("canvas", { role: "img", "aria-label": `${name}: temperature of the last day` });
      this.host.append(el("div", { class: "furnace" }, el("div", {}, el("div", { class: "soft small" }, name.replaceAll("_", " ")), value, el("br"), wanted), canvas));
      found = { value, wanted, canvas, points: [] };
      this.known.set(name, found);
    }
    return found;
  }

  take(measured, setpoints, limits) {
    for (const [name, reading] of Object.entries(measured)) {
      const furnace = this.furnace(name);
      const target = setpoints[name]?.celsius ?? null;
      const last = furnace.points.at(-1);
      if (reading.celsius !== null && (!last || reading.time_s > last[0])) furnace.points.push([reading.time_s, reading.celsius, target]);
      if (furnace.points.length > KEPT) furnace.points.splice(0, KEPT / 4);
      furnace.value.textContent = reading.celsius === null ? "no reading" : `${reading.celsius.toFixed(1)} °C`;
      furnace.wanted.textContent = target === null ? "" : target > 20 ? `set point ${target.toFixed(0)} °C` : "off";
      this.draw(furnace, limits[name]?.max_c ?? 1200);
    }
  }

  draw({ canvas, points }, most) {
    const wide = canvas.clientWidth, high = canvas.clientHeight, sharp = devicePixelRatio || 1;
    if (canvas.width !== Math.round(wide * sharp)) { canvas.width = Math.round(wide * sharp); canvas.height = Math.round(high * sharp); }
    const pen = canvas.getContext("2d");
    pen.setTransform(sharp, 0, 0, sharp, 0, 0);
    pen.clearRect(0, 0, wide, high);
    if (!points.length) return;
    this.colours ??= inks();
    const end = points.at(-1)[0], start = Math.max(points[0][0], end - 86400), span = Math.max(end - start, 60);
    const at = (t, c) => [((t - start) / span) * (wide - 2), high - 4 - (Math.min(c, most) / most) * (high - 8)];
    const line = (index, ink, dash) => {
      pen.strokeStyle = ink; pen.lineWidth = 1.5; pen.setLineDash(dash); pen.beginPath();
      let drawing = false;
      for (const point of points) {
        if (point[0] < start || point[index] === null || point[index] === undefined) { drawing = false; continue; }
        const [x, y] = at(point[0], point[index]);
        if (drawing) pen.lineTo(x, y); else pen.moveTo(x, y);
        drawing = true;
      }
      pen.stroke();
    };
    pen.strokeStyle = this.colours.grid; pen.lineWidth = 1; pen.setLineDash([]);
    for (const share of [0, 0.5, 1]) { pen.beginPath(); pen.moveTo(0, high - 4 - share * (high - 8)); pen.lineTo(wide, high - 4 - share * (high - 8)); pen.stroke(); }
    line(2, this.colours.soft, [3, 3]);
    line(1, this.colours.hot, []);
  }

  recolour() { this.colours = undefined; }
}
