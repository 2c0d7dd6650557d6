// Columns for texts: `{` or the button opens a list beside the field; arrows, Enter and Escape as everywhere.
const SHOWN = 50;
let open = null; // { box, from, list, names, at }

const columnsOf = (box) => JSON.parse(box.closest("[data-columns]").dataset.columns);

function close() {
  open?.list.remove();
  open?.box.removeAttribute("aria-activedescendant");
  open?.box.removeAttribute("aria-controls");
  open = null;
}

function show(box, from) {
  close();
  const list = document.createElement("ul");
  list.className = "picker";
  list.id = "picker";
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", box.closest("[data-columns]").dataset.listLabel);
  box.closest(".pick-place").append(list);
  box.setAttribute("aria-controls", "picker");
  open = { box, from, list, names: [], at: 0 };
  filter();
}

// What was typed since the brace narrows the list.
function filter() {
  const { box, from, list } = open;
  const typed = box.value.slice(from, box.selectionStart).replace(/^[${\s]+/, "").toLowerCase();
  if (box.selectionStart < from || /[}\n]/.test(typed)) return close();
  open.names = columnsOf(box).filter((name) => name.toLowerCase().includes(typed)).slice(0, SHOWN);
  open.at = 0;
  list.replaceChildren(...open.names.map((name, number) => {
    const option = document.createElement("li");
    option.id = `picker-${number}`;
    option.setAttribute("role", "option");
    option.textContent = name;
    return option;
  }));
  if (!open.names.length) {
    const none = document.createElement("li");
    none.setAttribute("role", "option");
    none.setAttribute("aria-disabled", "true");
    none.className = "none-found";
    none.textContent = box.closest("[data-columns]").dataset.noMatch;
    list.append(none);
  }
  mark();
}

function mark() {
  [...open.list.children].forEach((option, number) => option.setAttribute("aria-selected", number === open.at));
  if (!open.names.length) return open.box.removeAttribute("aria-activedescendant");
  open.box.setAttribute("aria-activedescendant", `picker-${open.at}`);
  open.list.children[open.at].scrollIntoView({ block: "nearest" });
}

function insert() {
  const { box, from, names, at } = open;
  let end = box.selectionStart;
  while (box.value[end] === "}") end += 1; // closed already by a careful hand
  box.setRangeText(`{{${names[at]}}}`, from, end, "end");
  close();
  box.focus();
  box.dispatchEvent(new Event("input", { bubbles: true }));
}

document.addEventListener("input", (event) => {
  const box = event.target;
  if (!box.matches?.("[data-picker]")) return;
  if (open?.box === box) return filter();
  if (event.data === "{" && columnsOf(box).length) {
    let from = box.selectionStart - 1;
    while (from > 0 && "{$".includes(box.value[from - 1])) from -= 1;
    show(box, from);
  }
});

document.addEventListener("keydown", (event) => {
  if (!open || event.target !== open.box) return;
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step && open.names.length) {
    open.at = (open.at + step + open.names.length) % open.names.length;
    mark();
  } else if ((event.key === "Enter" || event.key === "Tab") && open.names.length) insert();
  else if (event.key === "Escape") close();
  else return;
  event.preventDefault();
  event.stopPropagation();
}, true);

document.addEventListener("mousedown", (event) => {
  if (!open) return;
  const option = event.target.closest(".picker [role=option]");
  if (!option) return close();
  event.preventDefault(); // the field keeps the focus
  if (!open.names.length) return;
  open.at = [...open.list.children].indexOf(option);
  insert();
});

document.addEventListener("focusout", (event) => { if (open && event.target === open.box) close(); });

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-picks]");
  if (!button) return;
  const box = document.getElementById(button.dataset.picks);
  box.focus();
  show(box, box.selectionStart);
});

// The button needs this script, so it shows with it; the form's parts come anew with each change of a sender.
const reveal = () => document.querySelectorAll("[data-picks][hidden]").forEach((button) => { button.hidden = false; });
document.addEventListener("htmx:after:settle", reveal);
document.addEventListener("htmx:after:swap", reveal);
reveal();
