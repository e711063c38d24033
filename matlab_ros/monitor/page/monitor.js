// The page: puts what the lab says where people look, and takes what operators decide.
import { byId, command, confirmed, el, figure, label, moment, percent, toast } from "./monitor_base.js";
import { Furnaces, convergence, stations } from "./monitor_charts.js";
import { Detail } from "./monitor_detail.js";
import { LabMap } from "./monitor_map.js";
import { Slices } from "./monitor_slices.js";
import { Store } from "./monitor_store.js";
import { Table } from "./monitor_table.js";

const store = new Store();
const map = new LabMap(byId("map"), byId("legend"));
const furnaces = new Furnaces(byId("furnaces"));
const detail = new Detail(byId("detail"), (id) => store.get("why", id));
const slices = new Slices();
const table = new Table(byId("table"), (id) => showDetail(id));
let built = "";
let chartDue = true;
let convergenceSeen = "";
let bestShown = "";

const lab = () => store.get("lab");
const mayAct = () => store.person?.role === "operator" && store.get("link", "lab")?.heard;

function showDetail(id) {
  const item = store.all("experiments")[id];
  if (item) detail.show(id, JSON.stringify([item.state, item.step, item.objective]));
}

function drawBar() {
  const state = lab();
  const heard = store.get("link", "lab")?.heard;
  const link = byId("link");
  link.className = `link ${store.connected && heard ? "up" : "down"}`;
  link.textContent = !store.connected ? "no connection to the page's server" : heard ? "live" : "the lab manager is silent";
  if (state) {
    byId("lab-name").textContent = state.lab.replaceAll("_", " ");
    byId("campaign").textContent = state.campaign ? `campaign ${state.campaign}` : "no campaign";
    byId("clock").textContent = moment(state.time_s);
    document.title = `${state.questions ? `(${state.questions}) ` : ""}${state.campaign || state.lab}`;
  }
  const simulated = store.get("map", "lab")?.simulated;
  if (simulated !== undefined) {
    byId("kind").hidden = false;
    byId("kind").textContent = simulated ? "simulated instruments" : "real instruments";
    byId("kind").className = simulated ? "badge" : "badge real";
  }
  const may = mayAct() && state;
  byId("pause").disabled = !may;
  byId("pause").textContent = state?.paused ? "Resume" : "Pause";
  byId("cancel").disabled = !may || !state.campaign || state.canceling;
  byId("estop").disabled = !may;
  byId("estop").textContent = state?.estopped ? "Release the stop" : "Emergency stop";
  const why = store.person?.role === "viewer" ? "an operator's token may" : "";
  for (const id of ["pause", "cancel", "estop"]) byId(id).title = why;
}

function drawBanner() {
  const state = lab();
  const banner = byId("banner");
  let text = "", stop = false;
  if (!store.connected) text = "The page's server is gone. What you see is what it said last; it is looked for again.";
  else if (!store.get("link", "lab")?.heard) text = state ? "Nothing is heard of the lab manager. What you see is what it said last." : "Waiting for a lab manager in this graph.";
  else if (state?.estopped) { text = "EMERGENCY STOP. Every device holds its safe state until the stop is released."; stop = true; }
  else if (state?.canceling) text = "The campaign is being ended; what runs is brought to a safe state.";
  else if (state?.paused) text = `Paused: ${state.paused_names.join(", ") || "the lab"}. Firings go on to their end.`;
  banner.hidden = !text;
  banner.className = stop ? "stop" : "";
  if (banner.textContent !== text) banner.textContent = text;
}

function drawTiles() {
  const state = lab();
  if (!state) return;
  const done = state.succeeded + state.failed;
  const planner = store.get("planner");
  const tiles = [
    ["lead", percent(state.best), `best so far${state.best_id ? `, ${state.best_id}` : ""}`],
    ["", `${done} / ${state.budget || "–"}`, "experiments done"],
    ["", figure(state.in_flight), "under way"],
    [state.failed ? "trouble" : "", figure(state.failed), "failed"],
    [state.questions ? "trouble" : "", figure(state.open_faults), state.questions ? `open faults, ${state.questions} wait for you` : "open faults"],
    ["", planner ? (planner.thinking ? "thinking" : figure(planner.suggestions)) : "–", planner?.thinking ? "planner" : "suggestions made"],
  ];
  byId("tiles").replaceChildren(...tiles.map(([kind, value, name]) => el("div", { class: `tile ${kind}` }, el("div", { class: "value" }, value), el("div", { class: "name" }, name))));
}

function drawFaults() {
  const open = Object.entries(store.all("faults")).filter(([, fault]) => fault.resolution === "open");
  const places = Object.entries(store.all("positions")).filter(([, place]) => place.proposals.length);
  const host = byId("faults");
  host.hidden = !open.length && !places.length;
  const busy = host.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  host.replaceChildren(
    ...open.map(([id, fault]) => card(id, fault.asked ? "fault" : "fault calm", fault.message,
      [fault.device, fault.experiment, fault.step, id].filter(Boolean).join(" · ") + (fault.asked ? ` · ${waits(fault)}` : ""), fault.proposals)),
    ...places.map(([name, place]) => card(name, "fault calm", `${name} is ${place.state}: look, and say what it holds.`, place.container, place.proposals)),
  );
  if (busy) host.querySelector(`[data-key="${CSS.escape(busy)}"]`)?.focus();
}

function waits(fault) {
  if (!fault.ask_until_s) return "waits for your decision";
  return `waits for your decision until ${moment(fault.ask_until_s)}, then: ${fault.without_answer}`;
}

function card(id, kind, title, about, proposals) {
  const buttons = proposals.map(({ words, when }) => {
    const text = words[0] === "resolve" ? words.at(-1).replaceAll("-", " ") : words.join(" ");
    return el("button", { type: "button", disabled: !mayAct(), "data-key": `${id} ${words.join(" ")}`, onclick: () => follow("proposal", { words }) }, text, el("span", {}, when));
  });
  return el("article", { class: kind, "data-fault": id }, el("strong", {}, title), el("div", { class: "soft small" }, about), el("div", { class: "buttons" }, ...buttons));
}

async function follow(what, fields) {
  try {
    toast(await command(what, fields));
  } catch (error) {
    toast(error.message, true);
  }
}

byId("pause").onclick = () => follow(lab().paused ? "resume" : "pause", { scope: "lab" });
byId("cancel").onclick = async () => {
  const reason = await confirmed("End the campaign?", "Nothing more is begun; what runs is brought to a safe state and put away. It cannot be taken up again.", "End it");
  if (reason !== null) follow("cancel", { scope: "campaign", id: lab().campaign, reason });
};
byId("estop").onclick = async () => {
  const engage = !lab().estopped;
  const reason = engage
    ? await confirmed("Emergency stop?", "Every device goes to its safe state at once: heaters off, arm still. The stop in hardware beside the door is quicker.", "Stop everything")
    : await confirmed("Release the emergency stop?", "It starts nothing: the lab is paused then.", "Release");
  if (reason !== null) follow("estop", { engage, reason });
};

function drawAlerts() {
  const host = byId("alerts");
  const items = Object.values(store.all("alerts")).sort((a, b) => b.time_s - a.time_s).slice(0, 100);
  host.replaceChildren(...items.map((alert) => el("li", {},
    el("span", { class: "soft n" }, moment(alert.time_s)),
    el("span", { class: { error: "bad", critical: "bad", warning: "warn" }[alert.level] ?? "soft" }, alert.level),
    el("span", {}, alert.text, alert.to_do ? el("span", { class: "soft" }, ` ${alert.to_do}`) : null))));
  if (!items.length) host.replaceChildren(el("li", {}, el("span", { class: "soft" }, "Nothing yet.")));
}

function drawPlanner() {
  const planner = store.get("planner");
  if (!planner) return;
  byId("planner").hidden = false;
  byId("planner-text").textContent = [
    planner.method ? `Last suggestion: ${planner.method}` : "No suggestion yet",
    planner.model, `${planner.observations} observations`,
    planner.last_suggestion_s === null ? "" : `${planner.last_suggestion_s.toFixed(1)} s for it`,
  ].filter(Boolean).join(" · ");
  const beliefs = store.get("planner", "beliefs");
  if (beliefs?.model) {
    const matters = beliefs.importance.filter(([, share]) => share !== null)
      .map(([name, share]) => `${label(name)} ${(100 * share).toFixed(0)} %`).join(", ");
    const right = beliefs.forecasts ? ` ${beliefs.forecasts_inside} of ${beliefs.forecasts} results lay in the interval that was expected (${(100 * beliefs.level).toFixed(0)} %).` : "";
    byId("beliefs-text").textContent = `Share of the differences that each parameter makes: ${matters}.${right} Below: what the model expects along each, through its best recipe.`;
  }
  slices.show(store.all("slices"));
}

function dark(value) {
  if (value) document.documentElement.dataset.theme = value;
  else delete document.documentElement.dataset.theme;
}

byId("theme").onclick = () => {
  const isDark = document.documentElement.dataset.theme
    ? document.documentElement.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const next = isDark ? "light" : "dark";
  try { localStorage.setItem("theme", next); } catch { /* kept for this visit then */ }
  dark(next);
  redraw();
};
try { dark(localStorage.getItem("theme")); } catch { /* as the system says */ }
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);

function redraw() {
  furnaces.recolour();
  convergenceSeen = "";
  chartDue = true;
  slices.forget();
  detail.known = "";
  draw(new Set(["link", "lab", "experiments", "measured", "planner"]));
  if (detail.id) showDetail(detail.id);
}

function draw(changed) {
  const any = (...sections) => sections.some((section) => changed.has(section));
  const known = store.get("map", "lab");
  if (known && JSON.stringify(known) !== built) { built = JSON.stringify(known); map.build(known); changed.add("positions").add("arm").add("measured"); }
  if (any("link", "lab", "map", "person")) { drawBar(); drawBanner(); }
  if (any("lab", "planner", "link")) drawTiles();
  if (any("faults", "positions", "link", "person")) drawFaults();
  if (known && any("positions", "samples", "experiments")) map.drawPlaces(store.all("positions"), store.all("samples"), store.all("experiments"));
  if (known && any("measured", "devices")) map.drawDevices(store.all("devices"), store.all("measured"));
  if (any("arm")) map.drawArm(store.get("arm", "pose"));
  if (any("measured", "setpoint")) furnaces.take(store.all("measured"), store.all("setpoint"), known?.furnaces ?? {});
  // The lab speaks every second; ten thousand rows are arranged anew only where one is another.
  if (any("experiments") || (any("lab") && lab()?.best_id !== bestShown)) {
    bestShown = lab()?.best_id ?? "";
    table.take(store.all("experiments"), bestShown);
    const seen = Object.values(store.all("experiments")).filter((item) => item.objective !== null).length;
    if (`${seen}` !== convergenceSeen) { convergenceSeen = `${seen}`; convergence(store.all("experiments")); }
    if (detail.id) showDetail(detail.id);
    chartDue = true;
  }
  if (any("alerts")) drawAlerts();
  if (any("planner", "slices")) drawPlanner();
}

setInterval(() => {
  if (!chartDue || document.hidden) return;
  chartDue = false;
  stations();
}, 3000);

store.listen(draw);
drawAlerts();
furnaces.past();
store.connect();
