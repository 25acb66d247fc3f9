// What the review pages share: who is at work, and answers of the server.

export const $ = (id) => document.getElementById(id);

export function make(tag, cls, text) {
  const node = document.createElement(tag);
  if (cls) node.className = cls;
  if (text !== undefined) node.textContent = text;
  return node;
}

export function whoIsThis() {
  let who = localStorage.getItem("digitscan-who");
  if (!who) {
    who = `reviewer-${Math.random().toString(36).slice(2, 6)}`;
    localStorage.setItem("digitscan-who", who);
  }
  return who;
}

// A page that is open for an uploaded job asks about that one.
const JOB = new URLSearchParams(location.search).get("job");

export async function ask(path, body) {
  const address = JOB ? `${path}${path.includes("?") ? "&" : "?"}job=${encodeURIComponent(JOB)}` : path;
  const response = await fetch(address, body === undefined ? {} : {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), keepalive: true,
  });
  if (response.ok) return response.json();
  let told = `the server answered ${response.status}`;
  try {
    const problem = await response.json();
    told = [problem.title, problem.detail].filter(Boolean).join(": ");
  } catch { /* no JSON: the status must do */ }
  const error = new Error(told);
  error.status = response.status;
  throw error;
}

export const sameKey = (a, b) => a.sha256 === b.sha256 && a.page === b.page && a.field === b.field;
