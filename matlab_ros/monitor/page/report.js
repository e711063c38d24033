// Draws the plots of a campaign's report from the data embedded in the page; the heavy ones on unfolding.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("campaign-data").textContent);
  const config = { displaylogo: false, responsive: true, modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]] };
  const drawn = new Map(); // element -> function that draws it

  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const fade = (hex, alpha) => {
    const n = parseInt(hex.slice(1), 16);
    return `rgba(${n >> 16}, ${(n >> 8) & 255}, ${n & 255}, ${alpha})`;
  };
  const axis = (title, more) => ({
    title: { text: title, standoff: 8 }, gridcolor: color("grid"), linecolor: color("line"),
    zerolinecolor: color("grid"), tickcolor: color("line"), automargin: true, ...more,
  });
  const layout = (more) => ({
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", margin: { l: 56, r: 14, t: 10, b: 44 },
    font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: color("soft") },
    hoverlabel: { bgcolor: color("card"), bordercolor: color("line"), font: { color: color("ink") }, align: "left" },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: color("soft"), activecolor: color("accent") },
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { color: color("ink") } },
    ...more,
  });
  const draw = (element, make) => {
    drawn.set(element, make);
    const { traces, layout: shape } = make();
    return Plotly.react(element, traces, shape, config);
  };
  const floats = (text) => {
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    return new Float32Array(bytes.buffer);
  };
  const escape = (text) => String(text).replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);

  // ---- overview -------------------------------------------------------------------------------
  const convergence = () => {
    const c = data.convergence;
    return {
      traces: [
        { x: c.number, y: c.value, error_y: { type: "data", array: c.sigma, color: fade(color("accent"), 0.45), thickness: 1, width: 0 },
          text: c.text, hovertemplate: "%{text}<extra></extra>", mode: "markers", name: "each experiment",
          marker: { size: 8, color: c.method.map((m) => ["sobol", "random", "by hand"].includes(m) ? fade(color("accent"), 0.35) : color("accent")),
            line: { width: 1, color: color("accent") } } },
        { x: c.number, y: c.best, mode: "lines", line: { shape: "hv", width: 2.5, color: color("good") },
          name: "best so far", hoverinfo: "skip" },
      ],
      layout: layout({
        height: 330, hovermode: "closest",
        xaxis: axis("experiment", { rangemode: "tozero", zeroline: false }),
        yaxis: axis(`${escape(data.target)} (wt%)`, { rangemode: "tozero" }),
      }),
    };
  };
  // What the model expects along a parameter: a band, or a bar for each choice.
  const curve = (p, k) => {
    const c = p.curve, on = { xaxis: `x${k}`, yaxis: `y${k}`, hoverinfo: "skip" };
    const soft = fade(color("accent"), 0.16);
    if (p.kind === "category") return [{
      ...on, x: c.x, y: c.mean, mode: "markers", marker: { symbol: "line-ew-open", size: 22, color: color("accent") },
      error_y: { type: "data", symmetric: false, array: c.high.map((v, i) => v - c.mean[i]), arrayminus: c.mean.map((v, i) => v - c.low[i]), color: fade(color("accent"), 0.4), thickness: 1.2, width: 0 },
    }];
    return [
      { ...on, x: c.x, y: c.high, mode: "lines", line: { width: 0 } },
      { ...on, x: c.x, y: c.low, mode: "lines", line: { width: 0 }, fill: "tonexty", fillcolor: soft },
      { ...on, x: c.x, y: c.mean, mode: "lines", line: { width: 1.6, color: fade(color("accent"), 0.8) } },
    ];
  };
  const parameters = () => {
    const list = data.parameters;
    const traces = [];
    const shape = layout({ height: 320, showlegend: false, hovermode: "closest", margin: { l: 56, r: 14, t: 30, b: 60 } });
    const gap = 0.045;
    const width = (1 - gap * (list.length - 1)) / list.length;
    list.forEach((p, i) => {
      const k = i ? String(i + 1) : "";
      const left = i * (width + gap);
      shape[`xaxis${k}`] = axis(escape(p.label), {
        domain: [left, left + width], anchor: `y${k}`, type: p.kind, zeroline: false, ...(p.kind === "log" ? { dtick: "D2", minorloglabels: "complete" } : {}),
        ...(p.kind === "category" ? { categoryorder: "array", categoryarray: p.choices, tickangle: p.choices.length > 3 ? -30 : 0, showgrid: false,
          range: [-0.5, p.choices.length - 0.5], tickvals: p.choices,
          ticktext: p.choices.map((t) => escape(t.length > 16 ? t.slice(0, 15) + "…" : t)), showticklabels: p.choices.length <= 12 } : {}),
      });
      shape[`yaxis${k}`] = axis(i ? "" : `${escape(data.target)} (wt%)`, { anchor: `x${k}`, matches: i ? "y" : undefined, showticklabels: i === 0, rangemode: "tozero" });
      if (p.curve) traces.push(...curve(p, k));
      traces.push({
        x: p.x, y: p.y, text: p.text, xaxis: `x${k}`, yaxis: `y${k}`, mode: "markers", hovertemplate: "%{text}<extra></extra>",
        marker: { size: p.best.map((b) => b ? 12 : 8), symbol: p.best.map((b) => b ? "star" : "circle"),
          color: p.best.map((b) => b ? color("good") : fade(color("accent"), 0.6)), line: { width: 0.5, color: color("card") } },
      });
    });
    return { traces, layout: shape };
  };
  const stations = () => {
    const g = data.gantt;
    const traces = g.actions.map((a) => ({
      type: "bar", orientation: "h", name: a.name, base: a.start, x: a.length, y: a.station, offset: a.offset, width: a.width,
      text: a.text, textposition: "none", hovertemplate: "%{text}<extra></extra>",
      marker: { color: color(`c-${a.name}`) || color("soft"),
        // A frame in the bar's own colour keeps a minute visible in a chart of days.
        line: { width: a.failed.map((f) => f ? 2 : 1), color: a.failed.map((f) => f ? color("bad") : color(`c-${a.name}`) || color("soft")) } },
    }));
    return {
      traces,
      layout: layout({
        height: 120 + 46 * g.stations.length, barmode: "overlay", hovermode: "closest", bargap: 0,
        xaxis: axis(g.unit === "h" ? "hours since the start" : "days since the start", { zeroline: false, rangemode: "tozero" }),
        yaxis: axis("", { type: "category", categoryorder: "array", categoryarray: g.stations.slice().reverse(), showgrid: false,
          range: [-0.6, g.stations.length - 0.4] }),
      }),
    };
  };

  const metrics = () => {
    const m = data.metrics;
    const rows = Math.max(m.stations.length, m.steps.length);
    const bars = (name, x, y, tint, more) => ({
      type: "bar", orientation: "h", name, x, y, marker: { color: tint }, ...more,
    });
    return {
      traces: [
        bars("", m.used, m.stations, m.limits.map((l) => l ? color("warn") : color("accent")),
          { showlegend: false, hovertemplate: "%{y}: %{x:.1f} %<extra></extra>" }),
        bars("waiting", m.waiting, m.steps, fade(color("soft"), 0.4),
          { xaxis: "x2", yaxis: "y2", hovertemplate: `%{y} is waited for: %{x:.2f} ${m.unit}<extra></extra>` }),
        bars("working", m.working, m.steps, color("accent"),
          { xaxis: "x2", yaxis: "y2", hovertemplate: `%{y} works: %{x:.2f} ${m.unit}<extra></extra>` }),
      ],
      layout: layout({
        height: 110 + 30 * rows, barmode: "stack", bargap: 0.35,
        xaxis: axis("utilisation (%)", { domain: [0, 0.44], range: [0, 100], zeroline: false }),
        yaxis: axis("", { autorange: "reversed", showgrid: false }),
        xaxis2: axis(`median time of a step (${m.unit})`, { domain: [0.58, 1], anchor: "y2", rangemode: "tozero", zeroline: false }),
        yaxis2: axis("", { anchor: "x2", autorange: "reversed", showgrid: false }),
        legend: { orientation: "h", x: 0.58, y: 1.02, yanchor: "bottom", font: { color: color("ink") } },
      }),
    };
  };

  // ---- one experiment -------------------------------------------------------------------------
  const pattern = (p) => () => {
    const counts = floats(p.counts);
    const x = p.x ? floats(p.x) : Float32Array.from(counts, (_, i) => p.start + i * p.step);
    const traces = [
      { x, y: counts, mode: "markers", name: "measured", marker: { size: 2.5, color: fade(color("ink"), 0.55) }, hoverinfo: "x+y" },
    ];
    const shape = layout({
      height: 400, hovermode: "closest",
      xaxis: axis("2θ (°)", { zeroline: false, anchor: "y2", range: [x[0], x[x.length - 1]] }),
      yaxis: axis("counts", { domain: [0.26, 1], rangemode: "tozero" }),
    });
    if (p.calculated) {
      const calculated = floats(p.calculated);
      traces.push({ x, y: calculated, mode: "lines", name: "fit", line: { width: 1.4, color: color("c-heat") }, hoverinfo: "skip" });
      if (p.background) traces.push({ x, y: floats(p.background), mode: "lines", name: "background", line: { width: 1, dash: "dot", color: color("soft") }, hoverinfo: "skip" });
      traces.push({ x, y: counts.map((v, i) => v - calculated[i]), yaxis: "y2", mode: "lines", name: "difference", line: { width: 1, color: color("accent") }, hoverinfo: "x+y" });
      shape.yaxis2 = axis("diff.", { domain: [0, 0.19], zeroline: true, zerolinecolor: color("line"), nticks: 3 });
    } else {
      shape.xaxis.anchor = "y";
      shape.yaxis.domain = [0, 1];
    }
    return { traces, layout: shape };
  };
  const trace = (t) => () => {
    const hours = t.elapsed_s.map((s) => s / 3600);
    return {
      traces: [
        { x: hours, y: t.setpoint_c, mode: "lines", name: "set point", line: { dash: "dash", width: 1.4, color: color("soft") } },
        { x: hours, y: t.measured_c, mode: "lines", name: "measured", line: { width: 2, color: color("c-heat") }, connectgaps: false },
      ],
      layout: layout({ height: 230, hovermode: "x unified", xaxis: axis("hours since the firing began", { zeroline: false }), yaxis: axis("°C", { rangemode: "tozero" }) }),
    };
  };
  const unfold = (button) => {
    const row = button.closest("tr");
    const template = document.getElementById(`detail-${button.dataset.experiment}`);
    const detail = document.createElement("tr");
    detail.className = "detail";
    const cell = detail.insertCell();
    cell.colSpan = row.cells.length;
    cell.append(template.content.cloneNode(true));
    row.after(detail);
    row.classList.add("open");
    button.setAttribute("aria-expanded", "true");
    const heavy = data.details[button.dataset.experiment] || {};
    const patternPlot = cell.querySelector(".pattern-plot");
    if (patternPlot && heavy.pattern) draw(patternPlot, pattern(heavy.pattern));
    const tracePlot = cell.querySelector(".trace-plot");
    if (tracePlot && heavy.trace) draw(tracePlot, trace(heavy.trace));
  };
  const fold = (button) => {
    const row = button.closest("tr");
    const detail = row.nextElementSibling;
    detail.querySelectorAll(".plot").forEach((element) => { drawn.delete(element); Plotly.purge(element); });
    detail.remove();
    row.classList.remove("open");
    button.setAttribute("aria-expanded", "false");
  };
  const toggle = (button) => (button.getAttribute("aria-expanded") === "true" ? fold(button) : unfold(button));

  // ---- the table ------------------------------------------------------------------------------
  const table = document.getElementById("experiments");
  if (table) {
    const body = table.tBodies[0];
    const rows = () => [...body.querySelectorAll("tr.row")];
    const closeAll = () => body.querySelectorAll("button.fold[aria-expanded=true]").forEach(fold);
    body.addEventListener("click", (event) => {
      const row = event.target.closest("tr.row");
      if (row && !window.getSelection().toString()) toggle(row.querySelector("button.fold"));
    });
    table.tHead.addEventListener("click", (event) => {
      const head = event.target.closest("th");
      if (!head || !event.target.closest("button")) return;
      closeAll();
      const rising = head.getAttribute("aria-sort") !== "ascending";
      table.tHead.querySelectorAll("th").forEach((th) => th.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", rising ? "ascending" : "descending");
      const column = head.cellIndex;
      const key = (row) => {
        const value = row.cells[column].dataset.value;
        const number = Number(value);
        return value === undefined || value === "" ? null : Number.isNaN(number) ? value : number;
      };
      const order = (a, b) => {
        const [x, y] = [key(a), key(b)];
        if (x === null || y === null) return (x === null) - (y === null); // what was not measured stays last
        const way = typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y));
        return rising ? way : -way;
      };
      rows().sort(order).forEach((row) => body.append(row));
    });
    const search = document.getElementById("filter");
    const shown = document.getElementById("shown");
    const count = () => {
      const visible = rows().filter((row) => !row.hidden).length;
      shown.textContent = `${visible} of ${rows().length} shown`;
    };
    search.addEventListener("input", () => {
      closeAll();
      const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      rows().forEach((row) => { row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word)); });
      count();
    });
    count();
    const wanted = decodeURIComponent(location.hash.slice(1));
    const linked = wanted && rows().find((row) => row.id === wanted);
    if (linked) unfold(linked.querySelector("button.fold"));
  }

  const start = (id, make) => { const element = document.getElementById(id); if (element) draw(element, make); };
  start("convergence", convergence);
  start("parameters", parameters);
  start("stations", stations);
  if (data.metrics) start("metrics", metrics);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawn.forEach((make, element) => draw(element, make)));
})();
