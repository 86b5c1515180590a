// Light or dark as the system has it, or as was chosen here. Runs before the page is drawn, so that nothing flashes.
"use strict";

(() => {
  const KEY = "waybill-theme";
  const NEXT = { auto: "light", light: "dark", dark: "auto" };
  let theme = "auto";
  try {
    theme = localStorage.getItem(KEY) || "auto";
  } catch {
    // Storage is switched off: the choice lasts as long as the page.
  }
  if (!(theme in NEXT)) theme = "auto";

  const apply = () => {
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
  };
  apply();

  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    const tell = () => {
      document.getElementById("theme-name").textContent = theme;
      button.setAttribute("aria-label", `Theme: ${theme}`);
    };
    tell();
    button.addEventListener("click", () => {
      theme = NEXT[theme];
      apply();
      tell();
      try {
        localStorage.setItem(KEY, theme);
      } catch {
        // As above.
      }
      document.dispatchEvent(new Event("themechange"));
    });
  });
})();
