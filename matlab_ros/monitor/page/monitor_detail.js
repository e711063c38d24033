// One experiment: why it was suggested, requested beside measured, the firing, the pattern, the verdict.
import { CONFIG, ask, el, figure, inks, label, layout, percent, unpack } from "./monitor_base.js";

const VERDICTS = {
  confirmed: ["confirmed", "good"], provisional: ["provisional", "warn"],
  needs_human: ["needs a human", "bad"], unknown: ["not judged", "soft"],
};
const OFF = 0.02;

function table(head, rows) {
  return el("table", { class: "small-table" },
    el("thead", {}, el("tr", {}, ...head.map(([text, num]) => el("th", { scope: "col", class: num ? "num" : "" }, text)))),
    el("tbody", {}, ...rows.map((row) => el("tr", {}, ...row.map((cell, index) => {
      const [text, kind] = Array.isArray(cell) ? cell : [cell, ""];
      return el("td", { class: `${head[index][1] ? "num" : ""} ${kind}`.trim() }, text);
    })))));
}

function off(wanted, got) {
  return typeof wanted === "number" && typeof got === "number" && Math.abs(got - wanted) > OFF * Math.abs(wanted) ? "off-target" : "";
}

export class Detail {
  // why: what the planner said of a suggestion, by its experiment.
  constructor(host, why) {
    this.host = host;
    this.whyOf = why;
    this.id = "";
    this.known = "";
  }

  async show(id, stamp) {
    const key = `${id} ${stamp}`;
    if (key === this.known) return;
    const isNew = id !== this.id;
    this.id = id;
    this.known = key;
    let found;
    try {
      found = await ask(`/api/experiment/${encodeURIComponent(id)}`);
    } catch (error) {
      if (this.id === id) this.host.replaceChildren(el("h3", {}, id), el("p", { class: "soft" }, error.message));
      return;
    }
    if (this.id !== id) return;
    const scroll = isNew ? 0 : this.host.scrollTop;
    this.draw(found);
    this.host.scrollTop = scroll;
  }

  draw(found) {
    const parts = [el("h2", {}, `${found.experiment_id}: ${percent(found.objective, found.sigma)}`)];
    if (found.message) parts.push(el("p", { class: "bad" }, found.message));
    parts.push(...this.why(found), ...this.asked(found), ...this.doses(found), ...this.verdict(found));
    this.host.replaceChildren(...parts);
    if (found.pattern) this.pattern(found.pattern);
    if (found.trace) this.trace(found.trace);
  }

  why(found) {
    const s = found.suggestion;
    if (!s) return [];
    let text = `Suggested by ${s.method}`;
    if (s.predicted_mean !== null) {
      text += `, which expected ${percent(s.predicted_mean, s.predicted_sigma)}`;
      if (found.objective !== null && s.predicted_sigma) {
        const z = (found.objective - s.predicted_mean) / s.predicted_sigma;
        text += `: it is ${Math.abs(z).toFixed(1)} standard deviations ${z < 0 ? "worse" : "better"}`;
      }
    } else text += ", before there was a model";
    const near = this.whyOf(found.experiment_id)?.near ?? [];
    const known = near.map((item) => `${item.experiment} (${percent(item.objective)})`).join(", ");
    return [el("p", { class: "soft" }, `${text}.${known ? ` Known nearby: ${known}.` : ""}`)];
  }

  asked(found) {
    const rows = Object.entries(found.settings).map(([name, wanted]) => {
      const got = found.carried_out[name];
      return [label(name), figure(wanted), got === undefined ? "–" : [figure(got), off(wanted, got)]];
    });
    const heat = found.heating;
    if (heat) {
      rows.push(["highest temperature / °C", figure(heat.requested_max_c), [figure(heat.measured_max_c), off(heat.requested_max_c, heat.measured_max_c)]]);
      rows.push(["dwell / min", figure(heat.requested_dwell_min), [figure(heat.measured_dwell_min), off(heat.requested_dwell_min, heat.measured_dwell_min)]]);
    }
    return [el("h3", {}, "Recipe"), table([["", 0], ["requested", 1], ["measured", 1]], rows)];
  }

  doses(found) {
    if (!found.doses.length) return [];
    const rows = found.doses.map((dose) => [dose.substance, figure(dose.requested_mg), [figure(dose.measured_mg), dose.within_tolerance ? "" : "off-target"]]);
    return [el("h3", {}, "Powders / mg"), table([["", 0], ["requested", 1], ["weighed", 1]], rows)];
  }

  verdict(found) {
    const parts = [];
    if (found.trace) parts.push(el("h3", {}, "Firing"), el("div", { class: "plot", id: "trace", style: "height:170px;min-height:170px" }));
    if (!found.analysis) return parts;
    const [word, kind] = VERDICTS[found.analysis.verdict] ?? VERDICTS.unknown;
    parts.push(el("h3", {}, "Phases"), table([["", 0], ["wt%", 1]], found.analysis.phases.map((phase) => [
      `${phase.phase}`, percent(phase.weight_fraction, phase.sigma).replace(" %", "")])));
    parts.push(el("p", {}, el("span", { class: `verdict ${kind}` }, word),
      el("span", { class: "soft" }, ` · Rwp ${figure(found.analysis.rwp_percent)} % · goodness of fit ${figure(found.analysis.goodness_of_fit)}`)));
    for (const remark of found.analysis.remarks) parts.push(el("p", { class: "soft small" }, remark));
    if (found.pattern) parts.push(el("div", { class: "plot", id: "pattern" }));
    return parts;
  }

  pattern(columns) {
    const colours = inks();
    const counts = unpack(columns.counts);
    const x = columns.x ? unpack(columns.x) : Float32Array.from(counts, (_, i) => columns.start + i * columns.step);
    const draw = [{ x, y: counts, mode: "markers", type: "scatter", marker: { size: 2.4, color: colours.soft }, name: "measured" }];
    if (columns.calculated) {
      const fit = unpack(columns.calculated);
      const low = Math.min(...counts);
      draw.push({ x, y: fit, mode: "lines", line: { color: colours.accent, width: 1.3 }, name: "fit" });
      draw.push({ x, y: counts.map((v, i) => v - fit[i] + low - 0.08 * (Math.max(...counts) - low)), mode: "lines", line: { color: colours.hot, width: 0.8 }, name: "difference" });
    }
    Plotly.newPlot("pattern", draw, layout(colours, {
      xaxis: { title: { text: "2θ / °" } }, yaxis: { title: { text: "counts" } }, showlegend: true,
      legend: { orientation: "h", y: 1.12, x: 0 }, margin: { l: 60, r: 10, t: 26, b: 42 },
    }), CONFIG);
  }

  trace(columns) {
    const colours = inks();
    const hours = columns.elapsed_s.map((s) => s / 3600);
    Plotly.newPlot("trace", [
      { x: hours, y: columns.setpoint_c, mode: "lines", line: { color: colours.soft, dash: "dot", width: 1.2 }, name: "set point" },
      { x: hours, y: columns.measured_c, mode: "lines", line: { color: colours.hot, width: 1.6 }, name: "measured" },
    ], layout(colours, { xaxis: { title: { text: "h" } }, yaxis: { title: { text: "°C" } }, margin: { l: 52, r: 10, t: 6, b: 36 } }), CONFIG);
  }
}
