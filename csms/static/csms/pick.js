// Fields that pick an idTag ask for those that begin with what is typed. Without this script they
// offer the first ones.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  for (const list of document.querySelectorAll("datalist[data-url]")) {
    for (const input of document.querySelectorAll(`input[list="${list.id}"]`)) {
      let waiting = 0;
      input.addEventListener("input", () => {
        clearTimeout(waiting);
        waiting = setTimeout(() => offer(list, input.value), 200);
      });
    }
  }

  async function offer(list, typed) {
    try {
      const response = await fetch(`${list.dataset.url}?q=${encodeURIComponent(typed)}`);
      if (!response.ok) return;
      const { picks } = await response.json();
      list.replaceChildren(...picks.map(([value, label]) => {
        const option = document.createElement("option");
        option.value = value;
        if (label) option.label = label;
        return option;
      }));
    } catch { /* what was offered before stays */ }
  }
});
