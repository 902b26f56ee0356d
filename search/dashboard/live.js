// Puts the sections that a server-sent event brings into their places.
"use strict";
const news = document.getElementById("news"), hold = document.getElementById("hold");
let source = null, missed = 0;  // errors since the server has last answered

// What has the focus is found again in the new content: a link by its address, a table by its name.
function place(section, html) {
  if (section.dataset.html === html) return;
  const held = section.contains(document.activeElement) ? document.activeElement : null;
  const scrolled = [...section.querySelectorAll(".wide")].map((table) => table.scrollLeft);
  section.dataset.html = html;
  section.innerHTML = html;
  section.querySelectorAll(".wide").forEach((table, i) => { table.scrollLeft = scrolled[i] || 0; });
  if (!held) return;
  const same = held.href
    ? [...section.querySelectorAll("a")].find((link) => link.href === held.href)
    : [...section.querySelectorAll(".wide, button")].find((t) => t.ariaLabel === held.ariaLabel);
  if (same) same.focus({ preventScroll: true });
}

function show(event) {
  const told = JSON.parse(event.data);
  for (const [name, html] of Object.entries(told.sections)) place(document.getElementById(name), html);
}

function look() {
  source = new EventSource(document.body.dataset.events);
  source.onmessage = show;
  source.onopen = () => { missed = 0; news.textContent = ""; };
  // The end of each answer counts as an error, too, and the browser asks again by itself; not so of
  // a server that has refused.
  source.onerror = () => {
    missed += 1;
    const isClosed = source.readyState === EventSource.CLOSED;
    if (isClosed) setTimeout(() => hold.ariaPressed !== "true" && look(), 3000);
    if (isClosed || missed > 1) {
      news.textContent = "The server does not answer: its run may have ended. Trying again.";
    }
  };
}

// A trial is ended by hand where the server lets people change something: it shows the buttons then.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("main button[data-end]");
  if (!button) return;
  const number = button.dataset.end;
  if (!confirm(`End trial ${number} now? Its last report is what it has come to.`)) return;
  button.disabled = true;
  try {
    const about = { method: "POST", headers: { "X-Optsearch-Token": document.body.dataset.token } };
    const answer = await fetch(document.body.dataset.end + number, about);
    news.textContent = await answer.text();
  } catch {
    news.textContent = "The server does not answer: nothing was changed.";
  }
  button.disabled = false;
});

hold.hidden = false;
hold.addEventListener("click", () => {
  const held = hold.ariaPressed !== "true";
  hold.ariaPressed = String(held);
  source.close();
  news.textContent = held ? "Held still: nothing on this page changes." : "";
  if (!held) look();
});
look();
