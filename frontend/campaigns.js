// Campaigns that are selected: how many, and how many of them each button is for.
const bulk = document.querySelector("[data-bulk]");
const all = document.querySelector("[data-pick-all]");
const every = all?.querySelector("input");
const boxes = () => [...document.querySelectorAll("[data-can]")];

function count() {
  const picked = boxes().filter((box) => box.checked);
  bulk.hidden = picked.length === 0;
  bulk.querySelector("[data-picked]").textContent = picked.length;
  for (const button of bulk.querySelectorAll("[data-deed]")) {
    const able = picked.filter((box) => box.dataset.can.split(" ").includes(button.dataset.deed)).length;
    button.hidden = able === 0;
    button.querySelector("[data-number]").textContent = able;
  }
  every.checked = picked.length > 0 && picked.length === boxes().length;
  every.indeterminate = picked.length > 0 && !every.checked;
}

all.hidden = false;
bulk.dataset.counting = "yes";
every.addEventListener("change", () => {
  for (const box of boxes()) box.checked = every.checked;
  count();
});
document.addEventListener("change", (event) => { if (event.target.matches("[data-can]")) count(); });
// What can be done changes with the status that a frame brings.
document.addEventListener("stats", () => setTimeout(count), true);
addEventListener("pageshow", count);
count();
