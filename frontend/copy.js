// Buttons that copy what stands in a field; without this script the field is copied by hand.
for (const button of document.querySelectorAll("[data-copy]")) {
  const word = button.querySelector("span");
  const usual = word.textContent;
  button.hidden = false;
  button.addEventListener("click", async () => {
    const field = document.getElementById(button.dataset.copy);
    field.select();
    try {
      await navigator.clipboard.writeText(field.value);
    } catch {
      document.execCommand("copy"); // no clipboard over plain http from another machine
    }
    word.textContent = button.dataset.copied;
    setTimeout(() => { word.textContent = usual; }, 2000);
  });
}
