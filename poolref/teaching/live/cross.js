// A view of a picture, its edges, and the map in which every cell is a row's maximum plus a column's maximum.
import { pooled } from "./kit/pooling.js";
import { at, number } from "./kit/numbers.js";
import { h } from "./kit/page.js";
import { canvasMap } from "./kit/canvas.js";
import { unpacked } from "./kit/picture.js";

const clamped = (v, most) => Math.max(0, Math.min(most, Math.round(v)));

function problemOfCross({ length }) {
  return length % 2 ? "" : `An edge of ${length} cells has no cell in its middle: take an odd number.`;
}

function settledCross(state, { pictures, size }) {
  const { columns, bytes } = pictures.coins;
  const rows = atob(bytes).length / columns;
  return { ...state, at: [clamped(state.at[0], rows - size), clamped(state.at[1], columns - size)] };
}

// Upright and level edges: the change between two neighbours, averaged along the edge, without its sign.
function edgesOf(view, length) {
  const n = view.length;
  const half = length >> 1;
  const change = (r, c, down) => {
    const [before, after] = down ? [view[r - 1]?.[c], view[r + 1]?.[c]] : [view[r][c - 1], view[r][c + 1]];
    return before === undefined || after === undefined ? 0 : after - before;
  };
  return [false, true].map((down) => {
    const changes = view.map((row, r) => row.map((_, c) => change(r, c, down)));
    const window = down ? [1, length] : [length, 1];
    const padding = down ? [0, half] : [half, 0];
    const mean = pooled(changes, { kind: "window", kernel_size: window, stride: 1, padding }, { name: "average" });
    return mean.map((row) => row.map(Math.abs));
  });
}

const strongerOf = (a, b) => a.map((row, r) => row.map((v, c) => Math.max(v, b[r][c])));
const largestAt = (values) => values.indexOf(Math.max(...values)); // the first of several

function mapOf([a, b], pooling, window) {
  const added = (p, q) => p.map((row, r) => row.map((v, c) => v + q[r][c]));
  if (pooling === "none") return added(a, b);
  if (pooling === "square window") {
    const square = { kind: "window", kernel_size: window, stride: 1, padding: window >> 1 };
    return added(pooled(a, square, { name: "max" }), pooled(b, square, { name: "max" }));
  }
  const name = pooling === "center pooling" ? "max" : "average";
  const [columns] = pooled(b, { kind: "columns" }, { name });
  return pooled(a, { kind: "rows" }, { name }).map(([row]) => columns.map((column) => row + column));
}

function buildCross(fig) {
  const { data, stage, side } = fig;
  const n = data.size;
  const known = {};
  const tableOf = ({ picture }) => (known[picture] ??= unpacked(data.pictures[picture]));
  const movable = ({ picture }) => picture === "coins";

  const scene = canvasMap("scene", {
    onmove(down, right) {
      const { state } = fig;
      if (movable(state)) fig.set({ at: [state.at[0] - down, state.at[1] - right] }, { join: "at" });
    },
  });
  let quietly = true;
  const output = canvasMap("output", {
    onpick(cell, how) {
      if (!cell) return;
      quietly = how.quietly;
      fig.set({ selected: cell }, { record: false });
    },
  });
  output.el.classList.add("pr-outcome");
  stage.append(h("div", { class: "pr-split", style: "grid-template-columns: repeat(2, minmax(0, 1fr))" }, scene.el, output.el));
  const options = (names) => names.map((name) => [name, name]);
  side.append(
    fig.select("pooling", "Pooling", options(data.poolings)).el,
    fig.select("picture", "Picture", options(Object.keys(data.pictures))).el,
    fig.select("evidence", "Evidence", options(data.evidence)).el,
    fig.slider("length", "edge", { min: 1, max: 13, step: 2 }).el,
  );
  fig.note("Drag the picture to look at other coins. Point at the map: the picture shows the cell's row and column, and solid cells where the two maxima stand. The ring marks the map's highest cell.");

  // Pointing draws again and again: what a state makes is kept.
  let kept = { key: [] };
  function madeOf(state) {
    const key = [state.picture, state.evidence, state.length, state.pooling, ...(movable(state) ? state.at : [])];
    if (key.length !== kept.key.length || key.some((part, i) => part !== kept.key[i])) {
      const [top, left] = movable(state) ? state.at : [0, 0];
      const view = tableOf(state).slice(top, top + n).map((row) => row.slice(left, left + n));
      const [upright, level] = edgesOf(view, state.length);
      const both = strongerOf(upright, level);
      const maps = state.evidence === data.evidence[0] ? [upright, level] : [both, both];
      const map = mapOf(maps, state.pooling, data.window);
      const flat = map.flat();
      const [low, high] = [Math.min(...flat), Math.max(...flat)];
      const best = largestAt(flat);
      const share = (v) => (high - low > 1e-9 ? (v - low) / (high - low) : 0.5);
      kept = { key, view, maps, map, high, best: [Math.floor(best / n), best % n], share };
    }
    return kept;
  }

  const cell = ([r, c], kind) => ({ cells: [r, c, 1, 1], kind });
  const around = ([r, c]) => ({ cells: [r - 1, c - 1, 3, 3], kind: "best" });

  return function draw() {
    const { state } = fig;
    const { view, maps: [a, b], map, high, best, share } = madeOf(state);
    const [r, c] = state.selected;
    const far = [largestAt(a[r]), largestAt(b.map((row) => row[c]))];
    const isCenter = state.pooling === "center pooling";
    const lines = isCenter || state.pooling === "row and column means";
    const half = data.window >> 1;
    const from = (v) => Math.max(0, v - half);
    const to = (v) => Math.min(n, v + half + 1);
    const square = { cells: [from(r), from(c), to(r) - from(r), to(c) - from(c)] };
    const marks = lines ? [{ cells: [r, 0, 1, n] }, { cells: [0, c, n, 1] }] : state.pooling === "none" ? [cell([r, c])] : [square];
    const winners = isCenter ? [cell([r, far[0]], "won"), cell([far[1], c], "won")] : [];
    scene.draw({
      heading: state.picture,
      label: movable(state) ? "The picture. Drag it, or move it with the arrow keys." : "The picture.",
      map: view,
      regions: [...marks, ...winners, around(best)],
    });
    output.draw({
      heading: state.pooling === "none" ? "a + b, not pooled" : state.pooling,
      label: `The map, up to ${number(high)}. Point at a cell, or move with the arrow keys.`,
      map,
      palette: "value",
      share,
      regions: [cell([r, c]), around(best)],
    });
    const row = `row maximum ${number(a[r][far[0]])} (column ${far[0]})`;
    const column = `column maximum ${number(b[far[1]][c])} (row ${far[1]})`;
    const sum = isCenter ? `${row} + ${column} = ` : "";
    fig.say(`Cell ${at([r, c])} is ${sum}${number(map[r][c])}. The highest cell of the map is ${at(best)}, with ${number(high)}.`, { quietly });
    quietly = true;
  };
}

export const cross = { title: "Row maximum + column maximum", problem: problemOfCross, settle: settledCross, build: buildCross };
