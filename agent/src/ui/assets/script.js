// Live updates and keys. Every page works without this file.
"use strict";
(() => {
  const main = () => document.getElementById("main");
  const offline = document.getElementById("offline");
  const about = document.body.dataset.about;

  // True while a person types, or has opened a form, in what would be replaced.
  const busy = () => {
    const active = document.activeElement;
    if (active && main().contains(active) && active.matches("input, select, textarea")) return true;
    return [...main().querySelectorAll("form.deed input[type=text]")].some((input) => input.value !== input.defaultValue);
  };

  const opened = () => [...main().querySelectorAll("details")].map((details) => details.open);

  let loading = false;
  let again = false;
  let waiting = 0;
  async function refresh() {
    // A log is loaded when a person asks for it.
    if (document.getElementById("log")) return;
    if (loading || busy()) {
      again = true;
      return;
    }
    loading = true;
    again = false;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" }, credentials: "same-origin" });
      if (answer.redirected && new URL(answer.url).pathname === "/login") {
        location.assign(answer.url);
        return;
      }
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById("main");
      if (fresh && !busy()) {
        const open = opened();
        const row = rows().indexOf(document.activeElement);
        const banner = fresh.querySelector(".banner.good");
        if (banner) banner.remove();
        main().replaceWith(fresh);
        const all = [...main().querySelectorAll("details")];
        if (all.length === open.length) all.forEach((details, at) => (details.open = open[at]));
        if (row >= 0) rows()[Math.min(row, rows().length - 1)]?.focus();
        document.title = page.title;
      }
      if (offline && answer.status < 500) offline.hidden = true;
    } catch {
      if (offline) offline.hidden = false;
    } finally {
      loading = false;
      if (again) later(1000);
    }
  }
  function later(time) {
    clearTimeout(waiting);
    waiting = setTimeout(refresh, time);
  }

  // One stream while the tab is visible: browsers open six connections to a host at most.
  let stream = null;
  let last = 0;
  function listen() {
    if (!about || stream) return;
    stream = new EventSource("/events");
    stream.addEventListener("changed", (event) => {
      if (about !== "*" && event.data !== "*" && event.data !== about) return;
      const since = Date.now() - last;
      last = Date.now();
      since > 500 ? refresh() : later(500);
    });
    stream.addEventListener("open", () => {
      if (offline && !offline.hidden) refresh();
    });
    stream.addEventListener("error", () => {
      if (offline) offline.hidden = false;
      if (stream && stream.readyState === EventSource.CLOSED) {
        stream = null;
        setTimeout(() => {
          refresh();
          listen();
        }, 3000);
      }
    });
  }
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      stream?.close();
      stream = null;
    } else {
      refresh();
      listen();
    }
  });
  listen();

  // Pods are in no watch: a page that shows some is loaded again while somebody looks at it.
  setInterval(() => {
    if (!document.hidden && main().querySelector("table.pods")) refresh();
  }, 10000);

  // A log is followed in its place.
  document.getElementById("follow")?.addEventListener("click", async (event) => {
    event.preventDefault();
    const link = event.target;
    const log = document.getElementById("log");
    if (!log || link.dataset.on) return;
    link.dataset.on = "on";
    link.textContent = "Following";
    try {
      const answer = await fetch(link.href, { credentials: "same-origin" });
      if (!answer.ok) throw new Error(answer.statusText);
      log.textContent = "";
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        const isAtEnd = window.innerHeight + window.scrollY >= document.body.scrollHeight - 80;
        log.append(part.value);
        while (log.childNodes.length > 5000) log.firstChild.remove();
        if (isAtEnd) window.scrollTo(0, document.body.scrollHeight);
      }
      link.textContent = "The log has ended";
    } catch {
      link.textContent = "The log cannot be followed";
    }
  });

  // Keys.
  const rows = () => [...main().querySelectorAll("a.row")];
  function move(step) {
    const all = rows();
    if (!all.length) return;
    const at = all.indexOf(document.activeElement);
    const next = all[at < 0 ? (step > 0 ? 0 : all.length - 1) : Math.max(0, Math.min(all.length - 1, at + step))];
    next.focus();
    next.scrollIntoView({ block: "nearest" });
  }
  const keys = document.getElementById("keys");
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.target.matches("input, select, textarea")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const actions = {
      "?": () => keys.showModal(),
      "/": () => document.getElementById("filter")?.focus(),
      j: () => move(1),
      k: () => move(-1),
      h: () => location.assign("/"),
      d: () => location.assign("/drift"),
      i: () => location.assign("/images"),
      g: () => location.assign("/graph"),
      p: () => location.assign("/pulls"),
    };
    const action = actions[event.key];
    if (!action || (keys.open && event.key !== "?")) return;
    event.preventDefault();
    action();
  });
})();
