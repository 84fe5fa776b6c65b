// Light or dark: as the system says, until the switch says otherwise.

const NEXT = { system: "light", light: "dark", dark: "system" };
const WORDS = { system: "as the system", light: "light", dark: "dark" };

export function startTheme(button) {
  let chosen = localStorage.getItem("likewise-theme") ?? "system";
  const apply = () => {
    if (chosen === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = chosen;
    button.title = `Colours: ${WORDS[chosen]}`;
    button.setAttribute("aria-label", button.title);
  };
  button.addEventListener("click", () => {
    chosen = NEXT[chosen] ?? "system";
    localStorage.setItem("likewise-theme", chosen);
    apply();
  });
  apply();
}
