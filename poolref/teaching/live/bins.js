// A picture of any size under adaptive pooling: its bins, in how many of them each cell lies, and the pooled map.
import { pooled, spansOf } from "./kit/pooling.js";
import { at, number, same, scaleOf } from "./kit/numbers.js";
import { h, s } from "./kit/page.js";
import { canvasMap, inSquare } from "./kit/canvas.js";
import { resized, unpacked } from "./kit/picture.js";

const asItStands = (v) => v;

const binsOf = ({ down, across }) => ({ kind: "adaptive", output_size: [down, across] });

// In how many of some spans each of n cells lies.
const countsIn = (spans, n) => Array.from({ length: n }, (_, cell) => spans.filter((span) => span.includes(cell)).length);

function settledBins(state) {
  const last = [state.down - 1, state.across - 1];
  return { ...state, selected: state.selected.map((v, axis) => Math.min(v, last[axis])) };
}

function buildBins(fig) {
  const { data, stage, side } = fig;
  const sources = Object.fromEntries(Object.entries(data.pictures).map(([name, picture]) => [name, unpacked(picture)]));
  let spans; // the cells of every bin, along each axis
  const choose = (selected) => !same(selected, fig.state.selected) && fig.set({ selected }, { record: false });
  // The cell's bin; of several, the chosen one or the first.
  const holding = (cell) =>
    cell.map((v, axis) => {
      const chosen = fig.state.selected[axis];
      return spans[axis][chosen].includes(v) ? chosen : spans[axis].findIndex((span) => span.includes(v));
    });
  const input = canvasMap("input", { onpick: (cell) => cell && choose(holding(cell)) });
  const counts = canvasMap("counts", { onpick: (cell) => cell && choose(holding(cell)) });
  const output = canvasMap("output", { onpick: (cell) => cell && choose(cell) });
  for (const { el } of [counts, output]) el.classList.add("pr-outcome");
  const tiles = h("div", { class: "pr-ways", style: "--tiles: 3" }, input.el, counts.el, output.el);
  const axes = ["down", "across"].map((name) => ({ name, svg: s("svg", { class: "pr-chart", "aria-hidden": "true", "data-axis": name }) }));
  stage.append(tiles, h("div", { class: "pr-split pr-outcome", style: "margin-top: 0.75rem" }, ...axes.map(({ svg }) => h("section", { class: "pr-panel" }, svg))));

  const [[least, most], [fewest, manyBins]] = [data.sizes, data.bins];
  side.append(
    fig.select("picture", "Picture", Object.keys(sources).map((name) => [name, name])).el,
    fig.slider("height", "height of the picture", { min: least, max: most }).el,
    fig.slider("width", "width of the picture", { min: least, max: most }).el,
    fig.slider("down", "bins down", { min: fewest, max: manyBins }).el,
    fig.slider("across", "bins across", { min: fewest, max: manyBins }).el,
    fig.select("operator", "Each bin gives its", [["average", "mean"], ["max", "maximum"]]).el,
  );
  fig.note("Point at a cell, or move with the arrow keys, to light up a bin. Each bar holds the cells of a bin along one axis, from its first to its last.");

  // One bar for each bin over the ruler of the cells, every other one lower, so that an overlap is seen.
  function drawAxis({ name, svg }, axis) {
    const n = axis ? fig.state.width : fig.state.height;
    const wide = Math.max(150, svg.parentElement.clientWidth || 240);
    const unit = (wide - 44) / n;
    const high = 15;
    const parts = [s("text", { x: 0, y: 11 }, `bins ${name}, over ${n} cells`)];
    spans[axis].forEach((span, i) => {
      const y = 18 + i * high;
      const [start, end] = [span[0], span.at(-1) + 1];
      const lit = fig.state.selected[axis] === i;
      parts.push(s("rect", { class: "pr-seen", x: start * unit, y: y + 2, width: (end - start) * unit, height: high - 4 }));
      parts.push(s("rect", { class: lit ? "pr-span pr-span-lit" : "pr-span", x: start * unit, y: y + 2, width: (end - start) * unit, height: high - 4 }));
      const roomLeft = end * unit + 44 > wide;
      parts.push(s("text", { x: roomLeft ? start * unit - 4 : end * unit + 4, y: y + 11, "text-anchor": roomLeft && start > 0 ? "end" : "start" }, end - start > 1 ? `${start}\u2013${end - 1}` : `${start}`));
    });
    const bottom = 18 + spans[axis].length * high + 4;
    const ticks = Array.from({ length: n + 1 }, (_, cell) => `M${cell * unit} ${bottom}v4`).join("");
    parts.push(s("path", { class: "pr-axis", d: `M0 ${bottom}H${n * unit}${ticks}` }));
    svg.setAttribute("viewBox", `0 0 ${wide} ${bottom + 8}`);
    svg.replaceChildren(...parts);
  }

  let kept = {};
  function madeOf(state) {
    if (kept.state !== state) {
      const map = resized(state, sources[state.picture], 1 / 2);
      const regions = binsOf(state);
      const found = spansOf([state.height, state.width], regions);
      const [rows, columns] = found.map((all, axis) => countsIn(all, axis ? state.width : state.height));
      const times = rows.map((r) => columns.map((c) => r * c));
      const out = pooled(map, regions, { name: state.operator });
      const panels = [inSquare(map, most), inSquare(times, most), inSquare(out, Math.max(state.down, state.across))];
      kept = { state, spans: found, times, share: scaleOf(times, [4]), out, panels };
    }
    return kept;
  }

  return function draw() {
    const { state } = fig;
    const made = madeOf(state);
    spans = made.spans;
    const [i, j] = state.selected;
    const [rows, columns] = [spans[0][i], spans[1][j]];
    const chosen = [{ cells: [rows[0], columns[0], rows.length, columns.length] }];
    input.draw({
      heading: `the picture\n${state.height}\u00a0\u00d7\u00a0${state.width}`,
      label: `The picture, ${state.height} by ${state.width} cells. Point at a cell, or move with the arrow keys.`,
      map: made.panels[0],
      cells: [state.height, state.width],
      share: asItStands,
      regions: fig.veiled ? [] : chosen,
    });
    counts.draw({
      heading: "in how many\nbins a cell lies",
      label: "In how many bins each cell of the picture lies. Point at a cell, or move with the arrow keys.",
      map: made.panels[1],
      cells: [state.height, state.width],
      palette: "value",
      share: made.share,
      regions: chosen,
    });
    output.draw({
      heading: `the pooled map\n${state.down}\u00a0\u00d7\u00a0${state.across}`,
      label: `The pooled map, ${state.down} by ${state.across} cells. Point at a cell, or move with the arrow keys.`,
      map: made.panels[2],
      cells: [state.down, state.across],
      share: asItStands,
      regions: [{ cells: [i, j, 1, 1] }],
    });
    axes.forEach(drawAxis);
    const tally = new Map();
    for (const v of made.times.flat()) tally.set(v, (tally.get(v) ?? 0) + 1);
    const shared = [...tally].filter(([v]) => v > 1).sort(([a], [b]) => a - b);
    const words = shared.length ? `${shared.map(([v, cells]) => `${cells} in ${v} bins`).join(", ")}` : "each in one bin";
    const span = (cells, name) => `${name} ${cells[0]} to ${cells.at(-1)}`;
    fig.say(
      `Bin ${at([i, j])}: ${span(rows, "rows")}, ${span(columns, "columns")}, ${rows.length} \u00d7 ${columns.length} cells, ` +
        `${state.operator === "max" ? "maximum" : "mean"} ${number(made.out[i][j])}. Of the ${state.height * state.width} cells: ${words}.`,
    );
  };
}

export const bins = { title: "Bins on a picture of any size", settle: settledBins, build: buildBins };
