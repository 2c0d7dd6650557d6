// What is being sent, and whether everything is stopped, at the top of every page: asked for while somebody looks.
const EVERY = 5000;
const bar = document.querySelector("[data-bar]");

function put(part, fresh) {
  const [old, now] = [part.querySelector("a"), fresh?.querySelector("a")];
  if (!fresh || part.innerHTML === fresh.innerHTML) return;
  if (old && now) { // the link stays, and with it the focus
    old.href = now.getAttribute("href");
    old.innerHTML = now.innerHTML;
  } else part.replaceChildren(...fresh.childNodes);
}

async function look() {
  if (document.hidden) return;
  try {
    const answer = await fetch(bar.dataset.bar);
    if (!answer.ok) return;
    const found = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const id of ["bar", "stop-line"]) put(document.getElementById(id), found.getElementById(id));
  } catch {
    // it is asked again; a lost connection is told by the pages that live from one
  }
}

look();
setInterval(look, EVERY);
document.addEventListener("visibilitychange", look);
