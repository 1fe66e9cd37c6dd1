// Follows a bulk command: fetches its changing part again while anything is open. Without this
// script the page works by reloading it.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const place = document.getElementById("progress");
  const live = document.getElementById("live");
  if (!place) return;
  const quick = 1500;
  const slow = 5000;
  const patience = 60; // looks without any change, after which it looks less often
  let unchanged = 0;

  const isOpen = () => place.querySelector("[data-open]")?.dataset.open !== "0";
  const say = (text) => { if (live) live.textContent = text; };
  const later = () => {
    if (!isOpen()) return say("");
    setTimeout(look, unchanged > patience ? slow : quick);
  };

  async function look() {
    if (document.hidden) return later();
    try {
      const url = place.dataset.url + location.search;
      const response = await fetch(url, { credentials: "same-origin", redirect: "manual" });
      if (response.type === "opaqueredirect") return location.reload(); // signed out
      if (!response.ok) throw new Error(response.status);
      show(await response.text());
      say("Follows by itself");
    } catch {
      unchanged = patience + 1;
      say("The server does not answer; trying again");
    }
    later();
  }

  function show(html) {
    const fresh = document.createElement("template");
    fresh.innerHTML = html;
    const token = (root) => root.querySelectorAll("[name=csrfmiddlewaretoken]");
    // The token is masked anew in each answer: it is no change.
    const old = place.cloneNode(true);
    for (const root of [old, fresh.content]) token(root).forEach((input) => input.remove());
    const before = old.innerHTML.trim();
    const after = document.createElement("div");
    after.append(fresh.content);
    if (before === after.innerHTML.trim()) {
      unchanged += 1;
      return;
    }
    unchanged = 0;
    const focused = document.activeElement?.id;
    place.innerHTML = html;
    if (focused) document.getElementById(focused)?.focus();
  }

  if (isOpen()) say("Follows by itself");
  later();
});
