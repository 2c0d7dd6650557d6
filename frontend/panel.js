// The panel beside a log: shown when its part has come, and closed with the focus back where it was. Without this script, and when a
// part cannot be had, the same link leads to a page of its own.
const place = document.querySelector("[data-panel]");
const box = place.querySelector("[data-panel-box]");
let opener;

place.addEventListener("click", (event) => {
  const link = event.target.closest("[hx-get]");
  if (link && (event.ctrlKey || event.metaKey || event.shiftKey)) event.stopPropagation();
  else if (link) opener = link;
}, true);
const show = () => {
  if (!box.querySelector(".message-part")) return;
  opener ??= document.activeElement.closest("[hx-get]");
  box.hidden = false;
  place.classList.add("open");
  box.querySelector("h2")?.focus();
};
document.addEventListener("htmx:after:swap", show);
show(); // a part that was asked for while this script was on its way
const close = () => {
  if (box.hidden) return;
  box.hidden = true;
  place.classList.remove("open");
  opener?.focus();
};
box.querySelector("[data-panel-close]").addEventListener("click", close);
document.addEventListener("keydown", (event) => { if (event.key === "Escape") close(); });
place.addEventListener("htmx:error", () => { if (opener) location.href = opener.href; });
