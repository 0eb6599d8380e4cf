// Colours follow the system until the reader chooses; the choice is kept where the browser lets a file keep one.
const themes = ["auto", "light", "dark"];
const themeTexts = { auto: "Colours: system", light: "Colours: light", dark: "Colours: dark" };

function storedTheme() {
  try {
    const stored = localStorage.getItem("attnlab-theme");
    return themes.includes(stored) ? stored : "auto";
  } catch {
    return "auto";
  }
}

function setTheme(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  const button = document.getElementById("theme");
  button.textContent = themeTexts[theme];
  button.setAttribute("aria-label", themeTexts[theme] + ". Change");
  button.dataset.theme = theme;
  try {
    localStorage.setItem("attnlab-theme", theme);
  } catch {
    // Not kept: the page works all the same.
  }
}

setTheme(storedTheme());
document.getElementById("theme").addEventListener("click", (event) => {
  const now = themes.indexOf(event.currentTarget.dataset.theme);
  setTheme(themes[(now + 1) % themes.length]);
});
