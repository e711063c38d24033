// What every part of the page uses: elements, words for numbers, colours, asking the server.

export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "class") made.className = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

export function svg(tag, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

export const byId = (id) => document.getElementById(id);

export function percent(value, sigma) {
  if (value === null || value === undefined) return "–";
  const main = `${(100 * value).toFixed(1)} %`;
  return sigma ? `${main} ± ${(100 * sigma).toFixed(1)}` : main;
}

export function figure(value) {
  if (value === null || value === undefined) return "–";
  if (typeof value !== "number") return String(value);
  return String(Number(value.toPrecision(5)));
}

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return minutes ? `${minutes} min` : `${Math.floor(seconds)} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${String(minutes % 60).padStart(2, "0")} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

export function moment(seconds) {
  if (!seconds) return "–";
  return new Date(seconds * 1000).toISOString().slice(5, 16).replace("T", " ");
}

export const label = (name) => name
  .replace(/_c$/, " / °C").replace(/_h$/, " / h").replace(/_min$/, " / min").replace(/_mg$/, " / mg")
  .replaceAll("_", " ");

export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

// Resolved values of light-dark() colours, for canvases and Plotly.
export function inks() {
  const probe = el("span", { style: "display:none" });
  document.body.append(probe);
  const found = {};
  for (const name of ["page", "card", "ink", "soft", "line", "grid", "accent", "good", "warn", "bad", "hot"]) {
    probe.style.color = `var(--${name})`;
    found[name] = getComputedStyle(probe).color;
  }
  probe.remove();
  return found;
}

export async function ask(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(await answer.text());
  return answer.json();
}

export async function command(what, fields) {
  const answer = await fetch("/api/command", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ what, fields }),
  });
  if (!answer.ok) throw new Error(await answer.text());
  return (await answer.json()).message;
}

export function toast(text, bad = false) {
  const made = el("div", { class: bad ? "toast bad" : "toast" }, text);
  byId("toasts").append(made);
  setTimeout(() => made.remove(), bad ? 12000 : 6000);
}

// Asks before something that cannot be taken back; the reason that was given, null for no.
export function confirmed(title, text, yes) {
  const dialog = byId("ask");
  byId("ask-title").textContent = title;
  byId("ask-text").textContent = text;
  byId("ask-yes").textContent = yes;
  byId("ask-reason").value = "";
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      resolve(dialog.returnValue === "yes" ? byId("ask-reason").value : null);
    }, { once: true });
  });
}

export function layout(colours, more = {}) {
  const axis = { gridcolor: colours.grid, linecolor: colours.line, zerolinecolor: colours.line };
  const { xaxis, yaxis, ...rest } = more;
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: colours.ink, size: 12.5, family: "system-ui, DejaVu Sans, sans-serif" },
    margin: { l: 56, r: 12, t: 8, b: 42 }, showlegend: false, uirevision: "stay",
    hoverlabel: { bgcolor: colours.card, bordercolor: colours.line, font: { color: colours.ink } },
    xaxis: { ...axis, ...xaxis }, yaxis: { ...axis, ...yaxis }, ...rest,
  };
}

export const CONFIG = { responsive: true, displaylogo: false, displayModeBar: false };

export function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return new Float32Array(bytes.buffer);
}
