// The table of experiments. Only the rows in sight exist, so ten thousand scroll like ten.
import { byId, el, figure, label, percent } from "./monitor_base.js";

const ROW = 30;
const SPARE = 8;

export class Table {
  constructor(host, choose) {
    this.host = host;
    this.choose = choose;
    this.rows = [];
    this.experiments = {};
    this.best = "";
    this.columns = [];
    this.sort = { key: "id", down: true };
    this.selected = "";
    this.top = el("div", { class: "row top", role: "row" });
    this.body = el("div", { class: "body", role: "presentation" });
    this.canvas = el("div", { class: "canvas", role: "presentation" }, this.body);
    host.append(this.top, this.canvas);
    host.addEventListener("scroll", () => this.draw(), { passive: true });
    host.addEventListener("keydown", (event) => this.key(event));
    this.body.addEventListener("click", (event) => {
      const row = event.target.closest(".row");
      if (row) this.select(row.dataset.id);
    });
    byId("filter").addEventListener("input", () => this.arrange());
    new ResizeObserver(() => this.draw()).observe(host);
  }

  take(experiments, best) {
    this.experiments = experiments;
    this.best = best;
    const names = [];
    for (const item of Object.values(experiments)) {
      for (const name of Object.keys(item.settings)) if (!names.includes(name)) names.push(name);
      if (names.length) break;
    }
    const columns = [
      { key: "id", text: "experiment", width: 150 },
      { key: "state", text: "state", width: 150 },
      { key: "objective", text: "objective", width: 92, number: true },
      ...names.map((name) => ({ key: `settings.${name}`, text: label(name), width: 120, setting: name })),
    ];
    if (columns.map((c) => c.key).join() !== this.columns.map((c) => c.key).join()) {
      this.columns = columns;
      this.head();
    }
    this.arrange();
  }

  head() {
    this.top.replaceChildren(...this.columns.map((column) => {
      const arrow = this.sort.key === column.key ? (this.sort.down ? " ↓" : " ↑") : "";
      const button = el("button", { type: "button", onclick: () => this.sortBy(column.key) }, column.text + arrow);
      const order = this.sort.key === column.key ? (this.sort.down ? "descending" : "ascending") : "none";
      return el("div", { role: "columnheader", "aria-sort": order, style: `width:${column.width}px`, class: column.number ? "num" : "" }, button);
    }));
  }

  sortBy(key) {
    this.sort = { key, down: this.sort.key === key ? !this.sort.down : key === "objective" || key === "id" };
    this.host.scrollTop = 0;
    this.head();
    this.arrange();
  }

  value(id, column) {
    const item = this.experiments[id];
    if (column.key === "id") return id;
    if (column.setting) return item.settings[column.setting] ?? null;
    return item[column.key];
  }

  arrange() {
    const words = byId("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
    const column = this.columns.find((c) => c.key === this.sort.key) ?? this.columns[0];
    if (!column) return;
    let ids = Object.keys(this.experiments);
    if (words.length) ids = ids.filter((id) => words.every((word) => this.text(id).includes(word)));
    const sign = this.sort.down ? -1 : 1;
    const keyed = ids.map((id) => [this.value(id, column), id]);
    keyed.sort(([a, x], [b, y]) => {
      if (a === b) return sign * (x < y ? -1 : 1);
      if (a === null || a === undefined) return 1;
      if (b === null || b === undefined) return -1;
      return a < b ? -sign : sign;
    });
    this.rows = keyed.map(([, id]) => id);
    const total = Object.keys(this.experiments).length;
    byId("count").textContent = words.length ? `${this.rows.length} of ${total}` : `${total}`;
    this.host.setAttribute("aria-rowcount", this.rows.length + 1);
    this.canvas.style.height = `${this.rows.length * ROW}px`;
    this.canvas.style.width = `${this.columns.reduce((sum, c) => sum + c.width, 0)}px`;
    this.draw();
  }

  text(id) {
    const item = this.experiments[id];
    return `${id} ${this.state(item)} ${Object.values(item.settings).join(" ")}`.toLowerCase();
  }

  state(item) {
    if (item.asking) return "waits for a decision";
    if (item.canceling) return "being cancelled";
    if (item.paused) return "paused";
    return item.state === "running" && item.step ? `running: ${item.step}` : item.state;
  }

  draw() {
    const first = Math.max(Math.floor((this.host.scrollTop) / ROW) - SPARE, 0);
    const last = Math.min(first + Math.ceil(this.host.clientHeight / ROW) + 2 * SPARE, this.rows.length);
    this.body.style.top = `${first * ROW}px`;
    this.body.replaceChildren(...this.rows.slice(first, last).map((id, offset) => this.row(id, first + offset)));
  }

  row(id, index) {
    const item = this.experiments[id];
    const kind = item.asking || item.state === "failed" ? "bad" : item.state === "succeeded" ? "" : "soft";
    const cells = this.columns.map((column) => {
      let text = figure(this.value(id, column));
      if (column.key === "state") text = this.state(item);
      if (column.key === "objective") text = percent(item.objective);
      const classes = [column.number ? "num" : "", column.key === "state" ? kind : ""].join(" ").trim();
      return el("div", { role: "gridcell", style: `width:${column.width}px`, class: classes, title: text }, text);
    });
    return el("div", {
      class: id === this.best ? "row best" : "row", role: "row", "data-id": id, id: `row-${id}`,
      "aria-rowindex": index + 2, "aria-selected": id === this.selected ? "true" : "false",
    }, ...cells);
  }

  select(id) {
    this.selected = id;
    this.host.setAttribute("aria-activedescendant", `row-${id}`);
    const index = this.rows.indexOf(id);
    const y = index * ROW;
    if (y < this.host.scrollTop) this.host.scrollTop = y;
    else if (y + 2 * ROW > this.host.scrollTop + this.host.clientHeight) this.host.scrollTop = y + 2 * ROW - this.host.clientHeight;
    this.draw();
    this.choose(id);
  }

  key(event) {
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: 15, PageUp: -15, Home: -1e9, End: 1e9 };
    if (!(event.key in steps) || !this.rows.length || event.target.closest("button")) return;
    event.preventDefault();
    const now = this.rows.indexOf(this.selected);
    const next = now < 0 ? 0 : Math.min(Math.max(now + steps[event.key], 0), this.rows.length - 1);
    this.select(this.rows[next]);
  }
}
