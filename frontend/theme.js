// Runs before the first paint: who follows the system must not see a flash of the other theme.
(() => {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    if (root.dataset.theme === "system") root.dataset.bsTheme = dark.matches ? "dark" : "light";
    document.dispatchEvent(new Event("themechange"));
  };
  dark.addEventListener("change", apply);
  apply();
})();
