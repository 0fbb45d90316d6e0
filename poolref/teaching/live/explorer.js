// The explorer: a small map, regions, a reducer, the output they make, and the gradient that flows back.
import { backward, dropsLast, pool, pooled, problem, rowLengths, windowOutputs, windowTaps } from "./kit/pooling.js";
import { at, count, equals, inCell, list, number, parseMap, same, scaleOf } from "./kit/numbers.js";
import { control, fly, group, h, select } from "./kit/page.js";
import { fitCells, grid } from "./kit/grid.js";
import { flyBack, gradientLook } from "./kit/gradient.js";

const LARGEST = 12; // rows and columns of a map
const KINDS = [
  ["window", "a sliding window"],
  ["adaptive", "a number of bins"],
  ["whole", "the whole map"],
  ["pyramid", "a pyramid of bins"],
  ["rows", "every row"],
  ["columns", "every column"],
  ["running", "all cells met so far"],
];
const WINDOW = { kernel_size: ["kernel", 1, 6], stride: ["stride", 1, 6], padding: ["padding", 0, 3], dilation: ["dilation", 1, 3] };
const PARAMETERS = {
  lp: ["p", [0.5, 1, 1.5, 2, 3, 4, 6, 10, 20]],
  gem: ["p", [0.5, 1, 1.5, 2, 3, 4, 6, 10, 20]],
  soft: ["beta", [0, 0.1, 0.25, 0.5, 1, 2, 4, 10]],
  lse: ["r", [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10]],
  mixed: ["alpha", [0, 0.1, 0.25, 0.5, 0.75, 0.9, 1]],
};
const SYMBOLS = { p: "p", beta: "\u03b2", r: "r", alpha: "\u03b1" };

const regionsOf = (state) => ({ ...state, kind: state.regions });
const reducerOf = (state, name) => ({ ...state, name });
const mapShape = (state) => [state.values.length, state.values[0].length];
const upward = ([from, to]) => Array.from({ length: to - from + 1 }, (_, i) => from + i);
const hull = (indices) => [Math.min(...indices), Math.max(...indices)];

// --- words -------------------------------------------------------------------------------------------------------

const plain = (x) => number(x);
const inBrackets = (x) => (x < 0 ? `(${number(x)})` : number(x));
const weighed = (w) => number(Math.round(w * 100) / 100);
const raised = (p) => (Number.isInteger(p) && p < 100 ? [...String(p)].map((c) => "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079"[c]).join("") : `^${p}`);

// The numbers of a region, each as `term` writes it, with `between` between them; each knows its cell.
function terms({ cells, x }, between, term = inBrackets, [open, close] = ["", ""]) {
  const pieces = list(x.map((v, i) => ({ text: term(v, i), from: String(cells[i]) })));
  return pieces.flatMap((piece, i) => [i ? between + open : open, piece, close]);
}

const result = (y) => ({ text: equals(y).slice(2), from: "output" });
const isResult = (y) => [equals(y).slice(0, 2), result(y)];

function chosenBy(name) {
  return (region) => {
    const { cells, x, shares, value } = region;
    const ties = x.filter((v) => v === value).length;
    const which = ties > 1 ? `, the first of ${ties} that tie` : "";
    return [`${name}(`, ...terms(region, ", ", plain), ") ", ...isResult(value), `, from cell ${at(cells[shares.indexOf(1)])}${which}`];
  };
}

// For each operator: how an output came about, what of its gradient each cell gets, what padding counts as (nothing if
// it takes no part), and whether one cell makes the whole result.
const WORDS = {
  max: { how: chosenBy("max"), slope: () => "All of the gradient goes to that cell.", pad: -Infinity, lone: true },
  min: { how: chosenBy("min"), slope: () => "All of the gradient goes to that cell.", pad: Infinity, lone: true },
  average: {
    how: (region) => [
      ...(region.x.length > 1 ? ["(", ...terms(region, " + "), ")"] : terms(region, "")),
      ` / ${region.divisor} `,
      ...isResult(region.value),
      region.divisor > region.x.length ? `, where ${count(region.padding, "cell")} of padding count as 0` : "",
    ],
    slope: () => "Each cell gets 1 / (number of cells counted) of the gradient.",
    pad: 0,
  },
  sum: {
    how: (region) => [...terms(region, " + "), " ", ...isResult(region.value)],
    slope: () => "Each cell gets the whole gradient.",
    pad: 0,
  },
  lp: {
    how: (region, { p }) =>
      p === 2
        ? ["\u221a(", ...terms(region, " + ", (v) => `${inBrackets(v)}\u00b2`), ") ", ...isResult(region.value)]
        : ["(", ...terms(region, " + ", (v) => `|${number(v)}|${raised(p)}`), `)^(1/${p}) `, ...isResult(region.value)],
    slope: ({ p }) =>
      p === 2 ? "A cell x gets x / y of the gradient, where y is the output."
        : `A cell x gets sign(x)\u00b7(|x| / y)${raised(p - 1)} of the gradient, where y is the output.`,
    pad: 0,
  },
  soft: {
    how: (region, { beta }) => [
      ...terms(region, " + ", (v, i) => `${weighed(region.shares[i])}\u00b7${inBrackets(v)}`),
      " ",
      ...isResult(region.value),
      `, with weights in proportion to ${beta === 1 ? "e\u02e3" : `e^(${beta}\u00b7x)`}`,
    ],
    slope: ({ beta }) =>
      `A cell x with weight w gets w\u00b7(1 + ${beta === 1 ? "" : `${beta}\u00b7(`}x \u2212 y${beta === 1 ? "" : ")"}) of the gradient, where y is the output.`,
  },
  lse: {
    how: (region, { r }) => [
      "ln((",
      ...terms(region, " + ", plain, [`e^(${r}\u00b7`, ")"]),
      `) / ${region.x.length}) / ${r} `,
      ...isResult(region.value),
    ],
    slope: ({ r }) => `A cell x gets a part of the gradient in proportion to e^(${r}\u00b7x).`,
  },
  gem: {
    how: (region, { p }) => [
      "((",
      ...terms(region, " + ", (v) => `${inBrackets(v)}${raised(p)}`),
      `) / ${region.x.length})^(1/${p}) `,
      ...isResult(region.value),
      region.x.some((v) => v < 1e-6) ? ", where values below 10\u207b\u2076 count as 10\u207b\u2076" : "",
    ],
    slope: ({ p }) => `A cell x gets (x / y)${raised(p - 1)} / N of the gradient, where y is the output and N the number of cells.`,
  },
  median: {
    how: (region) => ["the middle of ", ...terms(region, ", ", plain), " in order ", ...isResult(region.value)],
    slope: () => "The cell in the middle gets the gradient; of an even number of cells, each of the two gets half.",
  },
  mixed: {
    how: (region, { alpha }) => [
      `${weighed(alpha)}\u00b7max + ${weighed(1 - alpha)}\u00b7mean of (`,
      ...terms(region, ", ", plain),
      ") ",
      ...isResult(region.value),
    ],
    slope: ({ alpha }) => `The largest cell gets ${weighed(alpha)} of the gradient, and all share ${weighed(1 - alpha)} evenly.`,
  },
};

function sizeInWords(state) {
  const { kernel_size: k, stride: s, padding: p, dilation: d, ceil_mode } = state;
  const regions = regionsOf(state);
  const [rows, columns] = mapShape(state);
  const axes = rows === columns ? [["rows and columns", rows]] : [["rows", rows], ["columns", columns]];
  return axes
    .map(([name, n]) => {
      const drop = dropsLast(n, regions) ? " \u2212 1 (a window that would start after the map is dropped)" : "";
      const round = ceil_mode ? "ceil" : "floor";
      return `Output ${name}: ${round}((${n} + 2\u00b7${p} \u2212 ${d}\u00b7(${k} \u2212 1) \u2212 1) / ${s}) + 1${drop} = ${windowOutputs(n, regions)}`;
    })
    .join("\n");
}

// --- the figure --------------------------------------------------------------------------------------------------

function settled(state) {
  const lengths = rowLengths(mapShape(state), regionsOf(state));
  const i = Math.min(state.selected[0], lengths.length - 1);
  const fits = Array.isArray(state.arriving) && same(state.arriving.map((row) => row.length), lengths);
  return {
    ...state,
    selected: [i, Math.min(state.selected[1], lengths[i] - 1)],
    arriving: Array.isArray(state.arriving) && !fits ? "sum" : state.arriving,
  };
}

function build(fig) {
  const { data, side, stage } = fig;
  const titles = Object.fromEntries(data.operators);
  // fig.pointed is an input cell that the reader touched, instead of an output cell.
  let outputs; // what the figure shows, from kit/pooling.js
  let ownMap = null;
  let written = ""; // the map that stands in the text field

  // --- what the reader does

  const chosen = (patch, options) => {
    line.stop();
    fig.set(patch, options);
  };
  const pickOutput = (selected) => {
    line.stop();
    fig.pointed = null;
    fig.set({ selected }, { record: false });
  };
  const pickInput = (index) => {
    line.stop();
    fig.pointed = index;
    fig.redraw();
  };
  const replaced = (rows, [r, c], value) => rows.map((row, i) => (i === r ? row.map((v, j) => (j === c ? value : v)) : row));

  // Dragging the window: the output whose region has its middle nearest to where the pointer has taken it.
  const middle = (index) => {
    const span = spanOf(fig.state, index);
    return span.map(([from, to]) => (from + to) / 2);
  };
  function drag(down, right) {
    const goal = [drag.from[0] + down, drag.from[1] + right];
    let [nearest, least] = [fig.state.selected, Infinity];
    outputs.forEach((row, i) =>
      row.forEach((_, j) => {
        const [y, x] = middle([i, j]);
        const far = Math.hypot(y - goal[0], x - goal[1]);
        if (far < least - 1e-9) [nearest, least] = [[i, j], far];
      }),
    );
    if (!same(nearest, fig.state.selected) || fig.pointed) pickOutput(nearest);
  }
  drag.start = () => (drag.from = middle(fig.state.selected));

  const { refuse } = fig;
  const map = grid("map", {
    onselect: pickInput,
    onedit(index, value) {
      const holds = ([i, j]) => outputs[i][j].cells.some((cell) => same(cell, index));
      const { selected, values } = fig.state;
      const holder = [selected, ...outputs.flatMap((row, i) => row.map((_, j) => [i, j]))].find(holds);
      if (holder) fig.pointed = null; // its window and its output say what the change has done
      chosen({ values: replaced(values, index, value), selected: holder ?? selected });
    },
    ondrag: drag,
    refuse,
  });
  const output = grid("output", { onselect: pickOutput });
  const other = grid("beside", { onselect: pickOutput });
  const difference = grid("difference", { onselect: pickOutput });
  const gradient = grid("gradient", { onselect: pickInput });
  const arriving = grid("arriving", {
    onselect: pickOutput,
    onedit: (index, value) => chosen({ arriving: replaced(arrivingAt(fig.state), index, value) }),
    refuse,
  });
  for (const panel of [output, other, difference, gradient]) panel.el.classList.add("pr-outcome");

  const line = fig.timeline({
    moments: () => outputs.flat().length,
    now: () => flat(fig.state.selected),
    go(index, { steps }) {
      fig.pointed = null;
      fig.set({ selected: unflat(index) }, { record: false });
      if (steps) flights();
    },
    words: (index) => `output ${at(unflat(index))}`,
  });
  const flat = ([i, j]) => outputs.slice(0, i).reduce((n, row) => n + row.length, 0) + j;
  function unflat(index) {
    let i = 0;
    while (index >= outputs[i].length) index -= outputs[i++].length;
    return [i, index];
  }

  // Numbers fly from the cells into the formula, and the result to its cell; gradients from an output to its cells.
  function flights() {
    const ms = line.flight();
    if (!ms || fig.veiled) return;
    const { selected } = fig.state;
    if (fig.state.gradient) {
      const g = arrivingAt(fig.state)[selected[0]][selected[1]];
      flyBack(fig.el, arriving.cell(selected), gradient.cell, outputs[selected[0]][selected[1]], g, ms);
      return;
    }
    for (const piece of fig.sentence.querySelectorAll("[data-from]")) {
      const { from } = piece.dataset;
      if (from === "output") fly(fig.el, piece, output.cell(selected), piece.textContent, { ms, delay: ms });
      else fly(fig.el, map.cell(from), piece, inCell(fig.state.values[from.split(",")[0]][from.split(",")[1]]), { ms });
    }
  }
  fig.sentence.addEventListener("pointerover", ({ target }) => {
    for (const cell of stage.querySelectorAll(".pr-pointed")) cell.classList.remove("pr-pointed");
    const from = target.dataset?.from;
    if (from) (from === "output" ? output.cell(fig.state.selected) : map.cell(from))?.classList.add("pr-pointed");
  });

  // --- controls

  const mapMenu = select("Map", [...Object.keys(data.maps).map((name) => [name, name]), ["own", "my own"]], (name) => {
    if (name !== "own") return chosen({ values: data.maps[name] });
    if (ownMap) return chosen({ values: ownMap });
    own.open = true;
    ownText.focus();
  });
  fig.bind("values", {
    el: mapMenu.el,
    show: (values) => {
      const name = Object.keys(data.maps).find((name) => same(data.maps[name], values));
      if (!name) ownMap = values;
      mapMenu.show(name ?? "own");
    },
  });
  const operatorMenu = select("Reducer", data.operators, (operator) => {
    const [parameter] = PARAMETERS[operator] ?? [];
    chosen({ operator, ...(parameter ? { [parameter]: data.defaults[operator] } : {}) });
  });
  fig.bind("operator", operatorMenu);
  const parameters = Object.entries({ p: PARAMETERS.lp, beta: PARAMETERS.soft, r: PARAMETERS.lse, alpha: PARAMETERS.mixed }).map(
    ([name, [, values]]) => [name, fig.slider(name, SYMBOLS[name], { values })],
  );
  const countPad = fig.check("count_include_pad", "count padding", {
    when: (state) => state.regions === "window" && state.padding > 0 && [state.operator, state.beside].includes("average"),
  });
  const beside = fig.select("beside", "Beside it", [["", "nothing"], ...data.operators]);
  const windowControls = Object.entries(WINDOW).map(([name, [text, min, max]]) => fig.slider(name, text, { min, max }));
  windowControls.push(fig.check("ceil_mode", "ceil mode"));
  const forKind = {
    window: windowControls,
    adaptive: [fig.slider("output_size", "bins along each axis", { min: 1, max: 8 })],
    pyramid: [
      select("levels", [["2,1", "2, 1"], ["3,2,1", "3, 2, 1"], ["4,2,1", "4, 2, 1"]], (text) => chosen({ levels: text.split(",").map(Number) })),
    ],
    running: [fig.select("direction", "from the edge", [["down", "down"], ["up", "up"], ["right", "to the right"], ["left", "to the left"]])],
  };
  fig.bind("levels", { el: forKind.pyramid[0].el, show: (levels) => forKind.pyramid[0].show(levels.join(",")) });
  const gradientOf = select(
    "arriving gradients",
    [["sum", "1 at every output"], ["output", "1 at the chosen output"], ["own", "my own"]],
    (value) => chosen({ arriving: value === "own" ? arrivingAt(fig.state) : value }),
  );
  fig.bind("arriving", { el: gradientOf.el, show: (value) => gradientOf.show(Array.isArray(value) ? "own" : value) });
  side.append(
    mapMenu.el,
    group("", operatorMenu, beside, ...parameters.map(([, part]) => part), countPad),
    group("", fig.select("regions", "Regions", KINDS), h("div", { class: "pr-group pr-kinds" }, ...Object.values(forKind).flat().map(({ el }) => el))),
    group("", fig.check("gradient", "gradient"), gradientOf),
  );

  const ownText = control("textarea", { rows: 6, spellcheck: "false", onchange: takeOwn });
  const own = h(
    "details",
    { class: "pr-own", ontoggle: writeOwn },
    control("summary", {}, "Type a whole map"),
    h("label", {}, `One row a line, numbers apart by spaces, at most ${LARGEST} rows and columns`, ownText),
  );
  function writeOwn() {
    const text = fig.state.values.map((row) => row.join(" ")).join("\n");
    if (own.open && text !== written) ownText.value = written = text; // what a reader is typing stays
  }
  function takeOwn() {
    const values = parseMap(ownText.value, LARGEST);
    if (values) chosen({ values });
    else refuse(`A map must have 1 to ${LARGEST} rows of equal length, with 1 to ${LARGEST} numbers each.`);
  }

  const outcomes = h("div", { class: "pr-panels pr-outputs" }, output.el, other.el, difference.el);
  stage.classList.add("pr-two");
  stage.append(map.el, outcomes, gradient.el, arriving.el);
  fig.foot.append(line.el);
  side.append(own);

  // --- drawing

  // Where a region begins and ends along each axis, padding included.
  function spanOf(state, index) {
    if (state.regions === "window") return index.map((i, axis) => hull(windowTaps(i, regionsOf(state), axis)));
    const { cells } = outputs[index[0]][index[1]];
    return [0, 1].map((axis) => hull(cells.map((cell) => cell[axis])));
  }
  const arrivingAt = ({ arriving, selected }) =>
    Array.isArray(arriving)
      ? arriving
      : outputs.map((row, r) => row.map((_, c) => (arriving === "sum" || same([r, c], selected) ? 1 : 0)));
  // A bar as long as a cell's share beside the largest; none where one cell is the whole result.
  const bar = (share, shares) => share / (Math.max(...shares) || 1);

  return function draw() {
    const { state, previous } = fig;
    const { values, selected, operator } = state;
    const [rows, columns] = mapShape(state);
    const [i, j] = selected;
    const isWindow = state.regions === "window";
    const words = WORDS[operator];
    outputs = pool(values, regionsOf(state), reducerOf(state, operator));
    const besides = state.beside && pooled(values, regionsOf(state), reducerOf(state, state.beside));
    const results = outputs.map((row) => row.map(({ value }) => value));
    const region = outputs[i][j];
    const born = ([r, c]) => !line.playing || flat([r, c]) < line.played;
    if (fig.pointed && !(fig.pointed[0] < rows && fig.pointed[1] < columns)) fig.pointed = null;
    const touched = fig.pointed;
    const uses = []; // the outputs that see the touched cell, each with the share it has there
    if (touched) {
      outputs.forEach((row, r) =>
        row.forEach(({ cells, shares }, c) => {
          const n = cells.findIndex((cell) => same(cell, touched));
          if (n >= 0) uses.push({ index: [r, c], share: shares[n] });
        }),
      );
    }

    // Controls that belong to some settings only.
    for (const [name, { el }] of parameters) {
      el.hidden = ![operator, state.beside].some((operator) => PARAMETERS[operator]?.[0] === name);
    }
    for (const [kind, parts] of Object.entries(forKind)) for (const { el } of parts) el.hidden = kind !== state.regions;
    countPad.el.hidden = ![operator, state.beside].includes("average");
    gradientOf.el.hidden = !state.gradient;
    other.el.hidden = difference.el.hidden = !state.beside;
    gradient.el.hidden = arriving.el.hidden = !state.gradient;

    // Room for everything, in cells of one size.
    const lengths = results.map((row) => row.length);
    const widest = Math.max(...lengths);
    const last = (n, axis) => (isWindow ? windowTaps(windowOutputs(n, regionsOf(state), axis) - 1, regionsOf(state), axis).at(-1) : 0);
    const pad = isWindow ? state.padding : 0;
    const reach = [rows, columns].map((n, axis) => [-pad, Math.max(n - 1 + pad, last(n, axis))]);
    const wide = reach[1][1] - reach[1][0] + 1;
    const tall = reach[0][1] - reach[0][0] + 1 + (state.gradient ? rows + 2 : 0);
    fitCells(stage, state.beside ? [wide, widest, widest] : [wide, widest], tall);

    // The map, with its padding and whatever else the windows reach.
    const shade = scaleOf(values, results, besides || []);
    const shareAt = new Map(region.cells.map((cell, n) => [String(cell), region.shares[n]]));
    const span = region.cells.length || isWindow ? spanOf(state, selected) : null;
    const tapped = isWindow ? [windowTaps(i, regionsOf(state), 0), windowTaps(j, regionsOf(state), 1)] : null;
    const isIn = (r, c) => (tapped ? tapped[0].includes(r) && tapped[1].includes(c) : shareAt.has(`${r},${c}`));
    const isGhost = (r, c) => r < 0 || c < 0 || r >= rows || c >= columns;
    const padCounts = words.pad !== undefined && (operator !== "average" || state.count_include_pad);
    const wasMap = previous && same(mapShape(previous), mapShape(state)) ? previous.values : null;
    const part = (share) => (words.lone && share === 1 ? "pr-lit pr-winner" : "pr-lit");
    map.draw({
      heading: `Map, ${rows} \u00d7 ${columns}`,
      rows: upward(reach[0]),
      columns: upward(reach[1]),
      isGhost,
      entry: touched ?? [0, 0],
      framed: touched || fig.veiled ? null : span,
      look(r, c) {
        const lit = !touched && isIn(r, c);
        if (isGhost(r, c)) {
          const beyond = r >= rows + pad || c >= columns + pad;
          return { text: beyond || !padCounts ? "" : number(words.pad), classes: `pr-ghost ${beyond ? "pr-beyond" : ""} ${lit ? "pr-lit" : ""}` };
        }
        const x = values[r][c];
        const share = shareAt.get(`${r},${c}`);
        const veiled = fig.veiled && words.lone; // the winner would tell
        return {
          text: inCell(x),
          value: x,
          heat: shade(x),
          share: lit && !words.lone && !fig.veiled ? bar(share, region.shares) : 0,
          classes: `${lit ? (veiled ? "pr-lit" : part(share)) : ""} ${touched && same(touched, [r, c]) ? "pr-touched" : ""}`,
          label: `row ${r}, column ${c}: ${number(x)}${lit ? ", in the region" : ""}`,
          was: wasMap && wasMap[r][c] !== x ? inCell(wasMap[r][c]) : undefined,
        };
      },
    });

    // The output, the one beside it, and their difference.
    const before = previous && pooled(previous.values, regionsOf(previous), reducerOf(previous, previous.operator));
    const wasOutput = before && wasMap && !same(wasMap, values) && same(before.map((row) => row.length), lengths) ? before : null;
    const shareIn = new Map(uses.map(({ index, share }) => [String(index), share]));
    const shapeInWords = `${results.length}${new Set(lengths).size === 1 ? ` \u00d7 ${widest}` : " rows"}`;
    const drawOutput = (panel, heading, numbers, { marks, was } = {}) =>
      panel.draw({
        heading,
        rows: upward([0, lengths.length - 1]),
        columns: (r) => upward([0, lengths[r] - 1]),
        entry: selected,
        framed: touched ? null : [[i, i], [j, j]],
        look(r, c) {
          const y = numbers[r][c];
          const there = born([r, c]);
          const share = marks?.get(`${r},${c}`);
          return {
            text: there ? inCell(y) : "",
            value: y,
            heat: there ? shade(y) : 0,
            share: share === undefined || words.lone ? 0 : bar(share, [...marks.values()]),
            classes: `${there ? "" : "pr-unborn"} ${share === undefined ? "" : part(share)}`,
            label: `row ${r}, column ${c}: ${there ? number(y) : "not made yet"}${share === undefined ? "" : ", sees the cell"}`,
            was: was && there && was[r][c] !== y ? inCell(was[r][c]) : undefined,
          };
        },
      });
    const named = (operator) => (state.beside ? titles[operator] : `Output, ${shapeInWords}`);
    drawOutput(output, named(operator), results, { marks: shareIn, was: wasOutput });
    if (besides) {
      drawOutput(other, titles[state.beside], besides);
      const gaps = results.map((row, r) => row.map((y, c) => (y === besides[r][c] ? 0 : y - besides[r][c])));
      drawOutput(difference, "First less second", gaps);
    }

    // The gradient.
    const given = arrivingAt(state);
    const flow = given.map((row, r) => row.map((g, c) => (born([r, c]) ? g : 0)));
    const slopes = backward(outputs, flow, [rows, columns]);
    if (state.gradient) {
      const steep = scaleOf(slopes, given);
      gradient.draw({
        heading: state.beside ? `Gradient through ${titles[operator]}` : "Gradient at the map",
        rows: upward([0, rows - 1]),
        columns: upward([0, columns - 1]),
        entry: touched ?? [0, 0],
        framed: touched || !span ? null : span.map(([from, to], axis) => [Math.max(0, from), Math.min([rows, columns][axis] - 1, to)]),
        look: (r, c) =>
          gradientLook(slopes[r][c], steep, `row ${r}, column ${c}: gradient`, touched && same(touched, [r, c]) ? "pr-touched" : ""),
      });
      arriving.draw({
        heading: "\u2190 arriving",
        rows: upward([0, lengths.length - 1]),
        columns: (r) => upward([0, lengths[r] - 1]),
        entry: selected,
        framed: touched ? null : [[i, i], [j, j]],
        look: (r, c) => gradientLook(given[r][c], steep, `row ${r}, column ${c}: arriving gradient`),
      });
    }

    // The words.
    writeOwn();
    fig.say(touched ? inputInWords() : outputInWords(), { quietly: line.playing });
    const hint = "Touch a cell, or move with the arrow keys; drag the window. Touch a cell twice, or press Enter, to change it.";
    fig.note([isWindow ? sizeInWords(state) : "", hint].filter(Boolean).join("\n"));

    function outputInWords() {
      const name = `Output ${at(selected)}`;
      if (!region.x.length) return `${name} sees no cell of the map: ${number(region.value)}.`;
      return [`${name} = `, ...words.how(region, state), `.${state.gradient ? ` ${words.slope(state)}` : ""}`];
    }

    function inputInWords() {
      const [r, c] = touched;
      const cell = `Cell ${at(touched)} = ${number(values[r][c])}`;
      const grad = state.gradient ? ` Its gradient ${equals(slopes[r][c]).replace("=", "is")}.` : "";
      if (!uses.length) return `${cell} is seen by no output: the windows step over it.${grad}`;
      const seen = `${cell} is seen by ${count(uses.length, "output")}: `;
      if (!words.lone) return `${seen}${list(uses.map(({ index, share }) => `${at(index)} with weight ${weighed(share)}`)).join(", ")}.${grad}`;
      const won = uses.filter(({ share }) => share === 1).map(({ index }) => at(index));
      const end = won.length ? `It is the result of ${list(won).join(", ")}.` : "It is the result of none.";
      return `${seen}${list(uses.map(({ index }) => at(index))).join(", ")}. ${end}${grad}`;
    }
  };
}

export const explorer = {
  title: "Pooling explorer",
  problem: (state) => problem(mapShape(state), regionsOf(state)),
  settle: settled,
  build,
};
