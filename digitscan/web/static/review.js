// One reading after the other, by keyboard alone. What is settled is sent at once, and brings the next ones along;
// nobody waits for it, and what could not be saved comes back.

import { $, ask, make, sameKey, whoIsThis } from "./common.js";

const AHEAD = 8;
const queue = [], settled = [];
let place = 0, sending = 0, who = whoIsThis(), dry = false;

const filter = () => {
  const form = new FormData($("filters"));
  const below = Number(form.get("below"));
  return {
    field: form.get("field"), file: form.get("file"), reason: form.get("reason"), page: Number(form.get("page")) || 0,
    below: form.get("below") ? below : 1.01, everything: form.get("everything") !== null,
  };
};

function showProgress(p) {
  const share = p.marked ? Math.min(p.settled / p.marked, 1) : 1;
  $("ring-done").setAttribute("stroke-dasharray", `${100 * share} 100`);
  $("ring-text").textContent = `${Math.floor(100 * share)} %`;
  $("ring").setAttribute("aria-label", `${p.settled} of ${p.marked} settled`);
  $("none").textContent = p.settled < p.marked
    ? "Nothing more for you just now: others have the rest, or it is filtered out." : "Nothing is left to look at.";
  $("settled").textContent = p.settled;
  $("marked").textContent = p.marked;
  $("readings").textContent = p.readings;
  $("failed").textContent = p.failed_pages;
  $("seconds").textContent = p.seconds ? p.seconds.toFixed(1) : "–";
}

function show() {
  const item = queue[place];
  $("looking").hidden = !item;
  $("none").hidden = Boolean(item) || !dry;
  $("undo").disabled = !settled.length;
  $("back").disabled = place === 0;
  if (!item) {
    $("where").textContent = "";
    return;
  }
  $("where").textContent = `${item.file.split("/").pop()}, page ${item.page}, ${item.reading.field}`;
  $("crop").src = item.crop || "/static/icon.svg";
  $("crop").alt = item.crop ? `The reading, enlarged; read as ${item.text || item.state}` : "The file is not there any more";
  $("context").hidden = !item.context;
  if (item.context) $("context").src = item.context;
  $("answer").value = item.text;
  const sure = `${(100 * item.confidence).toFixed(1)} % sure`;
  $("why").textContent = [item.text ? sure : `read as ${item.state}`, item.reason].filter(Boolean).join(" · ");
  $("alternatives").replaceChildren(...item.alternatives.filter(([text]) => text).map(([text, probability]) => {
    const button = make("button", "alternative", text);
    button.type = "button";
    button.append(make("small", "quiet", ` ${(100 * probability).toFixed(1)} %`));
    button.addEventListener("click", () => settle(text, "value"));
    return button;
  }));
  $("answer").focus({ preventScroll: true });
  $("answer").select();
}

const have = () => queue.map((item) => item.reading);

function take(answer) {
  for (const item of answer.items) {
    // An answer that was on its way may bring what was settled since.
    const known = [...queue, ...settled.map((record) => record.item)];
    if (!known.some((one) => sameKey(one.reading, item.reading))) queue.push(item);
  }
  dry = !answer.items.length;
  showProgress(answer.progress);
}

async function fill() {
  try {
    take(await ask("/api/review/next", { who, count: AHEAD, have: have(), filter: filter() }));
  } catch (error) {
    $("status").textContent = error.message;
  }
  show();
}

// The places count where no point was typed: 1524 is shown, and settled, as 15.24.
function withPoint(text, decimals) {
  if (!decimals || /[.,]/.test(text)) return text.replace(",", ".");
  return text.length > decimals ? `${text.slice(0, -decimals)}.${text.slice(-decimals)}` : text;
}

async function settle(text, state) {
  const item = queue[place];
  if (!item) return;
  if (state === "value" && !/^\d+([.,]\d+)?$/.test(text)) {
    const what = "Only digits, of an amount with their point";
    $("status").textContent = text ? `${what}; B, S or I for anything else.` : "Nothing typed: B settles it as blank.";
    return;
  }
  if (state === "value") text = withPoint(text, item.decimals);
  queue.splice(place, 1);
  const record = { item, revision: 0 };
  settled.push(record);
  $("status").textContent = `${item.reading.field}: ${state === "value" ? text : state}`;
  show();
  record.saved = save(record, text, state);
  await record.saved;
}

async function save(record, text, state) {
  const item = record.item;
  sending += 1;
  try {
    const answer = await ask("/api/review/settle", {
      who, reading: item.reading, text, state, seen: item.seen, count: Math.max(0, AHEAD - queue.length),
      have: [...have(), item.reading], filter: filter(),
    });
    record.revision = answer.revision;
    const empty = !queue[place];
    take(answer);
    if (empty) show();
    $("none").hidden = Boolean(queue[place]) || !dry;
  } catch (error) {
    const known = settled.indexOf(record);
    if (known >= 0) settled.splice(known, 1);
    $("status").textContent = `Not saved: ${error.message}`;
    if (error.status !== 409) queue.splice(place, 0, item); // somebody else's word stands
    show();
  } finally {
    sending -= 1;
    // Answers may overtake each other: only when none is on its way is it known that nothing is left.
    if (!queue.length && !sending) await fill();
  }
}

async function undo() {
  const record = settled.pop();
  if (!record) return;
  await record.saved; // it may still be on its way
  if (!record.revision) return; // it could not be saved, and is back already
  try {
    const answer = await ask("/api/review/undo", { who, reading: record.item.reading, seen: record.revision });
    record.item.seen = answer.revision;
    queue.splice(place, 0, record.item);
    $("status").textContent = `${record.item.reading.field}: taken back`;
    showProgress(await ask("/api/review/progress"));
  } catch (error) {
    $("status").textContent = error.message;
  }
  show();
}

function later() {
  if (!queue.length) return;
  place += 1;
  if (!queue[place] && !dry) fill();
  else if (!queue[place]) place = 0;
  show();
}

function back() {
  place = Math.max(0, place - 1);
  show();
}

$("answer-form").addEventListener("submit", (event) => {
  event.preventDefault();
  settle($("answer").value.replace(/\s/g, ""), "value");
});
for (const button of document.querySelectorAll("[data-state]")) {
  button.addEventListener("click", () => settle("", button.dataset.state));
}
$("later").addEventListener("click", later);
$("back").addEventListener("click", back);
$("undo").addEventListener("click", undo);
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("#filters")) return;
  const work = {
    b: () => settle("", "blank"), s: () => settle("", "struck"), i: () => settle("", "illegible"), u: undo,
    arrowright: later, arrowleft: back,
  }[event.key.toLowerCase()];
  const inBox = event.target === $("answer");
  if (!work) {
    if (!inBox && /^\d$/.test(event.key)) {
      $("answer").focus();
      $("answer").select();
    }
    return;
  }
  // Arrows move in a number that is being corrected.
  if (inBox && event.key.startsWith("Arrow") && $("answer").value !== queue[place]?.text) return;
  event.preventDefault();
  work();
});
$("filters").addEventListener("submit", (event) => {
  event.preventDefault();
  queue.length = place = 0;
  fill();
});
$("who").value = who;
$("who").addEventListener("change", () => {
  who = $("who").value.trim() || who;
  localStorage.setItem("digitscan-who", who);
});
addEventListener("beforeunload", (event) => { if (sending) event.preventDefault(); });
fill();
