// Shows calls as the API answers them.  Whatever comes from the server is put in as text.
// What the page begins with is made alike by cmphone/web/console_calls.py.

const page = JSON.parse(document.getElementById("page").textContent);
const texts = JSON.parse(document.getElementById("texts").textContent);
const language = document.documentElement.lang || "en";
// As the other pages write times (cmphone/formats), in the zone of the site.
const timeZone = page.time_zone;
const time = new Intl.DateTimeFormat(language, { timeStyle: "short", hourCycle: "h23", timeZone });
const inWords = { day: "numeric", month: "short", year: "numeric", timeZone };
const inDigits = { day: "2-digit", month: "2-digit", year: "numeric", timeZone };
const date = new Intl.DateTimeFormat(language, language === "en" ? inWords : inDigits);

export function say(name, values = {}) {
  return texts[name].replace(/\{(\w+)\}/g, (all, key) => values[key] ?? "");
}

export function keyOf(call) {
  return `${call.reported_by?.id ?? ""}/${call.call_id}`;
}

export function isOwn(call) {
  return call.reported_by?.id === page.user;
}

// One card for what several clients report of the same call on a line that they share.
export function cardKeyOf(call) {
  return call.line && call.number.canonical ? `${call.line}|${call.number.canonical}` : keyOf(call);
}

export function nameCaller(call) {
  const contacts = call.lookup.contacts;
  if (contacts.length === 1) return contacts[0].name || "–";
  if (contacts.length) {
    return say(call.state === "ringing" && call.direction === "incoming" ? "choose" : "several");
  }
  return say(call.number.kind === "withheld" ? "withheld" : "unknown");
}

// A day only where it is not today.
function sayWhen(moment) {
  const isToday = date.format(moment) === date.format(new Date());
  return isToday ? time.format(moment) : `${sayDay(moment)} ${time.format(moment)}`;
}

function sayDay(moment) {
  if (language !== "en") return date.format(moment);
  const { day, month, year } = Object.fromEntries(date.formatToParts(moment).map(({ type, value }) => [type, value]));
  return `${day} ${month} ${year}`;
}

// Several may begin in the same second.
export function compareNewestFirst(a, b) {
  return a.sort_key < b.sort_key ? 1 : -1;
}

export function sayWhere(call) {
  return [call.number.display, call.number.place].filter(Boolean).join(", ");
}

// Keeps one element for each call in a list, so that the focus stays where it is.
export class List {
  constructor(id, fill) {
    this.list = document.getElementById(id);
    this.fill = fill;
    this.template = fill === fillCard ? "card" : "row";
    this.elements = new Map();
    this.list.replaceChildren();
  }

  show(calls, nameOf) {
    const before = this.elements;
    this.elements = new Map();
    let last = null;
    for (const call of calls) {
      const key = nameOf(call);
      const element = before.get(key) ?? clone(this.template);
      before.delete(key);
      this.elements.set(key, element);
      element.call = call;
      this.fill(element, call);
      const next = last ? last.nextSibling : this.list.firstChild;
      if (next !== element) this.list.insertBefore(element, next);
      last = element;
    }
    before.forEach((element) => element.remove());
  }

  find(key) {
    return this.elements.get(key);
  }
}

export function fillCard(element, call) {
  const only = onlyContact(call);
  element.classList.toggle("is-ringing", call.state === "ringing");
  element.classList.toggle("is-missed", call.missed);
  put(element, "[data-kind]", sayKind(call));
  put(element, "[data-who]", nameCaller(call));
  put(element, "[data-number]", call.number.display);
  put(element, "[data-hint]", sayHint(call));
  fillWhen(element, call);
  fillContacts(element, call);
  link(element, "[data-open]", only?.url);
  link(element, ".buttons [data-new-case]", only?.create_case_url);
  link(element, "[data-new-contact]", call.lookup.actions.create_contact);
  link(element, "[data-dial]", call.state === "answered" ? null : call.call_back);
}

export function fillRow(element, call) {
  fillWho(element.querySelector("[data-who]"), call);
  put(element, "[data-kind]", sayKind(call));
  const isDialled = link(element, "[data-dial]", call.call_back);
  put(element, isDialled ? "[data-dial]" : "[data-number]", call.number.display);
  element.querySelector("[data-number]").hidden = isDialled;
  fillWhen(element, call);
  fillContacts(element, call);
  element.querySelector("[name=call_id]").value = call.call_id;
  element.querySelector("[name=reporter]").value = call.reported_by?.id ?? "";
  link(element, "[data-new-contact]", call.lookup.contacts.length ? null : call.lookup.actions.create_contact);
  const isMissedRow = element.classList.contains("is-missed");
  element.querySelector("[data-call-back]").hidden = !(isMissedRow && call.call_back);
  element.querySelector("[data-done]").hidden = !isMissedRow;
  element.querySelector("[data-not-done]").hidden = isMissedRow || !(call.missed && call.done && call.can_change);
}

export function fillMissedRow(element, call) {
  element.classList.add("is-missed");
  fillRow(element, call);
}

function clone(id) {
  return document.getElementById(id).content.firstElementChild.cloneNode(true);
}

function put(element, selector, text) {
  const place = element.querySelector(selector);
  place.hidden = !text;
  if (place.textContent !== (text ?? "")) place.textContent = text ?? "";
}

function link(element, selector, url) {
  const place = element.querySelector(selector);
  place.hidden = !url;
  if (url) place.href = url;
  else place.removeAttribute("href");
  return !place.hidden;
}

function onlyContact(call) {
  return call.lookup.contacts.length === 1 ? call.lookup.contacts[0] : null;
}

function sayKind(call) {
  if (call.missed) return say(call.done ? "done" : "missed");
  return say(call.state === "ringing" ? call.direction : call.state);
}

function sayHint(call) {
  if (call.lookup.more) return say("more");
  const hints = { withheld: "withheld_hint", none: "unknown_hint", company: "company_hint", tail: "tail_hint" };
  const name = hints[call.lookup.match];
  return name ? say(name) : "";
}

function sayFacts(call) {
  const facts = [];
  if (call.line) facts.push(say("line", { line: call.line }));
  if (call.reported_by && !isOwn(call)) facts.push(say("reported_by", { name: call.reported_by.display_name }));
  if (call.called_back_at) {
    const by = call.called_back_by;
    facts.push(by ? say("called_back", { name: by.display_name }) : say("called_back_by_nobody"));
  }
  if (call.done && call.done_by) facts.push(say("done_by", { name: call.done_by.display_name }));
  return facts.join(" · ");
}

function fillWhen(element, call) {
  const place = element.querySelector("[data-time]");
  place.dateTime = call.started_at;
  place.textContent = sayWhen(new Date(call.started_at));
  put(element, "[data-place]", call.number.place);
  put(element, "[data-facts]", sayFacts(call));
}

function fillWho(place, call) {
  const only = onlyContact(call);
  const name = nameCaller(call);
  const old = place.firstElementChild;
  if (!only) {
    place.textContent = name;
  } else if (!old || old.href !== only.url || old.textContent !== name) {
    const made = clone("contact").querySelector("[data-name]");
    made.href = only.url;
    made.textContent = name;
    place.replaceChildren(made);
  }
}

function fillContacts(element, call) {
  const place = element.querySelector("[data-contacts]");
  const contacts = call.lookup.contacts;
  place.hidden = contacts.length < 2;
  // Anew only where they are others: somebody may be about to choose.
  const are = JSON.stringify(place.hidden ? [] : contacts);
  if (place.are === are) return;
  place.are = are;
  place.replaceChildren(...(place.hidden ? [] : contacts.map(showContact)));
}

function showContact(contact) {
  const element = clone("contact");
  const company = contact.company?.name ?? "";
  const details = [contact.customer_group.name];
  if (company && !contact.name.includes(company)) details.unshift(company);
  put(element, "[data-name]", contact.name || "–");
  put(element, "[data-detail]", details.join(" · "));
  link(element, "[data-name]", contact.url);
  link(element, "[data-new-case]", contact.create_case_url);
  return element;
}
