// Hears of calls, and knows whether it does: by a stream of events, and where there is none by asking again and again.

const POLL_MS = 30_000;
// Also while the stream is there: one may be dead without anybody having noticed.
const CHECK_MS = 300_000;
const GRACE_MS = 2_000;
const ASK_AGAIN_MS = 500;
const REOPEN_MS = [3_000, 8_000];
const KINDS = ["call.ringing", "call.answered", "call.ended", "call.missed", "call.done", "call.called-back"];

export class Stream {
  // `number`: of the last event that is known.  `onStatus` is told connected, late, lost or logged-out.
  constructor({ url, callsUrl, number, onCall, onState, onStatus }) {
    Object.assign(this, { url, callsUrl, number, onCall, onState, onStatus });
    this.status = "";
    this.isConnected = false;
    addEventListener("online", () => this.isConnected || this.open());
    addEventListener("offline", () => this.lose());
    setInterval(() => this.check(), CHECK_MS);
    this.graceTimer = setTimeout(() => this.poll(), GRACE_MS);
    this.open();
  }

  open() {
    if (this.status === "logged-out") return;
    clearTimeout(this.reopenTimer);
    this.source?.close();
    const url = new URL(this.url);
    url.searchParams.set("last_event_id", this.number);
    const source = (this.source = new EventSource(url, { withCredentials: true }));
    const hear = (name, work) =>
      source.addEventListener(name, (event) => source === this.source && work(JSON.parse(event.data), event));
    hear("hello", () => this.connect());
    hear("reset", (data) => {
      this.number = data.number;
      this.load();
      this.connect();
    });
    for (const kind of KINDS) {
      hear(kind, (data) => {
        this.number = data.number;
        this.onCall(data.call, data.number, kind);
      });
    }
    hear("session-ended", () => this.askAgain());
    source.addEventListener("error", () => {
      if (source !== this.source) return;
      this.lose();
      if (source.readyState === EventSource.CLOSED) {
        const [least, most] = REOPEN_MS;
        this.reopenTimer = setTimeout(() => this.open(), least + Math.random() * (most - least));
      }
    });
  }

  connect() {
    this.isConnected = true;
    clearTimeout(this.graceTimer);
    clearTimeout(this.pollTimer);
    this.tell("connected");
  }

  lose() {
    if (this.status === "logged-out" || (!this.isConnected && this.status)) return;
    this.isConnected = false;
    clearTimeout(this.graceTimer);
    // A server that is started again is back within that time.
    this.graceTimer = setTimeout(() => this.isConnected || this.poll(), navigator.onLine ? GRACE_MS : 0);
  }

  end() {
    this.isConnected = false;
    this.source.close();
    for (const timer of [this.graceTimer, this.pollTimer, this.reopenTimer]) clearTimeout(timer);
    this.tell("logged-out");
  }

  // The browser may have another cookie by now, as when its user has logged out everywhere else.
  async askAgain() {
    this.source.close();
    this.lose();
    await this.load();
    if (this.status !== "logged-out") this.reopenTimer = setTimeout(() => this.open(), ASK_AGAIN_MS);
  }

  async poll() {
    clearTimeout(this.pollTimer);
    const isLoaded = await this.load();
    if (this.isConnected || this.status === "logged-out") return;
    this.tell(isLoaded ? "late" : "lost");
    this.pollTimer = setTimeout(() => this.poll(), POLL_MS);
  }

  async check() {
    if (!this.isConnected) return;
    const heard = this.number;
    const state = await this.load();
    // It has had the time of the answer to tell what was in it.
    if (state && state.number > heard) setTimeout(() => this.number < state.number && this.open(), GRACE_MS);
  }

  async load() {
    try {
      const answer = await fetch(this.callsUrl, {
        headers: { Accept: "application/json" },
        signal: AbortSignal.timeout?.(10_000),
      });
      if (answer.status === 401) this.end();
      if (!answer.ok) return null;
      const state = await answer.json();
      this.onState(state);
      return state;
    } catch {
      return null;
    }
  }

  tell(status) {
    if (status === this.status) return;
    const before = this.status;
    this.status = status;
    this.onStatus(status, before);
  }
}
