// What the surrogate model believes along each parameter, through the best recipe: mean and band.
import { CONFIG, byId, el, inks, label, layout } from "./monitor_base.js";

export class Slices {
  constructor() { this.known = new Map(); }

  forget() { this.known.clear(); }

  show(slices) {
    const host = byId("slices");
    // All places first: a plot takes the width that its place has when it is drawn.
    for (const name of Object.keys(slices)) {
      const id = `slice-${name}`;
      if (!byId(id)) host.append(el("div", { class: "plot", id, role: "img", "aria-label": `belief along ${label(name)}` }));
    }
    for (const [name, slice] of Object.entries(slices)) {
      const stamp = JSON.stringify(slice);
      if (this.known.get(name) === stamp) continue;
      this.known.set(name, stamp);
      this.draw(`slice-${name}`, name, slice);
    }
  }

  draw(id, name, slice) {
    const colours = inks();
    const mean = slice.mean.map((v) => 100 * v);
    const high = slice.high.map((v) => 100 * v);
    const low = slice.low.map((v) => 100 * v);
    const isWord = typeof slice.at[0] === "string";
    const traces = isWord
      ? [{ x: slice.at, y: mean, type: "scatter", mode: "markers", marker: { color: colours.accent, size: 9 }, error_y: { symmetric: false, array: high.map((v, i) => v - mean[i]), arrayminus: mean.map((v, i) => v - low[i]), color: colours.soft, thickness: 1.4 } }]
      : [
        { x: slice.at, y: high, mode: "lines", line: { width: 0 }, hoverinfo: "skip" },
        { x: slice.at, y: low, mode: "lines", line: { width: 0 }, fill: "tonexty", fillcolor: colours.accent.replace("rgb(", "rgba(").replace(")", ", 0.18)"), hoverinfo: "skip" },
        { x: slice.at, y: mean, mode: "lines", line: { color: colours.accent, width: 2 } },
      ];
    Plotly.react(id, traces, layout(colours, {
      height: isWord ? 260 : 220, margin: { l: 46, r: 10, t: 6, b: isWord ? 84 : 40 },
      xaxis: { title: { text: label(name) }, }, yaxis: { title: { text: "%" } },
    }), CONFIG);
  }
}
