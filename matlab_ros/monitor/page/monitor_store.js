// What the lab says, merged from the changes that come over the WebSocket; it comes back by itself.

export class Store {
  constructor() {
    this.values = {};
    this.person = null;
    this.changed = new Set();
    this.listeners = [];
    this.connected = false;
    this.pause = 500;
    this.session = null;
    this.frame = 0;
  }

  get(section, key = "state") { return this.values[section]?.[key] ?? null; }

  all(section) { return this.values[section] ?? {}; }

  // fn is told once a picture which sections changed: Map of section to the keys.
  listen(fn) { this.listeners.push(fn); }

  connect() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/live`);
    socket.onmessage = (message) => this.take(JSON.parse(message.data));
    socket.onopen = () => { this.connected = true; this.pause = 500; this.touch("link"); };
    socket.onclose = () => {
      this.connected = false;
      this.touch("link");
      setTimeout(() => this.connect(), this.pause);
      this.pause = Math.min(this.pause * 1.6, 8000);
    };
  }

  take(message) {
    if (this.session !== null && message.person.session !== this.session) { location.reload(); return; }
    this.session = message.person.session;
    this.person = message.person;
    if (message.first) {
      for (const section of Object.keys(this.values)) this.touch(section);
      this.values = {};
      this.touch("person");
    }
    for (const [section, values] of Object.entries(message.values)) {
      const known = (this.values[section] ??= {});
      for (const [key, value] of Object.entries(values)) {
        if (value === null) delete known[key]; else known[key] = value;
        this.touch(section);
      }
    }
  }

  touch(section) {
    this.changed.add(section);
    if (this.frame) return;
    // A page in the background is not drawn, and must not count its changes for ever.
    this.frame = document.hidden ? setTimeout(() => this.tell(), 1000) : requestAnimationFrame(() => this.tell());
  }

  tell() {
    this.frame = 0;
    const changed = this.changed;
    this.changed = new Set();
    for (const listener of this.listeners) listener(changed);
  }
}
