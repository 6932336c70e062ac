// Which window of the console pops calls up, where there are several: the one that was used last.
// And what all of them remember: settings, and which calls somebody has closed.

const LOCK = "cmphone-console";
const CLOSED = "cmphone.closed";
const KEEP_MS = 3_600_000;

// Without locks, which browsers have only on HTTPS, every window pops up: better twice than not at all.
export function takeTurns(onChange) {
  if (!navigator.locks) {
    onChange(true);
    return;
  }
  let isFront = false;
  let isTaking = false;
  let waiting;
  const set = (value) => {
    isTaking = false;
    isFront = value;
    onChange(value);
  };
  const request = (options) =>
    navigator.locks
      .request(LOCK, options, () => {
        set(true);
        // Until another window takes it, or this one is closed.
        return new Promise(() => {});
      })
      .catch(() => {
        if (options.signal?.aborted) return;
        set(false);
        wait();
      });
  const wait = () => {
    waiting = new AbortController();
    request({ signal: waiting.signal });
  };
  const take = () => {
    if (isFront || isTaking || document.hidden) return;
    isTaking = true;
    waiting?.abort();
    request({ steal: true });
  };
  addEventListener("focus", take);
  if (document.hasFocus()) take();
  else {
    onChange(false);
    wait();
  }
}

// What a browser refuses to keep is kept for this window.
const memory = new Map();

function read(name) {
  try {
    return localStorage.getItem(name) ?? memory.get(name) ?? null;
  } catch {
    return memory.get(name) ?? null;
  }
}

function write(name, value) {
  memory.set(name, value);
  try {
    localStorage.setItem(name, value);
  } catch {
    // It stays in memory.
  }
}

export function readSetting(name) {
  return read(`cmphone.${name}`) === "on";
}

export function writeSetting(name, isOn) {
  write(`cmphone.${name}`, isOn ? "on" : "off");
}

function readClosed() {
  try {
    const all = Object.entries(JSON.parse(read(CLOSED) ?? "{}"));
    return Object.fromEntries(all.filter(([, at]) => Date.now() - at < KEEP_MS));
  } catch {
    return {};
  }
}

export function isClosed(key) {
  return key in readClosed();
}

export function closeCalls(keys) {
  const now = Date.now();
  write(CLOSED, JSON.stringify({ ...readClosed(), ...Object.fromEntries(keys.map((key) => [key, now])) }));
}

export function onOtherWindow(work) {
  addEventListener("storage", (event) => (event.key === null || event.key.startsWith("cmphone.")) && work());
}
