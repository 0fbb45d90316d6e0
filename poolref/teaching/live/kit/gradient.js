// How figures show a gradient: its cells, and the packets that flow back.
import { inCell, number } from "./numbers.js";
import { fly } from "./page.js";

// How a cell with the gradient `g` looks in a grid, on the scale `steep`; `place` says in words where it is.
export const gradientLook = (g, steep, place, classes = "") => ({
  text: inCell(g),
  value: g,
  heat: steep(g),
  classes: `pr-of-gradient ${classes}`,
  label: `${place} ${number(g)}`,
});

// Let what an output passes back fly to the cells of its region: `output` is one of kit/pooling.js's, `g` what arrives.
export function flyBack(root, from, cellAt, { cells, slopes }, g, ms) {
  cells.forEach((cell, n) => {
    const part = g * slopes[n];
    if (part) fly(root, from, cellAt(cell), inCell(part), { kind: part > 0 ? "pr-packet-gain" : "pr-packet-loss", ms });
  });
}
