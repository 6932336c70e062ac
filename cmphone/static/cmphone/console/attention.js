// Draws attention to calls that ring: title, icon, and if the user wants it sound and notifications of the desktop.

import { nameCaller, say, sayWhere } from "./calls.js";
import { readSetting, writeSetting } from "./tabs.js";

const RINGS = 40;
const RING_SECONDS = 3;

const title = document.title;
const icon = document.getElementById("icon");
const quietIcon = icon.getAttribute("href");
const sound = document.getElementById("sound");
const notifications = document.getElementById("notifications");
const hint = document.getElementById("settings_hint");

let audio = null;
let bell = null;
let shown = new Map();
let ringing = [];

// `calls` by their keys, which ring and pop up here.
export function drawAttention(calls) {
  ringing = [...calls.values()];
  document.title = ringing.length ? `${say("title", { who: nameCaller(ringing[0]) })} | ${title}` : title;
  const address = ringing.length ? icon.dataset.ringing : quietIcon;
  if (icon.getAttribute("href") !== address) icon.setAttribute("href", address);
  if (ringing.length && readSetting("sound")) ring();
  else silence();
  notify(calls);
}

export function startSettings() {
  document.getElementById("settings").hidden = false;
  notifications.parentNode.hidden = !("Notification" in window);
  showSettings();
  sound.addEventListener("change", () => {
    writeSetting("sound", sound.checked);
    if (sound.checked && !ringing.length) ring(1);
    else if (!sound.checked) silence();
    showSettings();
  });
  notifications.addEventListener("change", async () => {
    const isAllowed = notifications.checked && (await Notification.requestPermission()) === "granted";
    writeSetting("notifications", isAllowed);
    showSettings(notifications.checked && !isAllowed ? say("notifications_denied") : "");
  });
  // Browsers let a page sound only after somebody has used it.
  for (const name of ["pointerdown", "keydown"]) {
    addEventListener(name, () => audio?.state === "suspended" && audio.resume().then(() => showSettings()), true);
  }
}

export function showSettings(text = "") {
  sound.checked = readSetting("sound");
  notifications.checked = readSetting("notifications") && window.Notification?.permission === "granted";
  hint.textContent = text || (sound.checked && audio?.state === "suspended" ? say("click_for_sound") : "");
}

// Planned ahead by the clock of the sound: timers of windows in the background run once a minute.
function ring(times = RINGS) {
  if (bell || !window.AudioContext) return;
  audio ??= new AudioContext();
  bell = new GainNode(audio, { gain: 0 });
  bell.connect(audio.destination);
  for (const [frequency, delay] of [[660, 0], [880, 0.4]]) {
    const tone = new OscillatorNode(audio, { frequency });
    const gate = new GainNode(audio, { gain: 0 });
    for (let i = 0; i < times; i++) {
      const start = audio.currentTime + 0.05 + i * RING_SECONDS + delay;
      gate.gain.setValueAtTime(0, start);
      gate.gain.linearRampToValueAtTime(1, start + 0.02);
      gate.gain.setValueAtTime(1, start + 0.3);
      gate.gain.linearRampToValueAtTime(0, start + 0.36);
    }
    tone.connect(gate).connect(bell);
    tone.start();
    tone.stop(audio.currentTime + times * RING_SECONDS);
  }
  bell.gain.value = 0.2;
  if (times === 1) setTimeout(() => ringing.length || silence(), 1000);
  if (audio.state === "suspended") {
    audio.resume();
    setTimeout(() => showSettings(), 500);
  }
}

function silence() {
  bell?.disconnect();
  bell = null;
}

function notify(calls) {
  const isWanted = readSetting("notifications") && window.Notification?.permission === "granted";
  const before = shown;
  shown = new Map();
  for (const [key, call] of calls) {
    // Who looks at the page sees the call there.
    const made = before.get(key) ?? (isWanted && !document.hasFocus() ? makeNotification(key, call) : null);
    before.delete(key);
    if (made) shown.set(key, made);
  }
  before.forEach((each) => each.close());
}

function makeNotification(key, call) {
  try {
    const made = new Notification(nameCaller(call), { body: sayWhere(call), tag: key, icon: icon.dataset.ringing });
    made.onclick = () => {
      window.focus();
      made.close();
    };
    return made;
  } catch {
    // Some browsers of telephones have none for pages.
    return null;
  }
}
