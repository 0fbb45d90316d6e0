// A panel that shows a map as a picture, one pixel a cell.
import { control, h, s, unique } from "./page.js";

// A colour of the style sheet as [red, green, blue].
function ink(el, name) {
  const probe = h("span", { style: `color: var(--pr-${name}); display: none` });
  el.append(probe);
  const rgb = getComputedStyle(probe).color.match(/[\d.]+/g).slice(0, 3).map(Number);
  probe.remove();
  return rgb;
}

const mix = (from, to, share) => from.map((v, i) => v + share * (to[i] - v));

// How a number becomes a colour.  "grey" is for pictures, 0 black and 1 white; "value" and "gradient" take shares of a
// scale, \u22121 to 1.
const PALETTES = {
  grey: () => (v) => [255 * v, 255 * v, 255 * v],
  value(el) {
    const [cell, value, below] = ["cell", "value", "below"].map((name) => ink(el, name));
    return (v) => mix(cell, v < 0 ? below : value, Math.abs(v));
  },
  gradient(el) {
    const [cell, gain, loss] = ["cell", "gain", "loss"].map((name) => ink(el, name));
    return (v) => mix(cell, v < 0 ? loss : gain, Math.abs(v));
  },
};

// A map in the upper left of a square, so that panels keep their places while sizes change.
export const inSquare = (map, side) =>
  Array.from({ length: side }, (_, r) => Array.from({ length: side }, (_, c) => map[r]?.[c] ?? NaN));

// Many maps as one, with gaps (NaN: nothing is drawn) between them.
export function mosaic(maps, columns, gap) {
  const side = maps[0].length;
  const pitch = side + gap;
  const rows = Math.ceil(maps.length / columns);
  return Array.from({ length: rows * pitch - gap }, (_, r) =>
    Array.from({ length: columns * pitch - gap }, (_, c) => {
      const map = maps[Math.floor(r / pitch) * columns + Math.floor(c / pitch)];
      return map?.[r % pitch]?.[c % pitch] ?? NaN;
    }),
  );
}

// `onmove(down, right)` hears by how many cells a reader drags the picture (or moves it with the arrow keys),
// `onpick([row, column], {quietly})` which cell a reader points at, null when the pointer leaves; quietly if by pointer:
// what is said of it need not be announced.
export function canvasMap(kind, { onmove, onpick } = {}) {
  const title = h("p", { class: "pr-title", id: unique(kind) });
  const canvas = h("canvas");
  const marks = s("svg", { class: "pr-marks", preserveAspectRatio: "none", "aria-hidden": "true" });
  const touched = Boolean(onmove || onpick);
  const role = touched ? { tabindex: 0, role: "application" } : { role: "img" };
  const frame = (touched ? control : h)("div", { class: `pr-canvas ${onmove ? "pr-movable" : ""}`, "data-canvas": kind, ...role }, canvas, marks);
  const el = h("section", { class: `pr-panel pr-${kind}` }, title, frame);
  let shape = [1, 1];
  let extent = shape; // rows and columns that can be pointed at
  let cursor = null;
  let painted = []; // what the pixels were made of

  const cellAt = (event) => {
    const box = canvas.getBoundingClientRect();
    const inside = (v, axis) => Math.max(0, Math.min(extent[axis] - 1, Math.floor(v * shape[axis])));
    return [inside((event.clientY - box.top) / box.height, 0), inside((event.clientX - box.left) / box.width, 1)];
  };
  const middle = () => extent.map((n) => n >> 1);
  const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  frame.addEventListener("keydown", (event) => {
    const step = STEPS[event.key];
    if (!touched || !step) return;
    event.preventDefault();
    event.stopPropagation();
    if (onmove) return onmove(...step);
    cursor = (cursor ?? middle()).map((v, i) => Math.max(0, Math.min(extent[i] - 1, v + step[i])));
    onpick(cursor, { quietly: false });
  });
  if (onmove) {
    let grip = null; // where the drag began, and how many cells of it have been told
    frame.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      frame.setPointerCapture(event.pointerId);
      grip = { x: event.clientX, y: event.clientY, told: [0, 0] };
      frame.classList.add("pr-held");
    });
    frame.addEventListener("pointermove", (event) => {
      if (!grip) return;
      const side = canvas.getBoundingClientRect().width / shape[1];
      const gone = [event.clientY - grip.y, event.clientX - grip.x].map((way) => Math.round(way / side));
      const [down, right] = gone.map((v, i) => v - grip.told[i]);
      grip.told = gone;
      if (down || right) onmove(down, right);
    });
    for (const end of ["pointerup", "pointercancel"]) {
      frame.addEventListener(end, () => {
        grip = null;
        frame.classList.remove("pr-held");
      });
    }
  } else if (onpick) {
    for (const name of ["pointermove", "pointerdown"]) frame.addEventListener(name, (event) => onpick((cursor = cellAt(event)), { quietly: true }));
    frame.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && onpick((cursor = null), { quietly: true }));
    frame.addEventListener("focus", () => onpick((cursor = (cursor ?? middle()).map((v, i) => Math.min(v, extent[i] - 1))), { quietly: false }));
  }

  function paint(map, colour, over) {
    const context = canvas.getContext("2d");
    const image = context.createImageData(canvas.width, canvas.height);
    const dark = over && ink(frame, "ink");
    let i = 0;
    map.forEach((row, r) =>
      row.forEach((v, c) => {
        const below = colour(v);
        if (!Number.isNaN(v)) image.data.set([...(over ? mix(below, dark, over[r][c]) : below), 255], i); // nothing is drawn of NaN
        i += 4;
      }),
    );
    context.putImageData(image, 0, 0);
  }

  return {
    el,
    frame,
    // `share(v)` brings a number of `map` to the palette's range; `regions` are {cells: [top, left, high, wide], kind}.
    // `over` is a second map, 0 to 1, laid over the first in ink.  `lines` is the distance of a grid of lines over the picture, 0 for none; `square` gives any map a square.
    // `cells` are the rows and columns that can be pointed at, where the rest of `map` is an empty frame.
    // The same `map` and `share` as before are not painted again.
    draw({ heading, label, map, over, palette = "grey", share = (v) => v, regions = [], lines = 0, square = false, cells }) {
      if (heading !== undefined) title.textContent = heading;
      title.hidden = heading === undefined;
      frame.setAttribute("aria-label", label);
      shape = [map.length, map[0].length];
      extent = cells ?? shape;
      frame.values = map; // the numbers behind the picture, for whoever asks the page
      const [rows, columns] = shape;
      if (canvas.width !== columns || canvas.height !== rows) Object.assign(canvas, { width: columns, height: rows });
      frame.style.setProperty("--ratio", square ? "1" : `${columns} / ${rows}`);
      if (!frame.isConnected) return; // it has no colours yet; a figure is drawn again when it has a size
      const colour = PALETTES[palette](frame);
      const made = [map, share, over, [-1, 0, 1].map(colour).join()];
      if (made.some((part, i) => part !== painted[i])) paint(map, (v) => colour(share(v)), over);
      painted = made;
      marks.setAttribute("viewBox", `0 0 ${columns} ${rows}`);
      const across = (n, line) => Array.from({ length: lines ? Math.ceil(n / lines) : 0 }, (_, i) => line(i * lines)).join("");
      const d = across(rows, (y) => `M0 ${y}H${columns}`) + across(columns, (x) => `M${x} 0V${rows}`);
      marks.replaceChildren(
        s("path", { d, class: "pr-mark pr-mark-line" }),
        ...regions.map(({ cells: [y, x, height, width], kind = "region" }) =>
          s("rect", { x, y, width, height, class: `pr-mark pr-mark-${kind}` }),
        ),
      );
    },
  };
}
