// A picture with the ink in its rows and columns, and the map that strips or a square window make of it.
import { pooled } from "./kit/pooling.js";
import { at, number } from "./kit/numbers.js";
import { h, s } from "./kit/page.js";
import { canvasMap } from "./kit/canvas.js";
import { pictureMenu, unpacked } from "./kit/picture.js";

const NAMES = { average: "mean", max: "maximum" };
const HEADINGS = { rows: "Rows", columns: "Columns", "rows and columns": "Rows + columns" };

const usesRows = ({ regions }) => regions === "rows" || regions === "rows and columns";
const usesColumns = ({ regions }) => regions === "columns" || regions === "rows and columns";

function problemOfStrips({ kernel_size }) {
  return kernel_size % 2 ? "" : `A window of ${kernel_size} cells has no cell in its middle: take an odd number.`;
}

// The reduced rows, the reduced columns, and the map that the regions make, as large as the ink.
function reduced(ink, state) {
  const by = (regions) => pooled(ink, regions, { name: state.operator, count_include_pad: false });
  const rows = by({ kind: "rows" }).map(([v]) => v);
  const [columns] = by({ kind: "columns" });
  const map =
    state.regions === "square window"
      ? by({ kind: "window", kernel_size: state.kernel_size, stride: 1, padding: state.kernel_size >> 1 })
      : rows.map((row) => columns.map((column) => (usesRows(state) ? row : 0) + (usesColumns(state) ? column : 0)));
  return { rows, columns, map };
}

// A profile: a line along the rows (upright) or the columns of a picture, one point a cell, with the chosen one marked.
function profile(upright) {
  const box = upright ? "0 0 1 100" : "0 0 100 1";
  const style = `height: 100%; ${upright ? "" : "max-width: none"}`;
  const el = s("svg", { class: "pr-chart pr-outcome", viewBox: box, preserveAspectRatio: "none", "aria-hidden": "true", style });
  return {
    el,
    draw(values, chosen, used) {
      const n = values.length;
      const point = (share, along) => (upright ? `${share} ${along}` : `${along} ${1 - share}`);
      const most = Math.max(...values, 1e-9);
      const place = (i) => ((i + 0.5) / n) * 100;
      const line = values.map((v, i) => `${i ? "L" : "M"}${point((0.94 * v) / most + 0.02, place(i))}`).join("");
      const path = (d, kind) => s("path", { d, class: kind, "vector-effect": "non-scaling-stroke" });
      const marks = used ? [path(`M${point(0, place(chosen))}L${point(1, place(chosen))}`, "pr-now")] : [];
      el.replaceChildren(path(line, "pr-line"), ...marks);
    },
  };
}

function buildStrips(fig) {
  const { data, stage, side } = fig;
  const known = {};
  const pictureOf = ({ picture }) =>
    typeof picture === "string" ? (known[picture] ??= unpacked(data.pictures[picture])) : picture;

  let quietly = true;
  const choose = (cell, how) => {
    if (!cell) return;
    quietly = how.quietly;
    fig.set({ selected: cell }, { record: false });
  };
  const scene = canvasMap("scene", { onpick: choose });
  scene.frame.style.boxShadow = "0 0 0 1px var(--pr-line)"; // where the paper of the picture ends
  const output = canvasMap("output", { onpick: choose });
  output.el.classList.add("pr-outcome");
  const ofRows = profile(true);
  const ofColumns = profile(false);
  const beside = h("div", { style: "display: grid; grid-template-columns: minmax(0, 1fr) 3rem; gap: 4px" });
  const under = h("div", { style: "height: 3rem" }, ofColumns.el);
  const right = h("div", { style: "position: relative" }, h("div", { style: "position: absolute; inset: 0" }, ofRows.el));
  beside.append(scene.frame, right, under);
  scene.el.append(beside);
  // The picture is as large as the map, so that their rows are level: 3rem and 4px are the curve beside it.
  const level = "grid-template-columns: calc(50% + 1.125rem + 2px) minmax(0, 1fr)";
  stage.append(h("div", { class: "pr-split", style: level }, scene.el, output.el));

  const menu = pictureMenu("Picture", Object.keys(data.pictures), data.size, (picture) => fig.set({ picture }), fig.refuse);
  fig.bind("picture", menu);
  side.append(
    menu.el,
    fig.select("regions", "Regions", data.regions.map((name) => [name, name])).el,
    fig.select("operator", "Reducer", Object.entries(NAMES)).el,
    fig.slider("kernel_size", "window", { min: 3, max: 15, step: 2, when: ({ regions }) => regions === "square window" }).el,
  );
  fig.note("Ink is 0 on white paper and 1 in black. The curves beside and below the picture are its reduced rows and columns. The map's colours run from its smallest value to its largest.");

  // Pointing draws again and again: what a state makes is kept.
  let kept = { key: [] };
  function madeOf(state) {
    const key = [state.picture, state.regions, state.operator, state.kernel_size];
    if (key.some((part, i) => part !== kept.key[i])) {
      const ink = pictureOf(state).map((row) => row.map((v) => 1 - v));
      const all = reduced(ink, state);
      const flat = all.map.flat();
      const [low, high] = [Math.min(...flat), Math.max(...flat)];
      kept = { key, ...all, low, high, share: (v) => (high - low > 1e-9 ? (v - low) / (high - low) : 0.5) };
    }
    return kept;
  }

  function outlines({ regions, kernel_size, selected: [r, c] }) {
    const n = data.size;
    if (regions === "square window") {
      const half = kernel_size >> 1;
      const [top, left] = [Math.max(0, r - half), Math.max(0, c - half)];
      return [{ cells: [top, left, Math.min(n, r + half + 1) - top, Math.min(n, c + half + 1) - left] }];
    }
    const found = [];
    if (regions !== "columns") found.push({ cells: [r, 0, 1, n] });
    if (regions !== "rows") found.push({ cells: [0, c, n, 1] });
    return found;
  }

  return function draw() {
    const { state } = fig;
    const { rows, columns, map, low, high, share } = madeOf(state);
    const [r, c] = state.selected;
    const marks = outlines(state);
    const cells = state.regions === "square window" ? marks[0].cells[2] * marks[0].cells[3] : data.size * marks.length - marks.length + 1;
    scene.draw({
      heading: `${data.size}\u00a0\u00d7\u00a0${data.size} cells`,
      label: "The picture. Point at a cell, or move with the arrow keys, to see its regions.",
      map: pictureOf(state),
      regions: marks,
    });
    ofRows.draw(rows, r, usesRows(state));
    ofColumns.draw(columns, c, usesColumns(state));
    const title = HEADINGS[state.regions] ?? `Window of ${state.kernel_size}\u00a0\u00d7\u00a0${state.kernel_size}`;
    output.draw({
      heading: `${title}, ${NAMES[state.operator]}`,
      label: `${title}: the map, from ${number(low)} to ${number(high)}. Point at a cell, or move with the arrow keys.`,
      map,
      palette: "value",
      share,
      regions: [{ cells: [r, c, 1, 1] }],
    });
    const both = `row ${number(rows[r])} + column ${number(columns[c])} = `;
    const sum = state.regions === "rows and columns" ? both : "";
    fig.say(`Cell ${at([r, c])} is ${sum}${number(map[r][c])}, made of ${cells} cells. The map goes from ${number(low)} to ${number(high)}.`, { quietly });
    quietly = true;
  };
}

export const strips = { title: "Rows, columns, windows", problem: problemOfStrips, build: buildStrips };
