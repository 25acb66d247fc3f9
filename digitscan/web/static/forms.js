// The template editor: zones over a blank form, moved with the pointer or the arrow keys.

import { $, make } from "./common.js";

const SVG = "http://www.w3.org/2000/svg";
let draft = null, zones = [], chosen = null, drag = null, blankName = "blank.png";

const node = (tag, attributes) => {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
};

function place(event) {
  const point = new DOMPoint(event.clientX, event.clientY).matrixTransform($("sheet").getScreenCTM().inverse());
  return [point.x, point.y];
}

function choose(zone) {
  chosen = zone;
  $("fields").disabled = !zone;
  $("which").textContent = zone ? `Chosen: ${zone.name}` : "No zone is chosen";
  if (zone) {
    for (const name of ["name", "kind", "columns", "rows"]) $("zone").elements[name].value = zone[name];
  }
  show();
}

function show() {
  const handle = draft ? Math.max(draft.width, draft.height) / 110 : 1;
  $("zones").replaceChildren(...zones.map((zone) => {
    const [x, y, width, height] = zone.box;
    const group = node("g", { class: `zone ${zone.kind}${zone === chosen ? " chosen" : ""}` });
    group.append(node("rect", { x, y, width, height, class: "area" }));
    const label = node("text", { x, y: y - handle / 3, "font-size": handle * 1.3 });
    label.textContent = zone.name;
    group.append(label);
    if (zone === chosen) {
      group.append(node("rect", { x: x + width - handle / 2, y: y + height - handle / 2, width: handle, height: handle, class: "handle" }));
    }
    group.addEventListener("pointerdown", (event) => {
      event.stopPropagation();
      const resize = event.target.classList.contains("handle");
      choose(zone);
      drag = { zone, from: place(event), box: [...zone.box], resize };
      $("sheet").setPointerCapture(event.pointerId);
    });
    return group;
  }));
  $("list").replaceChildren(...zones.map((zone) => {
    const button = make("button", "", zone.name);
    button.type = "button";
    button.setAttribute("aria-pressed", String(zone === chosen));
    button.addEventListener("click", () => choose(zone));
    return button;
  }));
  $("download").disabled = !zones.length;
}

function fit(box) {
  const width = Math.min(Math.max(4, Math.round(box[2])), draft.width), height = Math.min(Math.max(4, Math.round(box[3])), draft.height);
  const x = Math.min(Math.max(0, Math.round(box[0])), draft.width - width), y = Math.min(Math.max(0, Math.round(box[1])), draft.height - height);
  return [x, y, width, height];
}

function freeName() {
  let number = zones.length + 1;
  while (zones.some((zone) => zone.name === `field${number}`)) number += 1;
  return `field${number}`;
}

$("sheet").addEventListener("pointerdown", (event) => {
  if (!draft || event.button) return;
  const [x, y] = place(event);
  const zone = { name: freeName(), kind: "boxes", box: fit([x, y, 4, 4]), rows: 1, columns: 4, fresh: true };
  zones.push(zone);
  choose(zone);
  drag = { zone, from: [x, y], box: [x, y, 0, 0], resize: true };
  $("sheet").setPointerCapture(event.pointerId);
});
$("sheet").addEventListener("pointermove", (event) => {
  if (!drag) return;
  const [x, y] = place(event), dx = x - drag.from[0], dy = y - drag.from[1], b = drag.box;
  drag.zone.box = fit(drag.resize ? [b[0], b[1], b[2] + dx, b[3] + dy] : [b[0] + dx, b[1] + dy, b[2], b[3]]);
  show();
});
$("sheet").addEventListener("pointerup", () => {
  const zone = drag?.zone;
  drag = null;
  if (zone?.fresh) {
    delete zone.fresh;
    const smallest = Math.max(draft.width, draft.height) / 150;
    if (zone.box[2] < smallest || zone.box[3] < smallest) { // a click beside all zones
      zones.splice(zones.indexOf(zone), 1);
      choose(null);
    }
  }
});

function remove() {
  if (!chosen) return;
  zones.splice(zones.indexOf(chosen), 1);
  choose(null);
}

$("zone").addEventListener("input", () => {
  const form = $("zone").elements;
  if (!chosen || !$("zone").checkValidity()) return;
  const name = form.name.value;
  if (!name || zones.some((zone) => zone !== chosen && zone.name === name)) {
    $("status").textContent = `Two zones cannot both be ${name || "nameless"}.`;
    return;
  }
  Object.assign(chosen, { name, kind: form.kind.value, columns: Number(form.columns.value) || 1, rows: Number(form.rows.value) || 1 });
  $("which").textContent = `Chosen: ${name}`;
  show();
});
$("zone").addEventListener("submit", (event) => event.preventDefault());
$("remove").addEventListener("click", remove);
document.addEventListener("keydown", (event) => {
  if (!chosen || event.target.closest("form")) return;
  const step = event.shiftKey ? 10 : 2;
  const move = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[event.key];
  if (move) {
    const [x, y, w, h] = chosen.box;
    chosen.box = fit([x + move[0], y + move[1], w, h]);
    show();
  } else if (event.key === "Delete") {
    remove();
  } else {
    return;
  }
  event.preventDefault();
});

async function trouble(response) {
  const told = await response.json().catch(() => ({}));
  return [told.title, told.detail].filter(Boolean).join(": ") || `the server answered ${response.status}`;
}

function save(name, data) {
  const link = make("a");
  link.href = data;
  link.download = name;
  link.click();
}

$("file").addEventListener("change", async () => {
  const file = $("file").files[0];
  if (!file) return;
  $("status").textContent = "Looking for boxes …";
  const body = new FormData();
  body.append("file", file, file.name);
  const response = await fetch("/api/forms/draft", { method: "POST", body });
  if (!response.ok) {
    $("status").textContent = await trouble(response);
    return;
  }
  draft = await response.json();
  zones = draft.zones;
  blankName = draft.straightened ? `${file.name.replace(/\.\w+$/, "")}.blank.png` : file.name;
  $("name").value = file.name.replace(/\.\w+$/, "").replace(/[^A-Za-z0-9_.-]/g, "-") || "form";
  $("sheet").removeAttribute("hidden");
  $("sheet").setAttribute("viewBox", `0 0 ${draft.width} ${draft.height}`);
  for (const [name, value] of [["href", draft.picture], ["width", draft.width], ["height", draft.height]]) $("picture").setAttribute(name, value);
  $("status").textContent = `${zones.length} zones found. Click one to change it; drag on the page to add one.`;
  choose(null);
});
$("save").addEventListener("submit", async (event) => {
  event.preventDefault();
  const name = $("name").value, blank = blankName.replace(/[^A-Za-z0-9_. -]/g, "-");
  const { width, height, dpi, known_dpi } = draft;
  const response = await fetch("/api/forms/template", {
    method: "POST", headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ name, blank, width, height, dpi, known_dpi, zones }),
  });
  if (!response.ok) {
    $("status").textContent = await trouble(response);
    return;
  }
  save(`${name}.toml`, URL.createObjectURL(await response.blob()));
  if (draft.straightened) save(blank, draft.straightened);
  $("status").textContent = `Saved ${name}.toml: keep it beside ${blank}.`;
});
