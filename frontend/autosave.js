// Forms that save themselves: each change goes out from the version that the one before it brought, and a button waits until
// what is under way is answered. Otherwise one editor would be taken for two.
const busy = new Map(); // form -> requests under way
const waiting = new Map(); // form -> the button to be pressed then

const formOf = (event) => {
  const { form } = event.detail.ctx.request;
  return form?.querySelector("[data-version]") ? form : null;
};

document.addEventListener("htmx:before:request", (event) => {
  const form = formOf(event);
  const { body } = event.detail.ctx.request;
  if (!form || !body) return;
  busy.set(form, (busy.get(form) ?? 0) + 1);
  body.set("version", form.querySelector("[data-version]").value);
});

// What could not be saved is said and tried again, until it is: a time that stands there from before would be a lie.
const AGAIN = 4000; // milliseconds
const tell = (what) => {
  for (const notice of document.querySelectorAll("[data-unsaved]")) notice.hidden = notice.dataset.unsaved !== what;
  document.getElementById("saved")?.toggleAttribute("hidden", Boolean(what));
};
const reported = (form, status) => {
  if (!document.querySelector("[data-unsaved]")) return;
  const what = status === 401 ? "out" : status >= 500 || !status ? "lost" : "";
  tell(what);
  if (what) setTimeout(() => form.isConnected && !busy.get(form) && form.dispatchEvent(new Event("change")), AGAIN);
};

document.addEventListener("htmx:finally:request", (event) => {
  const form = formOf(event);
  if (!form || !busy.get(form)) return;
  reported(form, event.detail.ctx.response?.status);
  busy.set(form, busy.get(form) - 1);
  setTimeout(() => { // the next in line begins first
    if (busy.get(form) || !waiting.has(form)) return;
    const button = waiting.get(form);
    waiting.delete(form);
    form.requestSubmit(button);
  });
});

document.addEventListener("submit", (event) => {
  if (!busy.get(event.target)) return;
  waiting.set(event.target, event.submitter);
  event.preventDefault();
  event.stopImmediatePropagation();
}, true);
