(function () {
  try {
    var theme = localStorage.getItem("driftlead.theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
    var language = localStorage.getItem("driftlead.language") || navigator.language || "en";
    document.documentElement.lang = language.indexOf("ru") === 0 ? "ru" : "en";
  } catch (storageIsRefused) {
    // Then the system's theme and language hold.
  }
})();
