// The page's own script: places in the address, language, light, pictures. Data reaches it as JSON, never as HTML.
"use strict";
(() => {
  const LANGUAGE = "pipeline_assets_language", LIGHT = "pipeline_assets_light";
  const root = document.documentElement;
  const dark = window.matchMedia("(prefers-color-scheme: dark)");

  // Light: as the reader set it, else as the system is; before anything is painted.
  const light = () => localStorage.getItem(LIGHT) || (dark.matches ? "dark" : "light");
  const shine = () => { root.dataset.bsTheme = light(); document.dispatchEvent(new Event("mart:light")); };
  shine();
  dark.addEventListener("change", shine);

  // Places: the address holds where one is; the server is told of it, views are shown by it.
  const read = () => new URLSearchParams(location.search);
  function shown() {
    const here = read(), sections = [...document.querySelectorAll("main > section")];
    const view = sections.some((one) => one.dataset.view === here.get("view"))
      ? here.get("view") : sections[0]?.dataset.view;
    for (const one of sections) one.hidden = one.dataset.view !== view;
    for (const one of document.querySelectorAll("nav a[data-view]")) {
      const there = new URLSearchParams({ view: one.dataset.view });
      for (const name of ["task", "batch"]) if (here.get(name)) there.set(name, here.get(name));
      one.setAttribute("href", `?${there}`);
      if (one.dataset.view !== view) { one.removeAttribute("aria-current"); continue; }
      one.setAttribute("aria-current", "page");
      const strip = one.parentElement;  // on a phone it scrolls sideways
      strip.scrollLeft = one.offsetLeft - strip.offsetLeft - (strip.clientWidth - one.offsetWidth) / 2;
    }
    const picker = document.querySelector("form[data-go=task] select");
    if (picker && here.get("task")) picker.value = here.get("task");
  }
  function tell() { window.Shiny?.setInputValue?.("query", location.search); }
  function go(query) {
    const before = read().get("view");
    history.pushState(null, "", query || "?");
    shown();
    tell();
    if (read().get("view") !== before) {
      window.scrollTo(0, 0);
      document.getElementById("main").focus({ preventScroll: true });
    }
  }
  window.addEventListener("popstate", () => { shown(); tell(); });

  document.addEventListener("click", (event) => {
    if (event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    const link = event.target.closest("a[href]");
    if (link && link.getAttribute("href").startsWith("?") && !link.hasAttribute("download")) {
      event.preventDefault();
      go(link.getAttribute("href"));
      return;
    }
    const row = event.target.closest("tr[data-href]");
    if (row && !link && !event.target.closest("button, input, select, summary") && !String(getSelection())) {
      go(row.dataset.href);
    }
    const language = event.target.closest("button[data-language]");
    if (language) {
      document.cookie = `${LANGUAGE}=${language.dataset.language}; path=/; max-age=31536000; samesite=lax`;
      location.reload();
    }
    if (event.target.closest("#light")) {
      localStorage.setItem(LIGHT, light() === "dark" ? "light" : "dark");
      shine();
    }
  });
  // From the address as it is now, which may have moved on since the form was made; its hidden fields, which say the
  // same, are for browsers without this script. Ticked boxes of one name are a list.
  function submitted(form) {
    const query = read();
    if (form.dataset.go === "task") {
      for (const name of [...query.keys()]) if (name !== "view") query.delete(name);  // the rest belongs to the task
    }
    for (const name of (form.dataset.drop || "").split(" ")) query.delete(name);
    const lists = new Map();
    for (const control of form.elements) {
      if (!control.name || control.type === "hidden") continue;
      if (control.type !== "checkbox") lists.set(control.name, [control.value]);
      else if (control.checked) lists.set(control.name, [...(lists.get(control.name) || []), control.value]);
    }
    if (form.dataset.slots) {  // a filter takes the first free number
      const free = Array.from({ length: Number(form.dataset.slots) }, (_, place) => place + 1)
        .find((slot) => !query.has(`w${slot}c`));
      if (!free) return;
      for (const part of ["c", "o", "v"]) {
        lists.set(`w${free}${part}`, lists.get(`w0${part}`));
        lists.delete(`w0${part}`);
      }
      form.reset();
    }
    for (const [name, values] of lists) {
      if (values.join("") === "") query.delete(name); else query.set(name, values.join(","));
    }
    go(`?${query}`);
  }
  document.addEventListener("submit", (event) => {
    if (event.target.matches("form[data-go]")) { event.preventDefault(); submitted(event.target); }
  });
  document.addEventListener("change", (event) => {
    if (event.target.matches("form[data-go] select[data-now]")) submitted(event.target.form);
  });

  // Pictures: plotly draws them in the page's own colours, and again when those change.
  const styled = (name) => getComputedStyle(document.body).getPropertyValue(name).trim();
  function clothed(layout) {
    const ink = styled("--bs-body-color"), grid = styled("--bs-border-color");
    const axis = { gridcolor: grid, zerolinecolor: grid, linecolor: grid, automargin: true, exponentformat: "none" };
    const template = { layout: {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: ink, family: "inherit", size: 13 },
      colorway: JSON.parse(styled("--mart-colours")), xaxis: axis, yaxis: axis,
      legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 },
      hoverlabel: { bgcolor: styled("--bs-tertiary-bg"), bordercolor: grid, font: { color: ink } },
      margin: { l: 8, r: 8, t: 40, b: 8 },
    } };
    return { ...layout, template, autosize: true, separators: root.lang === "ru" ? ",\u00a0" : ".," };
  }
  const pictures = new Map(), phone = window.matchMedia("(max-width: 40rem)");
  function draw(place) {
    const { data, layout, narrow } = pictures.get(place), own = { ...layout };
    if (phone.matches) for (const axis of Object.keys(narrow)) own[axis] = { ...own[axis], ...narrow[axis] };
    return window.Plotly.react(place, data, clothed(own), { displayModeBar: false, responsive: true, scrollZoom: false });
  }
  function redraw() {
    for (const place of pictures.keys()) if (place.isConnected) draw(place); else pictures.delete(place);
  }
  document.addEventListener("mart:light", redraw);
  phone.addEventListener("change", redraw);
  function binding() {
    class Pictures extends window.Shiny.OutputBinding {
      find(scope) { return window.$(scope).find(".mart-picture"); }
      clearError(element) { element.classList.remove("shiny-output-error"); element.querySelector(".picture-error")?.remove(); }
      renderError(element, error) {
        this.renderValue(element, null);
        if (!error.message) return;
        const text = document.createElement("p");
        text.className = "picture-error notice notice-error";
        text.textContent = error.message;
        element.append(text);
      }
      async renderValue(element, picture) {
        let place = element.querySelector(".plot");
        if (!picture) {
          if (place) { window.Plotly.purge(place); pictures.delete(place); }
          element.replaceChildren();
          return;
        }
        if (!place) {
          element.replaceChildren();
          const title = document.createElement("p");
          title.className = "picture-title";
          place = document.createElement("div");
          place.className = "plot";
          place.setAttribute("role", "img");
          const says = document.createElement("p");
          says.className = "picture-says";
          element.append(title, place, says);
        }
        place.setAttribute("aria-label", [picture.title, picture.says].filter(Boolean).join(": "));
        element.querySelector(".picture-title").textContent = picture.title;
        element.querySelector(".picture-says").textContent = picture.says;
        pictures.set(place, picture);
        place.style.height = picture.layout.height ? `${picture.layout.height}px` : "";  // some grow with their rows
        await draw(place);
        if (!place.dataset.clicks) {
          place.dataset.clicks = "yes";
          place.on("plotly_click", (event) => {
            const what = event.points[0]?.customdata;
            if (what !== undefined) window.Shiny.setInputValue(`${element.id}_click`, what, { priority: "event" });
          });
        }
      }
    }
    window.Shiny.outputBindings.register(new Pictures(), "mart.picture");
  }

  // Outputs that need the same query fail alike: a view says each error once.
  const failed = ".shiny-output-error, .picture-error";
  function once() {
    for (const section of document.querySelectorAll("main > section")) {
      const said = new Set();
      for (const one of section.querySelectorAll(`.said-above, ${failed}`)) {
        const text = one.matches(failed) ? one.textContent.trim() : "";
        one.classList.toggle("said-above", text !== "" && said.has(text));
        said.add(text);
      }
    }
  }

  document.addEventListener("DOMContentLoaded", () => {
    shown();
    new MutationObserver(once).observe(document.getElementById("main"), {
      subtree: true, childList: true, characterData: true, attributes: true, attributeFilter: ["class"],
    });
    const $ = window.$;
    binding();
    window.Shiny.addCustomMessageHandler("go", (message) => go(message.query));
    window.Shiny.initializedPromise?.then(tell);
    $(document).on("shiny:connected", () => { document.getElementById("lost").hidden = true; tell(); });
    // Shiny's grey cloth over the page says nothing; the notice does, and the page comes back by itself.
    $(document).on("shiny:disconnected", () => {
      document.getElementById("lost").hidden = false;
      const again = () => fetch(location.href, { cache: "no-store" })
        .then((answer) => (answer.ok ? location.reload() : setTimeout(again, 2000)), () => setTimeout(again, 2000));
      setTimeout(again, 1000);
    });
  });
})();
