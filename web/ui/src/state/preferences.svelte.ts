/** What a reader chose for this browser: theme, language, a narrow rail. Not part of any address. */

export type Theme = "system" | "light" | "dark";
export type Language = "en" | "ru";

class Preferences {
  theme = $state<Theme>(read<Theme>("theme", ["system", "light", "dark"], "system"));
  language = $state<Language>(read<Language>("language", ["en", "ru"], navigator.language.startsWith("ru") ? "ru" : "en"));
  narrowRail = $state(read("rail", ["wide", "narrow"], "wide") === "narrow");
  /** Whether dark is what is seen now. */
  dark = $state(false);

  start(): void {
    const system = matchMedia("(prefers-color-scheme: dark)");
    const see = () => (this.dark = this.theme === "dark" || (this.theme === "system" && system.matches));
    system.addEventListener("change", see);
    $effect.root(() => {
      $effect(() => {
        see();
        if (this.theme === "system") delete document.documentElement.dataset["theme"];
        else document.documentElement.dataset["theme"] = this.theme;
        write("theme", this.theme);
      });
      $effect(() => {
        document.documentElement.lang = this.language;
        write("language", this.language);
      });
      $effect(() => write("rail", this.narrowRail ? "narrow" : "wide"));
    });
  }

  nextTheme(): void {
    this.theme = this.theme === "system" ? "light" : this.theme === "light" ? "dark" : "system";
  }
}

function read<T extends string>(name: string, allowed: T[], fallback: T): T {
  try {
    const value = localStorage.getItem(`driftlead.${name}`) as T | null;
    return value !== null && allowed.includes(value) ? value : fallback;
  } catch {
    return fallback;
  }
}

function write(name: string, value: string): void {
  try {
    localStorage.setItem(`driftlead.${name}`, value);
  } catch {
    // Storage that is refused: the choice holds until the page is left.
  }
}

export const preferences = new Preferences();
