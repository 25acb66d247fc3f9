// Many digits that were read alike: the odd ones are clicked away.

import { $, ask, make, whoIsThis } from "./common.js";

const COUNT = 200;
let digit = new URLSearchParams(location.search).get("digit") || "7", start = 0;
const odd = new Set();

function count() {
  $("count").textContent = odd.size;
}

async function load() {
  odd.clear();
  count();
  $("which").textContent = digit;
  for (const button of $("kinds").children) button.setAttribute("aria-pressed", button.textContent === digit);
  try {
    const answer = await ask(`/api/review/digits?digit=${digit}&start=${start}&count=${COUNT}`);
    $("mosaic").replaceChildren(...answer.digits.map((one) => {
      const button = make("button", "tile");
      button.type = "button";
      button.setAttribute("aria-pressed", "false");
      const picture = make("img");
      picture.src = one.picture || "/static/icon.svg";
      picture.alt = `read as ${digit}, ${(100 * one.confidence).toFixed(0)} % sure, ${one.file.split("/").pop()} page ${one.page}`;
      button.append(picture);
      button.addEventListener("click", () => {
        const on = !odd.has(one);
        if (on) odd.add(one); else odd.delete(one);
        button.setAttribute("aria-pressed", String(on));
        count();
      });
      return button;
    }));
    $("none").hidden = answer.digits.length > 0;
    $("status").textContent = answer.digits.length ? `${start + 1} to ${start + answer.digits.length}, the least sure first` : "";
  } catch (error) {
    $("status").textContent = error.message;
  }
}

$("send").addEventListener("click", async () => {
  try {
    const sent = odd.size;
    if (sent) await ask("/api/review/doubt", { who: whoIsThis(), readings: [...odd].map((one) => one.reading) });
    // What was marked is not among them any more: the next ones move up.
    start += document.querySelectorAll("#mosaic .tile").length - sent;
    await load();
  } catch (error) {
    $("status").textContent = error.message;
  }
});
for (const one of "0123456789") {
  const button = make("button", "kind", one);
  button.type = "button";
  button.addEventListener("click", () => { digit = one; start = 0; load(); });
  $("kinds").append(button);
}
load();
