// Gradients arrive at the outputs and flow back to the cells; a nudge of one cell shows what its gradient means.
import { backward, lossOf, nudged, pool, problem, windowOutputs } from "./kit/pooling.js";
import { at, count, inCell, number, same, scaleOf } from "./kit/numbers.js";
import { h, s, select } from "./kit/page.js";
import { fitCells, grid } from "./kit/grid.js";
import { flyBack, gradientLook } from "./kit/gradient.js";

const STEPS = [0.001, 0.01, 0.1, 0.5, 1, 2, 4];

const windowsOf = ({ kernel_size, stride }) => ({ kind: "window", kernel_size, stride });
const reducerIn = ({ operator }) => ({ name: operator });
const upFrom0 = (n) => Array.from({ length: n }, (_, i) => i);
const sizeOf = (state) => [state.values.length, state.values[0].length].map((n, axis) => windowOutputs(n, windowsOf(state), axis));
const changed = (rows, [r, c], value) => rows.map((row, i) => (i === r ? row.map((v, j) => (j === c ? value : v)) : row));
const within = (index, shape) => index.every((v, axis) => v < shape[axis]);

function settledFlow(state) {
  const { values, selected, nudge, arriving } = state;
  const shape = sizeOf(state);
  const fits = Array.isArray(arriving) && arriving.length === shape[0] && arriving[0].length === shape[1];
  return {
    ...state,
    selected: selected.map((v, axis) => Math.min(v, shape[axis] - 1)),
    nudge: within(nudge, [values.length, values[0].length]) ? nudge : [0, 0],
    arriving: fits ? arriving : "ones",
  };
}

function buildFlow(fig) {
  const { data, stage, side, refuse } = fig;
  let outputs;

  const arrivingAt = (state) => {
    if (Array.isArray(state.arriving)) return state.arriving;
    const [rows, columns] = sizeOf(state);
    return upFrom0(rows).map(() => upFrom0(columns).map(() => 1));
  };
  const change = (patch) => {
    line.stop();
    fig.set(patch);
  };
  const chooseCell = (nudge) => fig.set({ nudge }, { record: false });
  const chooseOutput = (selected) => {
    line.stop();
    fig.set({ selected }, { record: false });
  };
  const map = grid("map", { onselect: chooseCell, onedit: (index, value) => change({ values: changed(fig.state.values, index, value) }), refuse });
  const gradient = grid("gradient", { onselect: chooseCell });
  const arriving = grid("arriving", {
    onselect: chooseOutput,
    onedit: (index, value) => change({ arriving: changed(arrivingAt(fig.state), index, value) }),
    refuse,
  });
  const arrows = s("svg", { class: "pr-arrows", "aria-hidden": "true" });
  const rows = ["raised", "lowered"].map((name) => ({ name, cell: h("td"), loss: h("td") }));
  const [quotient, derived] = [h("td"), h("td")];
  const wide = (name, cell) => h("tr", {}, h("th", { scope: "row", colspan: 2 }, name), cell);
  const table = h(
    "table",
    { class: "pr-table pr-nudge pr-outcome" },
    h("thead", {}, h("tr", {}, h("td"), h("th", { scope: "col" }, "cell"), h("th", { scope: "col" }, "loss"))),
    h(
      "tbody",
      {},
      ...rows.map(({ name, cell, loss }) => h("tr", {}, h("th", { scope: "row" }, name), cell, loss)),
      wide("their difference / twice the step", quotient),
      wide("derived gradient", derived),
    ),
  );
  gradient.el.classList.add("pr-outcome");
  stage.append(h("div", { class: "pr-panels" }, map.el, gradient.el, arriving.el), table, arrows);

  const line = fig.timeline({
    moments: () => outputs.flat().length,
    now: () => fig.state.selected[0] * outputs[0].length + fig.state.selected[1],
    go(index, { steps }) {
      const selected = [Math.floor(index / outputs[0].length), index % outputs[0].length];
      fig.set({ selected }, { record: false });
      const ms = line.flight();
      if (!steps || !ms || fig.veiled) return;
      const [i, j] = selected;
      flyBack(fig.el, arriving.cell(selected), gradient.cell, outputs[i][j], arrivingAt(fig.state)[i][j], ms);
    },
    words: (index) => `output ${at([Math.floor(index / outputs[0].length), index % outputs[0].length])}`,
  });
  fig.foot.append(line.el);

  const menu = select("Map", [...Object.keys(data.maps).map((name) => [name, name]), ["own", "my own"]], (name) =>
    name === "own" ? map.focus([0, 0]) : change({ values: data.maps[name] }),
  );
  const named = (values) => Object.keys(data.maps).find((name) => same(data.maps[name], values)) ?? "own";
  fig.bind("values", { el: menu.el, show: (values) => menu.show(named(values)) });
  side.append(
    menu.el,
    fig.select("operator", "Reducer", data.operators).el,
    fig.slider("kernel_size", "kernel", { min: 1, max: 4 }).el,
    fig.slider("stride", "stride", { min: 1, max: 4 }).el,
    fig.slider("step", "step of the nudge", { values: STEPS }).el,
  );
  fig.note("Touch a cell to nudge it, an arriving gradient to follow it; touch again, or press Enter, to change the number. The loss is every output times the gradient that arrives at it, added up.");

  // An arrow for every part that is passed back, the wider the larger; those of the chosen output stand out.
  function drawArrows(given, selected) {
    const corner = stage.getBoundingClientRect();
    const edgeOf = (cell, side, inset) => {
      const box = cell.getBoundingClientRect();
      return [box[side] + inset - corner.left, box.top + box.height / 2 - corner.top];
    };
    const flows = outputs.flatMap((row, i) =>
      row.flatMap(({ cells, slopes }, j) =>
        cells.map((cell, n) => ({ from: [i, j], cell, part: given[i][j] * slopes[n] })).filter(({ part }) => part),
      ),
    );
    const most = Math.max(...flows.map(({ part }) => Math.abs(part)));
    arrows.replaceChildren(
      ...flows.map(({ from, cell, part }) => {
        const [ax, ay] = edgeOf(arriving.cell(from), "left", 2);
        const [bx, by] = edgeOf(gradient.cell(cell), "right", -4);
        const width = 0.6 + (1.9 * Math.abs(part)) / most;
        return s(
          "g",
          { class: `${part < 0 ? "pr-to-loss" : ""} ${same(from, selected) ? "pr-of-chosen" : ""}` },
          s("path", { d: `M${ax} ${ay}Q${(ax + bx) / 2} ${Math.min(ay, by) - 6} ${bx} ${by}`, "stroke-width": width }),
          s("circle", { cx: bx, cy: by, r: 1.5 + width / 2 }),
        );
      }),
    );
  }

  return function draw() {
    const { state } = fig;
    const { values, selected, nudge, step } = state;
    const [high, across] = [values.length, values[0].length];
    const [i, j] = selected;
    outputs = pool(values, windowsOf(state), reducerIn(state));
    const given = arrivingAt(state);
    const slopes = backward(outputs, given, [high, across]);
    const reached = slopes.flat().filter((g) => g).length;
    const chosen = outputs[i][j];
    const [top, left] = [i * state.stride, j * state.stride];
    const framed = [[top, top + state.kernel_size - 1], [left, left + state.kernel_size - 1]];
    fitCells(stage, [across, across, outputs[0].length], high + 2, 36);

    const shade = scaleOf(values);
    const steep = scaleOf(slopes, given);
    const touched = (r, c) => (same([r, c], nudge) ? "pr-touched" : "");
    const shareAt = new Map(chosen.cells.map((cell, n) => [String(cell), chosen.shares[n]]));
    const lone = state.operator === "max" && !fig.veiled;
    const place = (r, c) => `row ${r}, column ${c}:`;
    map.draw({
      heading: `Map, ${high} \u00d7 ${across}`,
      rows: upFrom0(high),
      columns: upFrom0(across),
      entry: nudge,
      framed,
      look(r, c) {
        const share = shareAt.get(`${r},${c}`);
        return {
          text: inCell(values[r][c]),
          value: values[r][c],
          heat: shade(values[r][c]),
          classes: `${share === undefined ? "" : "pr-lit"} ${lone && share === 1 ? "pr-winner" : ""} ${touched(r, c)}`,
          label: `${place(r, c)} ${number(values[r][c])}${share === undefined ? "" : ", in the window"}`,
        };
      },
    });
    gradient.draw({
      heading: fig.veiled ? "Gradient" : `Gradient: ${reached} of ${high * across} cells`,
      rows: upFrom0(high),
      columns: upFrom0(across),
      entry: nudge,
      framed,
      look: (r, c) => gradientLook(slopes[r][c], steep, `${place(r, c)} gradient`, touched(r, c)),
    });
    arriving.draw({
      heading: "\u2190 arriving",
      rows: upFrom0(outputs.length),
      columns: upFrom0(outputs[0].length),
      entry: selected,
      framed: [[i, i], [j, j]],
      look: (r, c) => gradientLook(given[r][c], steep, `${place(r, c)} arriving gradient`),
    });
    arrows.style.display = fig.veiled ? "none" : "";
    drawArrows(given, selected);

    // The nudge.
    const [r, c] = nudge;
    const moved = nudged(values, windowsOf(state), reducerIn(state), given, nudge, step);
    const slope = slopes[r][c];
    rows.forEach(({ name, cell, loss }, n) => {
      cell.textContent = number(values[r][c] + (n ? -step : step), 6);
      loss.textContent = number(moved[name], 8);
    });
    quotient.textContent = number(moved.quotient, 6);
    derived.textContent = number(slope, 6);
    const gap = Math.abs(moved.quotient - slope) / Math.max(1e-6, Math.abs(moved.quotient), Math.abs(slope));
    const verdict = gap < 1e-4 ? "They agree." : "They differ: the step is too long, or there is a kink within it.";
    const loss = number(lossOf(values, windowsOf(state), reducerIn(state), given), 8);
    fig.say(
      `${reached} of ${count(high * across, "cell")} receive a gradient. The loss is ${loss}. Cell ${at(nudge)}, nudged by ` +
        `${number(step)} up and down, gives the quotient ${number(moved.quotient)}; its derived gradient is ${number(slope)}. ${verdict}`,
      { quietly: line.playing },
    );
  };
}

export const flow = {
  title: "Gradients on their way back",
  problem: (state) => problem([state.values.length, state.values[0].length], windowsOf(state)),
  settle: settledFlow,
  build: buildFlow,
};
