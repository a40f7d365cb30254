"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const namespace = document.querySelector("svg").namespaceURI;
const WIDTH = 1000, HEIGHT = 100; // of the chart's own units

function html(tag, className, ...children) {
  const element = document.createElement(tag);
  element.className = className;
  element.append(...children);
  return element;
}

function svg(tag, attributes, ...children) {
  const element = document.createElementNS(namespace, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function chip(text, style) {
  const line = svg("svg", { viewBox: "0 0 34 8", "aria-hidden": "true" }, svg("path", { d: "M1 4H33" }));
  return html("span", `chip ${style}`, line, text);
}

const percent = (value) => (value === null ? "–" : (value / 100).toFixed(2));

// Sorting

function compare(a, b) {
  const x = Number(a), y = Number(b);
  return Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b, undefined, { numeric: true }) : x - y;
}

function sort(heading) {
  const table = heading.closest("table"), body = table.tBodies[0], column = heading.cellIndex;
  const before = heading.getAttribute("aria-sort");
  const first = heading.classList.contains("number") ? "descending" : "ascending";
  const order = before === "none" ? first : before === "ascending" ? "descending" : "ascending";
  for (const other of heading.parentElement.cells) other.setAttribute("aria-sort", "none");
  heading.setAttribute("aria-sort", order);
  const sign = order === "ascending" ? 1 : -1;
  const rows = [...body.rows].filter((row) => !row.classList.contains("detail"));
  const value = (row) => row.cells[column].dataset.value;
  const missing = (row) => Number(value(row) === "nan"); // last in either order
  rows.sort((a, b) => missing(a) - missing(b) || sign * compare(value(a), value(b)));
  for (const row of rows) body.append(row, ...(row.detail ? [row.detail] : []));
}

// One sequence

function linePath(values) {
  let path = "", drawing = false;
  const across = WIDTH / Math.max(values.length - 1, 1);
  values.forEach((value, i) => {
    if (value !== null) path += `${drawing ? "L" : "M"}${(i * across).toFixed(1)} ${HEIGHT - value}`;
    drawing = value !== null;
  });
  return path;
}

function chart(sequence, reading) {
  const { frames, step, lines, strip } = sequence;
  const xOf = (frame) => (WIDTH * frame) / Math.max(frames - 1, 1);
  const picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none" });
  for (const y of [0, 25, 50, 75]) picture.append(svg("path", { class: "grid", d: `M0 ${y}H${WIDTH}` }));
  for (const { frame } of strip) picture.append(svg("path", { class: "moment", d: `M${xOf(frame)} 0V${HEIGHT}` }));
  lines.forEach((values, i) => {
    const line = svg("path", { class: "line", d: linePath(values) });
    picture.append(svg("g", { class: data.trackers[i].style }, line));
  });
  const cursor = svg("path", { class: "cursor", d: "" });
  picture.append(cursor);
  const read = (point) => {
    const frame = Math.min(point * step, frames - 1);
    const span = step > 1 ? `frames ${frame} to ${Math.min(frame + step, frames) - 1}` : `frame ${frame}`;
    const parts = lines.map((values, i) => chip(`${data.trackers[i].name} ${percent(values[point])}`, data.trackers[i].style));
    reading.replaceChildren(html("b", "", span), ...parts);
  };
  picture.addEventListener("pointermove", (event) => {
    const box = picture.getBoundingClientRect(), last = lines[0].length - 1;
    const point = Math.round(Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1) * last);
    cursor.setAttribute("d", `M${last ? (WIDTH * point) / last : 0} 0V${HEIGHT}`);
    read(point);
  });
  const clear = () => {
    cursor.setAttribute("d", "");
    const names = data.trackers.map(({ name, style }) => chip(name, style));
    reading.replaceChildren(html("b", "", "overlap"), ...names);
  };
  picture.addEventListener("pointerleave", clear);
  clear();
  const ticks = [1, 0.5, 0].map((value) => {
    const tick = html("span", "", value.toString());
    tick.style.top = `${100 - 100 * value}%`;
    return tick;
  });
  return html("div", "chart", picture, ...ticks);
}

function moment({ frame, picture, view, truth, regions, overlaps }) {
  const image = html("img", "");
  image.src = picture;
  image.alt = `frame ${frame}`;
  const layer = svg("svg", { viewBox: view.join(" ") });
  const draw = (polygons, className, style, name) => {
    const shape = (kind) => polygons.map((points) => svg("polygon", { points: points.join(" "), class: kind }));
    if (polygons.length) layer.append(svg("g", { class: style }, svg("title", {}, name), ...shape("halo"), ...shape(className)));
  };
  regions.forEach((polygons, i) => draw(polygons, "region", data.trackers[i].style.split(" ")[0], data.trackers[i].name));
  draw(truth, "truth", "", "truth");
  const caption = html("figcaption", "", html("b", "", `frame ${frame}`));
  overlaps.forEach((value, i) => {
    const { style } = data.trackers[i];
    caption.append(chip(value === null ? "–" : value.toFixed(2), style));
  });
  return html("figure", "", html("div", "picture", image, layer), caption);
}

function panel(sequence) {
  const reading = html("div", "reading"), shown = html("div", "panel", reading, chart(sequence, reading));
  const axis = html("div", "axis", html("span", "", "frame 0"), html("span", "", String(sequence.frames - 1)));
  shown.append(axis);
  if (sequence.strip.length) {
    const text = html("p", "note", "Where the mean overlap falls most, and where it is lowest (dotted above). ", chip("truth", "true"));
    shown.append(text, html("div", "strip", ...sequence.strip.map(moment)));
  } else {
    shown.append(html("p", "note", "No pictures: the frames were not at hand, or the report was asked for fewer strips."));
  }
  return shown;
}

function toggle(row) {
  const open = !row.detail;
  row.classList.toggle("open", open);
  row.querySelector(".opener").setAttribute("aria-expanded", String(open));
  if (open) {
    const cell = html("td", "");
    cell.colSpan = row.cells.length;
    cell.append(panel(data.sequences[row.dataset.sequence]));
    row.detail = html("tr", "detail", cell);
    row.after(row.detail);
    fit();
  } else {
    row.detail.remove();
    row.detail = null;
  }
}

// A wide table scrolls, and says so; what is shown of a sequence is as wide as what can be seen of it.
function fit() {
  for (const around of document.querySelectorAll(".scroll")) {
    around.classList.toggle("wide", around.scrollWidth > around.clientWidth + 1);
  }
  for (const shown of document.querySelectorAll(".panel")) {
    shown.style.width = `${Math.min(shown.closest(".scroll").clientWidth, shown.closest("table").clientWidth) - 24}px`;
  }
}

for (const button of document.querySelectorAll(".sortable thead button")) {
  button.addEventListener("click", () => sort(button.closest("th")));
}
for (const row of document.querySelectorAll("tr[data-sequence]")) {
  row.addEventListener("click", () => toggle(row));
}
document.getElementById("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.style.colorScheme ? root.style.colorScheme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.style.colorScheme = dark ? "light" : "dark";
});
for (const details of document.querySelectorAll("details")) details.addEventListener("toggle", fit);
addEventListener("resize", fit);
fit();
