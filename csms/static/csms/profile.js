// Draws the schedule of a charging profile while it is typed, and adds rows for its periods.
// Without this script the form works, without a drawing.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const place = document.querySelector(".cs-periods");
  if (!place) return;
  const form = place.closest("form");
  const name = place.dataset.name;
  const figure = place.querySelector(".cs-steps");
  const svg = place.querySelector(".cs-steps-drawing");
  const words = place.querySelector(".cs-steps-words");
  const more = place.querySelector(".cs-more-periods");
  const unit = place.querySelector(".cs-unit");
  const HEIGHT = 220;
  const SIDES = { left: 52, right: 12, top: 12, bottom: 26 };
  const DAY = 86400;
  const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
  const TICKS = [60, 300, 900, 1800, 3600, 7200, 14400, 21600, 43200, DAY, 2 * DAY, 7 * DAY];

  const value = (field) => form.elements[field]?.value.trim() ?? "";

  // Seconds of a number of them, of h:mm or h:mm:ss; NaN when it is neither.
  function seconds(text) {
    const found = /^(\d{1,6})(?::([0-5]\d)(?::([0-5]\d))?)?$/.exec(text.trim());
    if (!found) return NaN;
    if (found[2] === undefined) return Number(found[1]);
    return Number(found[1]) * 3600 + Number(found[2]) * 60 + Number(found[3] ?? 0);
  }

  function clock(total) {
    const pad = (number) => String(number).padStart(2, "0");
    const rest = total % 60;
    const text = `${Math.floor(total / 3600)}:${pad(Math.floor((total % 3600) / 60))}`;
    return rest ? `${text}:${pad(rest)}` : text;
  }

  function read() {
    const kind = value("kind");
    const every = kind !== "Recurring" ? null : value("recurrency_kind") === "Weekly" ? 7 * DAY : DAY;
    const duration = seconds(value("duration"));
    const periods = [];
    let unread = 0;
    for (const row of place.querySelectorAll("[data-row]")) {
      const [start, limit, phases] = [...row.children].map((field) => field.value.trim());
      if (!start && !limit) continue;
      const from = seconds(start);
      const most = /^\d{1,12}(\.\d)?0*$/.test(limit) ? Number(limit) : NaN;
      if (Number.isNaN(from) || Number.isNaN(most)) unread += 1;
      else periods.push({ from, most, text: limit, phases });
    }
    periods.sort((one, other) => one.from - other.from);
    const ends = [every, duration > 0 ? duration : null].filter((end) => end !== null);
    const end = ends.length ? Math.min(...ends) : null;
    const last = periods.length ? periods[periods.length - 1].from : 0;
    const extent = every ?? (end || Math.max(3600, Math.ceil((last * 1.25) / 3600) * 3600));
    const started = kind === "Relative" ? "" : value("start_schedule");
    const start = started ? Date.parse(`${started}Z`) : NaN;
    return { periods, unread, end, extent, every, start, unit: value("charging_rate_unit") };
  }

  function make(tag, attributes, text) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [key, content] of Object.entries(attributes)) element.setAttribute(key, content);
    if (text !== undefined) element.textContent = text;
    return element;
  }

  // The least of 1, 2, 4, 5, 8, 10, … that is not below a number.
  function nice(number) {
    if (number <= 0) return 1;
    const power = 10 ** Math.floor(Math.log10(number));
    return [1, 2, 4, 5, 8, 10].map((step) => step * power).find((step) => step >= number);
  }

  function label(at, known) {
    if (Number.isNaN(known.start)) return clock(at);
    const moment = new Date(known.start + at * 1000);
    const text = moment.toISOString();
    return known.extent > 2 * DAY ? `${DAYS[moment.getUTCDay()]} ${text.slice(11, 16)}` : text.slice(11, 16);
  }

  function draw() {
    const known = read();
    const width = Math.max(240, svg.clientWidth || 600);
    const inner = { w: width - SIDES.left - SIDES.right, h: HEIGHT - SIDES.top - SIDES.bottom };
    const least = Number(value("min_charging_rate")) || 0;
    const top = nice(Math.max(0, least, ...known.periods.map((period) => period.most)));
    const x = (at) => SIDES.left + (Math.min(at, known.extent) / known.extent) * inner.w;
    const y = (most) => SIDES.top + (1 - most / top) * inner.h;
    svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    svg.replaceChildren();
    for (const part of [0, 0.25, 0.5, 0.75, 1]) {
      const at = y(top * part);
      svg.append(make("line", { class: "cs-grid", x1: SIDES.left, x2: width - SIDES.right, y1: at, y2: at }));
      if (part === 0 || part === 0.5 || part === 1) {
        const text = `${Number((top * part).toPrecision(6))} ${known.unit}`;
        svg.append(make("text", { class: "cs-tick", x: SIDES.left - 6, y: at + 4, "text-anchor": "end" }, text));
      }
    }
    const room = known.extent > 2 * DAY && !Number.isNaN(known.start) ? 80 : 56;
    const step = TICKS.find((size) => (known.extent / size) * room <= inner.w) ?? known.extent;
    for (let at = 0; at <= known.extent; at += step) {
      const anchor = at === 0 ? "start" : x(at) > width - 40 ? "end" : "middle";
      svg.append(make("line", { class: "cs-grid", x1: x(at), x2: x(at), y1: SIDES.top, y2: HEIGHT - SIDES.bottom }));
      svg.append(make("text", { class: "cs-tick", x: x(at), y: HEIGHT - 8, "text-anchor": anchor }, label(at, known)));
    }
    const told = known.periods.map((period, index) => {
      const next = known.periods[index + 1]?.from ?? known.extent;
      const to = Math.min(next, known.end ?? Infinity, known.extent);
      if (to > period.from) {
        const box = { x: x(period.from), width: x(to) - x(period.from), y: y(period.most), height: y(0) - y(period.most) };
        svg.append(make("rect", { class: "cs-step-area", ...box }));
      }
      return { ...period, to };
    });
    let path = "";
    for (const [index, period] of told.entries()) {
      if (period.to <= period.from) continue;
      path += `${index && told[index - 1].to === period.from ? "L" : "M"}${x(period.from)} ${y(period.most)}H${x(period.to)}`;
    }
    svg.append(make("path", { class: "cs-step-line", d: path }));
    if (least > 0) {
      svg.append(make("line", { class: "cs-step-least", x1: SIDES.left, x2: width - SIDES.right, y1: y(least), y2: y(least) }));
    }
    unit.textContent = known.unit ? ` in ${known.unit}` : "";
    const text = say(known);
    words.textContent = text;
    svg.setAttribute("aria-label", `The schedule. ${text}`);
  }

  function say(known) {
    if (!known.periods.length) return "Enter a period to see the schedule.";
    const each = known.periods.map(
      (period) => `from ${clock(period.from)} ${period.text} ${known.unit || "A or W"}${period.phases ? `, ${period.phases}-phase` : ""}`,
    );
    const end = known.end === null ? "; it goes on" : `; until ${clock(known.end)}`;
    const again = known.every === null ? "" : known.every === DAY ? ", every day" : ", every week";
    const bounds = [["from", "valid_from"], ["to", "valid_to"]].filter(([, field]) => value(field));
    const valid = bounds.map(([word, field]) => `${word} ${value(field).replace("T", " ")}`).join(" ");
    const validity = valid ? `. Valid ${valid} UTC` : "";
    const unread = known.unread ? `. Not drawn yet: ${known.unread}` : "";
    const text = each.join("; ") + end + again + validity + unread;
    return `${text[0].toUpperCase()}${text.slice(1)}.`;
  }

  more.addEventListener("click", () => {
    const rows = place.querySelectorAll("[data-row]");
    const fresh = rows[rows.length - 1].cloneNode(true);
    for (const field of fresh.children) field.value = "";
    more.before(fresh);
    fresh.children[0].focus();
  });
  form.addEventListener("input", draw);
  form.addEventListener("change", draw);
  new ResizeObserver(draw).observe(place);
  figure.hidden = more.hidden = false;
  draw();
});
