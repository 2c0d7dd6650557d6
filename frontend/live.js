// Keeps a page in step with the server, and says so: live, held still by the reader, or cut off.
const RETRY_AFTER = 2000;
const SILENCE = 40000; // more than two heartbeats

export function follow(live) {
  const toggle = live.querySelector("[data-live-toggle]");
  const state = live.querySelector("[data-live-state]");
  const updated = live.querySelector("[data-live-updated]");
  const spoken = live.querySelector("[data-live-spoken]");
  const lost = document.querySelector("[data-live-lost]");
  const clock = new Intl.DateTimeFormat(document.documentElement.lang, {
    hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23", timeZone: live.dataset.zone,
  });
  let paused = false;
  let cut = false;
  let connection;
  let silence;
  let retry;

  const heard = () => {
    cut = false;
    show();
    clearTimeout(silence);
    silence = setTimeout(cutOff, SILENCE);
  };
  const cutOff = () => {
    clearTimeout(silence);
    cut = !paused && !document.hidden;
    show();
  };
  const again = () => {
    cutOff();
    clearTimeout(retry);
    if (!paused) retry = setTimeout(() => live.dispatchEvent(new Event("follow")), RETRY_AFTER);
  };
  // One word at a time: who reads that the connection is lost must not read "Live" beside it.
  const show = () => {
    const word = paused ? "off" : cut ? "lost" : "on";
    if (state.textContent !== state.dataset[word]) state.textContent = state.dataset[word];
    toggle.setAttribute("aria-pressed", paused);
    live.dataset.live = { off: "paused", lost: "lost", on: "on" }[word];
    lost.hidden = word !== "lost";
  };

  toggle.hidden = false;
  toggle.addEventListener("click", () => {
    paused = !paused;
    cut = false;
    show();
    clearTimeout(silence);
    if (paused) connection?.reader?.cancel(); // no stream is open for somebody who does not look
    else live.dispatchEvent(new Event("follow"));
  });
  live.addEventListener("htmx:sse:before:connection", (event) => { if (paused) event.preventDefault(); });
  live.addEventListener("htmx:sse:after:connection", (event) => {
    ({ connection } = event.detail);
    heard();
  });
  live.addEventListener("htmx:sse:before:message", (event) => {
    if (paused) event.preventDefault();
    else heard();
  });
  live.addEventListener("stats", (event) => {
    updated.textContent = clock.format(new Date());
    const stats = JSON.parse(event.detail.data);
    if (spoken.textContent !== stats.spoken) spoken.textContent = stats.spoken;
  });
  live.addEventListener("htmx:sse:error", cutOff);
  live.addEventListener("htmx:sse:close", (event) => { if (event.detail.reason === "ended") again(); });
  live.addEventListener("htmx:error", again);
  live.addEventListener("htmx:response:error", again);
  document.addEventListener("visibilitychange", () => { if (document.hidden) clearTimeout(silence); });

  // New rows never move what is under the pointer: they are counted, and shown when asked for.
  const more = live.querySelector("[data-more]");
  if (more) live.addEventListener("stats", (event) => {
    const { rows, more: words, gone } = JSON.parse(event.detail.data);
    const fresh = rows.filter((id) => !document.getElementById(`row-${id}`)).length;
    const left = live.querySelectorAll("tr[id^='row-']").length > rows.length - fresh;
    more.hidden = !fresh && !left;
    const said = fresh ? words[fresh] : gone;
    const span = more.querySelector("span");
    if (!more.hidden && span.textContent !== said) span.textContent = said;
  });
}
