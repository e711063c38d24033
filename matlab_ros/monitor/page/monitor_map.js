// The lab from above: stations, crucibles by what they hold, the arm, furnaces by their heat.
import { el, svg } from "./monitor_base.js";

const LEGEND = [
  ["clean", "clean crucible"], ["at-work", "sample under way"], ["asking", "waits for a decision"],
  ["done", "measured"], ["spent", "used"], ["unknown", "nobody knows"], ["blocked", "blocked"],
];
const MARGIN = 0.16;

export class LabMap {
  constructor(host, legend) {
    this.host = host;
    this.places = new Map();
    this.stations = new Map();
    for (const [kind, text] of LEGEND) {
      const swatch = svg("svg", { width: 12, height: 12, viewBox: "0 0 12 12" }, svg("circle", { cx: 6, cy: 6, r: 5, class: kind }));
      const item = el("li", {}, swatch, ` ${text}`);
      swatch.style.verticalAlign = "-1px";
      legend.append(item);
    }
    legend.id = "legend";
  }

  build(map) {
    this.places.clear();
    this.stations.clear();
    const points = map.stations.flatMap((s) => Object.values(s.positions));
    const xs = [...points.map((p) => p[0]), ...map.stations.map((s) => s.base[0])];
    const ys = [...points.map((p) => p[1]), ...map.stations.map((s) => s.base[1] - 0.45)];
    const left = Math.min(...xs) - 0.62, right = Math.max(...xs) + 0.75;
    const low = Math.min(...ys) - 0.08, high = Math.max(...ys) + 0.36;
    this.svg = svg("svg", { viewBox: `${left} ${-high} ${right - left} ${high - low}`, role: "img", "aria-label": "The lab from above" });
    for (const station of map.stations) this.svg.append(this.station(station, station.name in map.furnaces));
    this.limb = svg("line", { class: "limb" });
    this.tool = svg("circle", { class: "tool", r: 0.035 });
    this.base = svg("rect", { class: "base", x: -0.494, y: -0.331, width: 0.988, height: 0.662, rx: 0.08 });
    this.base.append(svg("title", {}, "the arm"));
    this.svg.append(this.base, this.limb, this.tool);
    for (const part of [this.limb, this.tool, this.base]) part.style.display = "none";
    this.host.replaceChildren(this.svg);
  }

  station(station, isFurnace) {
    const spots = Object.values(station.positions);
    const x0 = Math.min(...spots.map((p) => p[0])) - MARGIN, x1 = Math.max(...spots.map((p) => p[0])) + MARGIN;
    const y0 = Math.min(...spots.map((p) => p[1])) - 0.1, y1 = Math.max(...spots.map((p) => p[1])) + 0.1;
    const group = svg("g");
    const box = svg("rect", { class: "station", x: x0, y: -y1, width: x1 - x0, height: y1 - y0, rx: 0.04 });
    const name = svg("text", { x: x0, y: -y1 - 0.05 });
    name.textContent = station.name.replaceAll("_", " ");
    const reading = svg("text", { x: x0, y: -y1 - 0.18, class: "reading" });
    group.append(box, name, ...(isFurnace ? [reading] : []));
    for (const [place, [x, y]] of Object.entries(station.positions)) {
      const dot = svg("circle", { cx: x, cy: -y, r: 0.028, class: "empty" });
      dot.append(svg("title"));
      this.places.set(place, dot);
      group.append(dot);
    }
    this.stations.set(station.name, { box, reading });
    return group;
  }

  drawPlaces(positions, samples, experiments) {
    const holders = new Map();
    for (const sample of Object.values(samples)) if (sample.container) holders.set(sample.container, sample);
    for (const [place, dot] of this.places) {
      const found = positions[place];
      let kind = "empty", text = `${place}: empty`;
      if (found?.state === "occupied") {
        const sample = holders.get(found.container);
        const experiment = sample && experiments[sample.experiment];
        kind = "clean";
        if (experiment?.asking) kind = "asking";
        else if (experiment?.state === "running") kind = "at-work";
        else if (experiment?.state === "succeeded") kind = "done";
        else if (sample && sample.state !== "planned") kind = "spent";
        text = `${place}: ${found.container}${sample ? `, ${sample.experiment} ${sample.step}` : ", clean"}`;
      } else if (found && found.state !== "empty") {
        kind = found.state;
        text = `${place}: ${found.state}`;
      }
      if (dot.getAttribute("class") !== kind) dot.setAttribute("class", kind);
      if (dot.firstChild.textContent !== text) dot.firstChild.textContent = text;
    }
  }

  drawDevices(devices, measured) {
    for (const [name, { box, reading }] of this.stations) {
      const device = devices[name];
      const celsius = measured[name]?.celsius;
      const classes = ["station"];
      if (celsius > 60) classes.push("hot");
      if (device && !device.present) classes.push("off");
      box.setAttribute("class", classes.join(" "));
      reading.textContent = celsius === null || celsius === undefined ? "" : `${celsius.toFixed(0)} °C`;
    }
  }

  drawArm(arm) {
    if (!arm || !this.base) return;
    const cosine = Math.cos(arm.yaw), sine = Math.sin(arm.yaw);
    this.base.style.display = "";
    this.base.setAttribute("transform", `translate(${arm.x} ${-arm.y}) rotate(${(-arm.yaw * 180) / Math.PI})`);
    if (!arm.tool) return;
    this.limb.style.display = this.tool.style.display = "";
    this.limb.setAttribute("x1", arm.x + 0.2 * cosine);
    this.limb.setAttribute("y1", -(arm.y + 0.2 * sine));
    this.limb.setAttribute("x2", arm.tool[0]);
    this.limb.setAttribute("y2", -arm.tool[1]);
    this.tool.setAttribute("cx", arm.tool[0]);
    this.tool.setAttribute("cy", -arm.tool[1]);
  }
}
