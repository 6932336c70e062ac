// The console: keeps what is known of calls, and shows it.

import { List, cardKeyOf, compareNewestFirst, fillCard, fillMissedRow, fillRow, isOwn, keyOf, nameCaller, say, sayWhere } from "./calls.js";
import { drawAttention, showSettings, startSettings } from "./attention.js";
import { startSearch } from "./search.js";
import { Stream } from "./stream.js";
import { closeCalls, isClosed, onOtherWindow, takeTurns } from "./tabs.js";

const MISSED_AT_MOST = 30;
const RECENT_AT_MOST = 30;
// So long a card says what has become of its call.
const LINGER_MS = 30_000;

const byId = (id) => document.getElementById(id);
const page = JSON.parse(byId("page").textContent);
const now = new List("now", fillCard);
const missed = new List("missed", fillMissedRow);
const recent = new List("recent", fillRow);

// By key: the call, the number of the event that told of it, and until when its card stays.
const known = new Map();
let hasMoreMissed = false;
let isFront = false;
let statusTimer;

function learn(call, number) {
  const key = keyOf(call);
  const before = known.get(key);
  if (before && before.number > number) return;
  const entry = { call, number, until: before?.until ?? 0 };
  if (before && isNow(before) && !isLive(call)) {
    entry.until = Date.now() + LINGER_MS;
    setTimeout(show, LINGER_MS + 100);
  }
  known.set(key, entry);
}

function learnAll(state) {
  if (state.user !== page.user) {
    // Somebody else has logged in.
    location.reload();
    return;
  }
  const keys = new Set(state.calls.map(keyOf));
  for (const [key, entry] of known) if (!keys.has(key) && entry.number <= state.number) known.delete(key);
  for (const call of state.calls) learn(call, state.number);
  hasMoreMissed = state.more_missed;
  show();
}

// What a colleague has answered is over for everybody else.
function isLive(call) {
  return call.state === "ringing" || (call.state === "answered" && isOwn(call));
}

function isNow({ call, until }) {
  return isLive(call) || until > Date.now();
}

function show() {
  const calls = [...known.values()].map(({ call }) => call).sort(compareNewestFirst);
  const toDo = calls.filter((call) => call.missed && !call.done);
  const last = calls.slice(0, RECENT_AT_MOST);
  for (const [key, entry] of known) {
    // The page is open for days.
    if (!isNow(entry) && !toDo.includes(entry.call) && !last.includes(entry.call)) known.delete(key);
  }
  showCards([...known.values()]);
  missed.show(toDo.slice(0, MISSED_AT_MOST), keyOf);
  const hasMore = hasMoreMissed || toDo.length > MISSED_AT_MOST;
  byId("missed_count").textContent = toDo.length ? `${Math.min(toDo.length, MISSED_AT_MOST)}${hasMore ? "+" : ""}` : "";
  byId("none_missed").hidden = toDo.length > 0;
  byId("more_missed").hidden = !hasMore;
  recent.show(last, keyOf);
  byId("none_recent").hidden = last.length > 0;
}

function showCards(entries) {
  const cards = new Map();
  for (const { call } of entries.filter((entry) => isNow(entry) && !isClosed(keyOf(entry.call)))) {
    const key = cardKeyOf(call);
    const other = cards.get(key);
    if (!other || rank(call) > rank(other)) cards.set(key, call);
  }
  const shown = [...cards.values()].sort((a, b) => rank(b) - rank(a) || compareNewestFirst(a, b));
  now.show(isFront ? shown : [], cardKeyOf);
  byId("no_call").hidden = shown.length > 0;
  byId("elsewhere").hidden = isFront || !shown.length;
  const ringing = isFront ? [...cards].filter(([, call]) => call.state === "ringing" && call.direction === "incoming") : [];
  drawAttention(new Map(ringing));
}

function rank(call) {
  return (call.state === "ringing" ? 4 : 0) + (isLive(call) ? 2 : 0) + (isOwn(call) ? 1 : 0);
}

function announce(call, kind) {
  const names = { "call.ringing": "rings", "call.answered": "is_answered", "call.missed": "is_missed", "call.ended": "is_ended" };
  const isForMe = isFront && call.direction === "incoming" && !isClosed(keyOf(call));
  if (isForMe && names[kind]) byId("announcement").textContent = say(names[kind], { who: nameCaller(call), where: sayWhere(call) });
}

function onStatus(status, before) {
  const place = byId("connection");
  clearTimeout(statusTimer);
  const names = { late: "late", lost: "not_connected", "logged-out": "logged_out" };
  place.parentNode.classList.toggle("is-good", status === "connected");
  byId("log_in").hidden = status !== "logged-out";
  if (status !== "connected") {
    place.textContent = say(names[status]);
  } else if (before) {
    place.textContent = say("connected_again");
    statusTimer = setTimeout(() => (place.textContent = ""), 6_000);
  }
}

// Sends what a form of a row would; returns the answer, or null where it did not work, which is said then.
async function post(url, call, values = {}) {
  const csrf = document.querySelector("[name=csrfmiddlewaretoken]").value;
  const named = { csrfmiddlewaretoken: csrf, call_id: call.call_id, reporter: call.reported_by?.id ?? "" };
  let problem = say("failed");
  try {
    const answer = await fetch(url, {
      method: "POST",
      body: new URLSearchParams({ ...named, ...values }),
      headers: { Accept: "application/json" },
    });
    const said = await answer.json();
    if (answer.ok) return said;
    problem = said.detail || problem;
  } catch {
    // No answer, or none of ours.
  }
  offerUndo(problem, null);
  return null;
}

async function onSubmit(event) {
  const button = event.submitter;
  const row = button?.closest(".calls > li");
  if (!row) return;
  event.preventDefault();
  button.disabled = true;
  if (button.name === "done") {
    await markDone(row.call, button.value === "true", row.contains(document.activeElement));
  } else {
    const said = await post(button.formAction, row.call);
    if (said) location.assign(said.dial_uri);
  }
  button.disabled = false;
}

async function markDone(call, isDone, hasFocus) {
  const said = await post(page.done_url, call, { done: isDone });
  if (!said) return;
  const entry = known.get(keyOf(call));
  // The event of it comes as well, with the number that counts.
  known.set(keyOf(call), { call: said.call, number: entry?.number ?? 0, until: entry?.until ?? 0 });
  show();
  const button = offerUndo(isDone ? say("marked_done", { who: nameCaller(call) }) : "", isDone ? said.call : null);
  // What had it is gone.
  if (hasFocus) (isDone ? button : missed.find(keyOf(call))?.querySelector("[data-done]"))?.focus();
  if (hasMoreMissed) stream.load();
}

function offerUndo(text, call) {
  const place = byId("undo");
  const button = place.querySelector("button");
  place.querySelector("span").textContent = text;
  button.hidden = !call;
  button.call = call;
  return button;
}

byId("still").hidden = true;
byId("elsewhere").textContent = say("elsewhere");
document.addEventListener("submit", onSubmit);
byId("now").addEventListener("click", (event) => {
  if (!event.target.closest("[data-dismiss]")) return;
  const key = cardKeyOf(event.target.closest("li").call);
  closeCalls([...known.values()].filter(({ call }) => cardKeyOf(call) === key).map(({ call }) => keyOf(call)));
  show();
});
byId("undo").querySelector("button").addEventListener("click", (event) => markDone(event.target.call, false, true));
onOtherWindow(() => {
  showSettings();
  show();
});
startSettings();
startSearch(page.contacts_url);
learnAll(page.state);
takeTurns((value) => {
  isFront = value;
  show();
});
const stream = new Stream({
  url: page.events_url,
  callsUrl: page.calls_url,
  number: page.state.number,
  onState: learnAll,
  onStatus,
  onCall(call, number, kind) {
    learn(call, number);
    show();
    announce(call, kind);
  },
});
