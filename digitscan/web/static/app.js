// The drawing sheet, its answer, and uploads. No framework: strokes in, JSON out.

const $ = (id) => document.getElementById(id);
const canvas = $("canvas"), overlay = $("overlay");
const pen = canvas.getContext("2d"), marks = overlay.getContext("2d");
const PAPER = "#ffffff", INK = "#10161c", PAUSE_MS = 250;

const strokes = [];
let current = null, timer = 0, asked = 0, answer = null;

function place(event) {
  const box = canvas.getBoundingClientRect();
  return [(event.clientX - box.left) * canvas.width / box.width, (event.clientY - box.top) * canvas.height / box.height];
}

function trace(stroke) {
  pen.lineCap = pen.lineJoin = "round";
  pen.strokeStyle = pen.fillStyle = INK;
  pen.lineWidth = stroke.width;
  const [first, ...rest] = stroke.points;
  pen.beginPath();
  if (!rest.length) {
    pen.arc(first[0], first[1], stroke.width / 2, 0, 2 * Math.PI);
    pen.fill();
    return;
  }
  pen.moveTo(...first);
  for (const point of rest) pen.lineTo(...point);
  pen.stroke();
}

function redraw() {
  pen.fillStyle = PAPER;
  pen.fillRect(0, 0, canvas.width, canvas.height);
  strokes.forEach(trace);
  $("undo").disabled = $("clear").disabled = !strokes.length;
  $("hint").hidden = strokes.length > 0;
}

function changed(pause = PAUSE_MS) {
  redraw();
  marks.clearRect(0, 0, overlay.width, overlay.height);
  clearTimeout(timer);
  timer = setTimeout(read, pause);
}

canvas.addEventListener("pointerdown", (event) => {
  if (event.button) return;
  canvas.setPointerCapture(event.pointerId);
  current = { width: Number($("pen").value), points: [place(event)] };
  strokes.push(current);
  clearTimeout(timer);
  redraw();
  event.preventDefault();
});
canvas.addEventListener("pointermove", (event) => {
  if (!current) return;
  const events = event.getCoalescedEvents ? event.getCoalescedEvents() : [];
  for (const one of events.length ? events : [event]) current.points.push(place(one));
  trace({ width: current.width, points: current.points.slice(-events.length - 2) });
});
for (const name of ["pointerup", "pointercancel"]) {
  canvas.addEventListener(name, () => {
    if (!current) return;
    current = null;
    changed();
  });
}
$("undo").addEventListener("click", () => { strokes.pop(); changed(0); });
$("clear").addEventListener("click", () => { strokes.length = 0; changed(0); canvas.focus(); });
document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key === "z" && strokes.length) {
    strokes.pop();
    changed(0);
    event.preventDefault();
  }
});
$("models").addEventListener("change", () => strokes.length && changed(0));

async function problem(response) {
  try {
    const told = await response.json();
    return [told.title, told.detail].filter(Boolean).join(": ");
  } catch {
    return `the server answered ${response.status}`;
  }
}

async function read() {
  const mine = ++asked;
  if (!strokes.length) {
    show(null);
    return;
  }
  const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
  const chosen = [...document.querySelectorAll("#models input:checked")].map((box) => box.value);
  const query = new URLSearchParams(chosen.map((name) => ["models", name]));
  try {
    const response = await fetch(`/api/draw?${query}`, { method: "POST", body: blob, headers: { "Content-Type": "image/png" } });
    if (mine !== asked) return; // a newer drawing is on its way
    if (!response.ok) {
      $("status").textContent = await problem(response);
      return;
    }
    show(await response.json());
  } catch {
    if (mine === asked) $("status").textContent = "The server does not answer. Is it still running?";
  }
}

const make = (tag, cls, text) => {
  const node = document.createElement(tag);
  if (cls) node.className = cls;
  if (text !== undefined) node.textContent = text;
  return node;
};
const grade = (confidence) => (confidence >= 0.9 ? "sure" : confidence >= 0.6 ? "fair" : "poor");
const percent = (value) => `${(100 * value).toFixed(value > 0.995 || value < 0.005 ? 1 : 0)} %`;

function seen(crop) {
  const bytes = Uint8Array.from(atob(crop), (c) => c.charCodeAt(0));
  const picture = make("canvas");
  picture.width = picture.height = 28;
  picture.setAttribute("role", "img");
  picture.setAttribute("aria-label", "what the network sees, 28 by 28 pixels");
  const pixels = new ImageData(28, 28);
  bytes.forEach((value, k) => pixels.data.set([value, value, value, 255], 4 * k));
  picture.getContext("2d").putImageData(pixels, 0, 0);
  return picture;
}

function digitCard(digit) {
  const card = make("div", "digit");
  const head = make("div", "row");
  head.append(seen(digit.crop), make("b", "", digit.digit), make("span", grade(digit.confidence), percent(digit.confidence)));
  const table = make("table", "bars");
  table.append(make("caption", "sr", `Probabilities for the digit read as ${digit.digit}`));
  digit.bars.slice(0, 10).forEach((value, k) => {
    const row = table.insertRow();
    if (value === Math.max(...digit.bars)) row.className = "best";
    const label = make("th", "", String(k));
    label.scope = "row";
    const bar = make("meter");
    bar.min = 0; bar.max = 1; bar.value = value;
    bar.setAttribute("aria-label", `${k}: ${percent(value)}`);
    row.append(label);
    row.insertCell().append(bar);
  });
  card.append(head, table);
  for (const [name, said] of Object.entries(digit.models)) card.append(make("p", "quiet", `${name}: ${said}`));
  return card;
}

function show(result) {
  answer = result;
  $("download").disabled = !result;
  const list = $("numbers");
  marks.clearRect(0, 0, overlay.width, overlay.height);
  if (!result || !result.numbers.length) {
    list.replaceChildren(make("p", "quiet", result ? "No number was found in this drawing." : "Nothing drawn yet."));
    $("status").textContent = "";
    return;
  }
  list.replaceChildren(...result.numbers.map((number) => {
    const card = make("div", "number");
    const head = make("div", "row");
    head.append(make("span", "reading", number.text), make("span", `badge ${grade(number.confidence)}`, percent(number.confidence)));
    card.append(head);
    if (number.written && number.written !== number.text) card.append(make("p", "", `written ${number.written}`));
    if (number.review) {
      const or = number.alternatives.map(([text, share]) => `${text} (${percent(share)})`).join(", ");
      card.append(make("p", "quiet", [number.reason, or && `or ${or}`].filter(Boolean).join("; ")));
    }
    const digits = make("div", "digits");
    digits.append(...number.digits.map(digitCard));
    card.append(digits);
    return card;
  }));
  $("status").textContent = `${result.model}, ${Math.round(result.milliseconds)} ms`;
  const colors = { sure: "#0a6b4f", fair: "#b36b00", poor: "#c0271f" };
  for (const number of result.numbers) {
    for (const digit of number.digits) {
      const [x, y, w, h] = digit.box;
      marks.strokeStyle = marks.fillStyle = colors[grade(digit.confidence)];
      marks.lineWidth = 2;
      marks.strokeRect(x, y, w, h);
      marks.font = "600 20px system-ui, sans-serif";
      marks.fillText(`${digit.digit} ${percent(digit.confidence)}`, x, y > 24 ? y - 6 : y + h + 20);
    }
  }
}

$("download").addEventListener("click", () => {
  const link = make("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify(answer, null, 1)], { type: "application/json" }));
  link.download = "digitscan.json";
  link.click();
  URL.revokeObjectURL(link.href);
});

async function upload(file) {
  const pages = $("pages");
  pages.replaceChildren(make("p", "quiet", `Reading ${file.name} …`));
  const form = new FormData();
  form.append("file", file);
  try {
    const response = await fetch("/api/process", { method: "POST", body: form });
    if (!response.ok) {
      pages.replaceChildren(make("p", "poor", `${file.name}: ${await problem(response)}`));
      return;
    }
    const result = await response.json();
    pages.replaceChildren(...result.pages.map(pageView));
    if (result.cut_off) pages.append(make("p", "fair", "The file has more pages: read it with the command line."));
  } catch {
    pages.replaceChildren(make("p", "poor", "The server does not answer. Is it still running?"));
  }
}

function pageView({ result, picture }) {
  const view = make("div", "page");
  if (result.status !== "ok") {
    const told = result.error;
    view.append(make("p", "poor", `Page ${result.page} could not be read: ${told.message}${told.remedy ? `; ${told.remedy}` : ""}`));
    return view;
  }
  const link = make("a");
  link.href = picture;
  link.target = "_blank";
  link.rel = "noopener";
  const image = make("img");
  image.src = picture;
  image.alt = `Page ${result.page} with what was read drawn over it; opens large`;
  link.append(image);
  const side = make("div", "scroll");
  const count = result.readings.length, review = result.readings.filter((r) => r.review).length;
  side.tabIndex = 0;
  side.append(make("p", "", `Page ${result.page}: ${count} numbers, ${review} to look at`));
  const table = make("table", "readings");
  const head = table.createTHead().insertRow();
  for (const name of ["field", "text", "confidence", "note"]) {
    const cell = make("th", "", name);
    cell.scope = "col";
    head.append(cell);
  }
  const body = table.createTBody();
  for (const reading of result.readings) {
    const row = body.insertRow();
    row.append(
      make("td", "", reading.row ? `${reading.field} (${reading.row}, ${reading.column})` : reading.field),
      make("td", "text", reading.text || reading.state),
      make("td", grade(reading.confidence), percent(reading.confidence)),
      make("td", "", reading.review ? reading.reason : ""),
    );
  }
  side.append(table);
  view.append(link, side);
  return view;
}

const drop = $("drop");
$("file").addEventListener("change", (event) => event.target.files[0] && upload(event.target.files[0]));
for (const name of ["dragenter", "dragover"]) drop.addEventListener(name, (e) => { e.preventDefault(); drop.classList.add("over"); });
for (const name of ["dragleave", "drop"]) drop.addEventListener(name, (e) => { e.preventDefault(); drop.classList.remove("over"); });
drop.addEventListener("drop", (event) => event.dataTransfer.files[0] && upload(event.dataTransfer.files[0]));

redraw();
