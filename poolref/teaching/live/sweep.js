// Three ways to pool the same map, in step: each may combine as many pairs of values as the others.
import { kernelOf, spent, sweepSteps } from "./kit/sweep.js";
import { canvasMap } from "./kit/canvas.js";
import { fitCells, grid } from "./kit/grid.js";
import { inCell, same, scaleOf } from "./kit/numbers.js";
import { h, select } from "./kit/page.js";
import { unpacked } from "./kit/picture.js";
import { pooled } from "./kit/pooling.js";

const WAYS = ["loop", "separable", "running"];
const BYTES = 4;
const grouped = (n) => String(n).replace(/\B(?=(\d{3})+$)/g, "\u202f");
const indices = (n) => Array.from({ length: n }, (_, i) => i);
const sizeOf = (map) => [map.length, map[0].length];
const total = (steps) => steps.reduce((sum, { cost }) => sum + cost[0], 0);

function buildSweep(fig) {
  const { data, stage, side } = fig;
  const maps = Object.fromEntries(Object.entries(data.maps).map(([name, map]) => [name, Array.isArray(map) ? map : unpacked(map)]));
  const mapOf = ({ values }) => (Array.isArray(values) ? values : maps[values]);
  const windowOf = ({ kernel_size: k, stride }, map) => {
    const kernel_size = kernelOf(sizeOf(map), k);
    return { kind: "window", kernel_size, stride: kernel_size.map((n) => (n === 1 ? 1 : stride)) };
  };

  // All there is to know of a state's methods, kept until the state's windows change.
  let known = { key: null };
  function planOf(state) {
    const { kernel_size, stride, operator, values } = state;
    const key = [kernel_size, stride, operator, values];
    if (same(key, known.key)) return known;
    const map = mapOf(state);
    const [high, wide] = kernelOf(sizeOf(map), kernel_size);
    const ways = WAYS.map((way) => sweepSteps(way, sizeOf(map), kernel_size, stride, operator));
    const each = high * wide - 1;
    const regions = windowOf(state, map);
    const columns = { ...regions, kernel_size: [high, 1], stride: [regions.stride[0], 1] };
    known = {
      key,
      map,
      ways,
      each,
      moments: Math.ceil(Math.max(...ways.map(total)) / each),
      results: { output: pooled(map, regions, { name: operator }), between: pooled(map, columns, { name: operator }) },
    };
    return known;
  }
  const momentOf = (state) => Math.min(state.moment, planOf(state).moments);

  const picture = canvasMap("map");
  const sheets = WAYS.map((way) => canvasMap(way));
  const tiles = h("div", { class: "pr-tiles pr-line" }, picture.el, ...sheets.map(({ el }) => el));
  const lines = ["axis", "loop", "before", "behind", "running"].map((name) => ({ name, panel: grid(name, {}) }));
  const stack = h("div", { class: "pr-panels" }, ...lines.map(({ panel }) => panel.el));
  const rows = WAYS.map((way) => ({ way, head: h("th", { scope: "row" }), cells: ["operations", "reads", "bytes", "outputs"].map((name) => h("td", { "data-count": `${way}-${name}` })) }));
  const operations = h("th", { scope: "col" });
  const table = h(
    "table",
    { class: "pr-table pr-outcome" },
    h("thead", {}, h("tr", {}, h("td"), operations, ...["reads", "bytes", "outputs"].map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, ...rows.map(({ head, cells }) => h("tr", {}, head, ...cells))),
  );
  for (const { el } of [...sheets, ...lines.slice(1).map(({ panel }) => panel)]) el.classList.add("pr-outcome");
  stage.append(tiles, stack, table);

  const line = fig.timeline({
    moments: () => planOf(fig.state).moments + 1,
    now: () => momentOf(fig.state),
    go: (moment) => fig.set({ moment }, { record: false }),
    words: (moment) => `${moment * planOf(fig.state).each} operations each`,
  });
  fig.foot.append(line.el);
  const menu = select("Map", [...Object.keys(maps).map((name) => [name, name]), ["own", "given"]], (name) => {
    line.stop();
    if (name !== "own") fig.set({ values: name });
  });
  fig.bind("values", { el: menu.el, show: (values) => menu.show(Array.isArray(values) ? "own" : values) });
  side.append(
    menu.el,
    fig.select("operator", "Reducer", data.operators).el,
    fig.slider("kernel_size", "kernel", { min: 2, max: data.most }).el,
    fig.slider("stride", "stride", { min: 1, max: data.most }).el,
  );

  fig.note(`Bytes are those of the numbers read and written, ${BYTES} each. The step of the timeline is one output of the loop.`);

  // The running values along the one row of an axis.
  function runningOf([row], { kernel_size: k, operator }) {
    if (operator === "sum") return { before: row.reduce((sums, v) => [...sums, sums.at(-1) + v], [0]), behind: [] };
    const run = (i, step, edge) => (edge(i) ? row[i] : Math.max(row[i], run(i - step, step, edge)));
    return {
      before: row.map((_, i) => run(i, 1, (at) => at % k === 0)),
      behind: row.map((_, i) => run(i, -1, (at) => at === row.length - 1 || (at + 1) % k === 0)),
    };
  }

  // A map's sheet with the results of a stage that are done, and nothing elsewhere.
  function sheetOf(map, results, done, stageName) {
    const sheet = map.map((row) => row.map(() => NaN));
    for (const { stage: name, at: [r, c] } of done) if (name === stageName) sheet[r][c] = results[r][c];
    return sheet;
  }

  function drawAxis(state, { map, results }, runs) {
    const { before, behind } = runningOf(map, state);
    const isMax = state.operator === "max";
    const wide = before.length;
    fitCells(stage, [wide], 12, 36);
    const [loop, , running] = runs;
    const count = (run, name) => run.done.filter(({ stage: s }) => s === name).length;
    const shade = scaleOf(map, ...(isMax ? [] : [[before]]));
    const shown = {
      axis: ["The axis", map[0], () => true],
      loop: ["Window by window", results.output[0], (i) => i < count(loop, "output")],
      before: [isMax ? "Running maxima of blocks, from the left" : "Running sums, from 0", before, (i) => i < count(running, "before")],
      behind: ["Running maxima of blocks, from the right", behind, (i) => i >= behind.length - count(running, "behind")],
      running: [isMax ? "The larger of the two" : "Differences of two sums", results.output[0], (i) => i < count(running, "output")],
    };
    for (const { name, panel } of lines) {
      const [heading, values, isDone] = shown[name];
      panel.el.hidden = values.length === 0;
      if (!values.length) continue;
      const from = name === "axis" && loop.last ? loop.last.from : null;
      panel.draw({
        heading,
        rows: [0],
        columns: indices(values.length),
        entry: [0, 0],
        framed: from && [[0, 0], [from[1], from[1] + from[3] - 1]],
        look: (r, c) => ({
          text: isDone(c) ? inCell(values[c]) : "",
          value: values[c],
          heat: isDone(c) ? shade(values[c]) : 0,
          label: isDone(c) ? `${heading}, ${c}: ${values[c]}` : `${heading}, ${c}: not yet`,
        }),
      });
    }
  }

  function drawMaps(state, { map, results }, runs) {
    tiles.style.setProperty("--tiles", stage.clientWidth > 480 ? 4 : 2);
    const own = { map: scaleOf(map), between: scaleOf(results.between), output: scaleOf(results.output) };
    const isMax = state.operator === "max";
    const regions = runs[0].last ? [{ cells: runs[0].last.from }] : [];
    picture.draw({ heading: "map", label: "The map, with the window that the loop has just done.", map, palette: "value", share: own.map, regions });
    runs.forEach((run, n) => {
      const begun = run.done.some(({ stage: name }) => name === "output");
      const shown = begun || n === 0 ? "output" : "between";
      const heading = `${data.ways[n][1]}: ${shown === "output" ? "output" : "columns"}`;
      const sheet = sheetOf(map, results[shown], run.done, shown);
      sheets[n].draw({ heading, label: `${heading}, as far as it is done.`, map: sheet, palette: "value", share: isMax ? own.map : own[shown], regions: [{ cells: [0, 0, results[shown].length, results[shown][0].length], kind: "line" }] });
    });
  }

  return function draw() {
    const { state } = fig;
    const plan = planOf(state);
    const isAxis = plan.map.length === 1;
    const budget = momentOf(state) * plan.each;
    const runs = plan.ways.map((steps) => spent(steps, budget));
    tiles.hidden = isAxis;
    stack.hidden = !isAxis;
    (isAxis ? drawAxis : drawMaps)(state, plan, runs);
    const noun = state.operator === "max" ? "comparisons" : "additions";
    operations.textContent = noun;
    const outputs = plan.results.output.flat().length;
    const told = runs.map((run, n) => {
      const { head, cells } = rows[n];
      const finished = run.done.filter(({ stage: name }) => name === "output").length;
      head.textContent = data.ways[n][1];
      const counts = [run.operations, run.reads, BYTES * (run.reads + run.writes), `${finished} of ${outputs}`];
      counts.forEach((value, i) => (cells[i].textContent = typeof value === "number" ? grouped(value) : value));
      return `${data.ways[n][1]} ${finished}`;
    });
    const rest = plan.ways.map((steps, n) => `${data.ways[n][1]} ${grouped(total(steps))}`);
    fig.say(
      `After at most ${grouped(budget)} ${noun} each, of ${outputs} outputs are done: ${told.join(", ")}. In all they need: ${rest.join(", ")}.`,
      { quietly: line.playing },
    );
  };
}

export const sweep = {
  title: "The same output, three ways",
  problem({ kernel_size: k, values }, { shapes }) {
    const [high, wide] = Array.isArray(values) ? sizeOf(values) : shapes[values];
    const least = high === 1 ? wide : Math.min(high, wide);
    return k > least ? `A window of ${k} cells does not fit a map of ${high} \u00d7 ${wide}. Choose a smaller kernel.` : "";
  },
  build: buildSweep,
};
