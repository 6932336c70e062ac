// The search for contacts as one types, by the pattern of a combobox with a list.

import { say } from "./calls.js";

const WAIT_MS = 150;
const ANSWER_MS = 10_000;

const form = document.getElementById("search");
const box = document.getElementById("q");
const list = document.getElementById("results");
const status = document.getElementById("search_status");

let timer;
let request = null;
let chosen = -1;
let urls = [];

export function startSearch(url) {
  const attributes = { role: "combobox", "aria-autocomplete": "list", "aria-controls": list.id, "aria-expanded": false };
  for (const [name, value] of Object.entries(attributes)) box.setAttribute(name, value);
  box.addEventListener("input", () => {
    clearTimeout(timer);
    request?.abort();
    if (!box.value.trim()) return close();
    timer = setTimeout(() => search(url), WAIT_MS);
  });
  box.addEventListener("keydown", onKey);
  box.addEventListener("blur", () => close(false));
  box.addEventListener("focus", () => list.childElementCount && box.value.trim() && open());
  // Before the box loses the focus, and the list closes.
  list.addEventListener("mousedown", (event) => event.preventDefault());
  list.addEventListener("click", (event) => {
    const option = event.target.closest("[role=option]");
    if (option) go([...list.children].indexOf(option));
  });
}

async function search(url) {
  const text = box.value.trim();
  request = new AbortController();
  const { signal } = request;
  // What hangs is no answer either.
  const hangs = setTimeout(() => fail(signal), ANSWER_MS);
  try {
    const answer = await fetch(`${url}?${new URLSearchParams({ q: text })}`, {
      headers: { Accept: "application/json" },
      signal,
    });
    if (!answer.ok) throw new Error();
    const found = await answer.json();
    if (!signal.aborted) show(found, text);
  } catch {
    fail(signal);
  } finally {
    clearTimeout(hangs);
  }
}

function fail(signal) {
  if (signal.aborted) return;
  request.abort();
  urls = [];
  list.replaceChildren(makeNote(say("search_failed")));
  choose(-1);
  open();
  tell(say("search_failed"));
}

function show({ results, more }, text) {
  const options = results.map((contact) => {
    const option = makeOption(contact.name || "–", [contact.detail, ...contact.numbers].filter(Boolean).join(" · "));
    option.classList.toggle("over", !contact.active);
    return option;
  });
  urls = results.map((contact) => contact.url);
  if (more) {
    options.push(makeOption(say("more_results", { text }), ""));
    urls.push(`${form.action}?${new URLSearchParams({ q: text })}`);
  }
  if (!options.length) options.push(makeNote(say("no_results")));
  options.forEach((option, place) => (option.id = `result_${place}`));
  list.replaceChildren(...options);
  choose(-1);
  open();
  tell(results.length ? say("results", { count: `${results.length}${more ? "+" : ""}` }) : say("no_results"));
}

function makeOption(name, detail) {
  const option = document.createElement("li");
  option.setAttribute("role", "option");
  option.setAttribute("aria-selected", "false");
  const first = document.createElement("strong");
  first.textContent = name;
  const second = document.createElement("span");
  second.className = "quiet";
  second.textContent = detail;
  option.append(first, second);
  return option;
}

function makeNote(text) {
  const option = makeOption("", text);
  option.setAttribute("aria-disabled", "true");
  option.firstChild.remove();
  return option;
}

function onKey(event) {
  if (event.isComposing) return;
  const isOpen = !list.hidden;
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    if (!list.childElementCount || !urls.length) return;
    event.preventDefault();
    if (!isOpen) open();
    const step = event.key === "ArrowDown" ? 1 : -1;
    // From the last one back into the box, and on to the first.
    choose(((chosen + 1 + step + urls.length + 1) % (urls.length + 1)) - 1);
  } else if (event.key === "Enter") {
    if (isOpen && chosen >= 0) {
      event.preventDefault();
      go(chosen);
    }
  } else if (event.key === "Escape" && isOpen) {
    event.preventDefault();
    close(false);
  }
}

function choose(place) {
  list.children[chosen]?.setAttribute("aria-selected", "false");
  chosen = place;
  const option = list.children[place];
  if (!option) {
    box.removeAttribute("aria-activedescendant");
    return;
  }
  option.setAttribute("aria-selected", "true");
  option.scrollIntoView({ block: "nearest" });
  box.setAttribute("aria-activedescendant", option.id);
}

function go(place) {
  if (!urls[place]) return;
  window.open(urls[place], "_blank", "noopener");
  close(false);
}

function open() {
  list.hidden = false;
  box.setAttribute("aria-expanded", "true");
}

function close(isOver = true) {
  list.hidden = true;
  box.setAttribute("aria-expanded", "false");
  choose(-1);
  if (isOver) {
    list.replaceChildren();
    urls = [];
    tell("");
  }
}

function tell(text) {
  status.textContent = text;
}
