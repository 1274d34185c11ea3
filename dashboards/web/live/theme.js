/*
 * The theme, light or dark: the system's, or the user's choice. A classic script, because it has to run before the first
 * paint, in plain old JavaScript, because every browser runs it.
 */
(function () {
  var root = document.documentElement;
  var system = window.matchMedia ? window.matchMedia("(prefers-color-scheme: dark)") : { matches: false };

  // Storage may be disabled. A choice then lasts as long as the page.
  function stored() {
    try { return localStorage.getItem("tickcast-theme"); } catch (error) { return null; }
  }
  function store(theme) {
    try { localStorage.setItem("tickcast-theme", theme); } catch (error) { /* see above */ }
  }
  function isDark() {
    return (root.getAttribute("data-theme") || (system.matches ? "dark" : "light")) === "dark";
  }

  if (stored() === "dark" || stored() === "light") root.setAttribute("data-theme", stored());
  document.addEventListener("DOMContentLoaded", function () {
    var button = document.getElementById("theme");
    function show() { button.setAttribute("aria-pressed", String(isDark())); }
    button.addEventListener("click", function () {
      var theme = isDark() ? "light" : "dark";
      root.setAttribute("data-theme", theme);
      store(theme);
      show();
    });
    if (system.addEventListener) system.addEventListener("change", show);
    show();
  });
})();
