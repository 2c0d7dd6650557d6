import "./htmx.js";
import "htmx.org/dist/ext/hx-sse.js";
import "bootstrap/js/dist/collapse";
import { follow } from "./live.js";

// Dialogs: the page carries them; without this script the same link opens them on a page of their own.
document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-opens]");
  if (opener && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    document.getElementById(opener.dataset.opens).showModal();
  }
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});
for (const dialog of document.querySelectorAll("dialog[open]")) {
  dialog.close();
  dialog.showModal();
}

document.addEventListener("keydown", (event) => {
  const menu = document.querySelector("details.menu[open]");
  if (event.key === "Escape" && menu) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
  const search = document.querySelector("[type=search]");
  if (event.key === "/" && search && !event.ctrlKey && !event.metaKey && !event.altKey && !event.target.closest("input, textarea, select, dialog")) {
    event.preventDefault();
    search.focus();
  }
});

// A button pressed once stays pressed until the next page: nothing is sent twice by a double click.
document.addEventListener("submit", (event) => {
  if (event.target.method !== "post") return;
  if (event.target.dataset.sent) event.preventDefault();
  event.target.dataset.sent = "yes";
});
addEventListener("pageshow", () => document.querySelectorAll("[data-sent]").forEach((form) => delete form.dataset.sent));

if (document.querySelector("[data-bar]")) import("./bar.js");
if (document.querySelector("[data-bulk]")) import("./campaigns.js");
const live = document.querySelector("[data-live]");
if (live) follow(live);
if (document.querySelector("[data-chart]")) {
  import("./charts.js").then(({ mount }) => mount(document));
}
if (document.querySelector("[data-copy]")) import("./copy.js");
if (document.querySelector("[data-panel]")) import("./panel.js");
if (document.querySelector("[data-version]")) import("./autosave.js");
if (document.querySelector("[data-columns]")) import("./picker.js");
// What could not be done is said at the top, and read at once.
document.querySelector("[data-focus]")?.focus();
// Printing is one press; without this script the browser's own menu does it.
for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => print());
}
