// Folders and archives: sent, watched while they are read, and looked at page by page.

import { $, ask, make } from "./common.js";

const shown = new Map();

function words(job) {
  if (job.state === "failed") return `failed: ${job.error}`;
  if (job.state === "waiting") return "waits";
  const failed = job.failed ? `, ${job.failed} failed` : "";
  return `${job.done} of ${job.found || "?"} pages${failed}, ${job.readings} numbers, ${job.review} to look at`;
}

function card(job) {
  let box = shown.get(job.id);
  if (!box) {
    box = make("div", "number");
    const bar = make("progress");
    bar.max = 1;
    bar.setAttribute("aria-label", "pages read");
    const line = make("p");
    const tools = make("div", "tools");
    for (const kind of ["csv", "xlsx", "json"]) {
      const link = make("a", "button", kind.toUpperCase());
      link.href = `/api/jobs/${job.id}/results.${kind}`;
      tools.append(link);
    }
    const look = make("button", "", "Look at pages");
    look.type = "button";
    look.addEventListener("click", () => lookAt(job.id));
    const forget = make("button", "", "Delete");
    forget.type = "button";
    forget.addEventListener("click", async () => {
      try {
        const response = await fetch(`/api/jobs/${job.id}`, { method: "DELETE" });
        if (!response.ok) throw new Error((await response.json()).title);
        box.remove();
        shown.delete(job.id);
        $("pages-card").hidden = true;
      } catch (error) {
        $("status").textContent = error.message;
      }
    });
    const review = make("a", "button", "Review");
    review.href = `/review?job=${job.id}`;
    tools.append(look, review, forget);
    box.append(make("b", "", `${job.files} file${job.files === 1 ? "" : "s"}${job.form ? `, ${job.form}` : ""}`), bar, line, tools);
    shown.set(job.id, box);
    $("jobs").querySelector("p.quiet")?.remove();
    $("jobs").prepend(box);
  }
  const bar = box.querySelector("progress");
  if (job.state === "done") bar.value = 1;
  else if (job.found) bar.value = job.done / job.found;
  else bar.removeAttribute("value");
  box.querySelector("p").textContent = words(job);
  box.dataset.state = job.state;
}

function follow(job) {
  card(job);
  if (job.ended) return;
  const events = new EventSource(`/api/jobs/${job.id}/events`);
  events.onmessage = (event) => {
    const now = JSON.parse(event.data);
    card(now);
    if (now.ended) events.close();
  };
}

async function lookAt(id) {
  try {
    const pages = await ask(`/api/jobs/${id}/pages`);
    $("pages-card").hidden = false;
    const table = $("pages");
    table.replaceChildren();
    const head = table.insertRow();
    for (const name of ["page", "numbers", "to look at", ""]) {
      const cell = make("th", "", name);
      cell.scope = "col";
      head.append(cell);
    }
    const picture = (number) => { $("picture").src = $("large").href = `/api/jobs/${id}/pages/${number}/picture.jpg`; };
    for (const page of pages) {
      const row = table.insertRow();
      const button = make("button", "", `${page.file}, ${page.page}`);
      button.type = "button";
      button.disabled = page.status === "failed";
      button.addEventListener("click", () => picture(page.number));
      row.insertCell().append(button);
      for (const text of [page.readings, page.review, page.message]) row.insertCell().textContent = text;
    }
    const first = pages.find((page) => page.status === "ok");
    if (first) picture(first.number);
    $("pages-title").scrollIntoView({ block: "start" });
  } catch (error) {
    $("status").textContent = error.message;
  }
}

$("new").addEventListener("submit", async (event) => {
  event.preventDefault();
  const files = [...$("folder").files, ...$("files").files];
  if (!files.length) {
    $("status").textContent = "Choose a folder or files first.";
    return;
  }
  if (files.length > 1000) {
    $("status").textContent = `${files.length} files are too many for one sending: pack them into a ZIP archive.`;
    return;
  }
  const body = new FormData();
  for (const file of files) body.append("files", file, file.webkitRelativePath || file.name);
  if ($("form")) body.append("form", $("form").value);
  $("status").textContent = "Sending …";
  try {
    const response = await fetch("/api/jobs", { method: "POST", body });
    const answer = await response.json();
    if (!response.ok) throw new Error([answer.title, answer.detail].filter(Boolean).join(": "));
    $("status").textContent = "";
    $("new").reset();
    follow(answer);
  } catch (error) {
    $("status").textContent = error.message;
  }
});
ask("/api/jobs").then((jobs) => jobs.reverse().forEach(follow), (error) => { $("status").textContent = error.message; });
