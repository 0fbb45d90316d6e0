// The explorer: a map, a window that slides over it, the output it makes, and the gradient that flows back.
// One ES module.  In Jupyter anywidget calls `render`; on a static page the last lines mount it on every element that
// carries its state as JSON in `data-poolref-explorer`.
import { backward, dropsLast, outputSize, pool, problem, taps } from "./pooling.js";

const WINDOW = { kernel_size: [1, 6], stride: [1, 6], padding: [0, 3], dilation: [1, 3] }; // the sliders' ends
const TRAITS = [
  ...["operator", ...Object.keys(WINDOW), "ceil_mode", "count_include_pad"],
  ...["values", "selected", "gradient", "gradient_of"],
];
const LARGEST = 12; // rows and columns of a map

// --- words and numbers -------------------------------------------------------------------------------------------

const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
const signed = (text) => text.replace("-", "\u2212");

function number(x, digits = 3) {
  if (!Number.isFinite(x)) return Number.isNaN(x) ? "NaN" : x < 0 ? "\u2212\u221e" : "\u221e";
  const rounded = Number(x.toPrecision(digits));
  return signed(String(Number.isInteger(x) && Math.abs(x) < 1e6 ? x : rounded));
}

const equals = (x) => (number(x) === number(x, 12) ? `= ${number(x)}` : `\u2248 ${number(x)}`);
const inCell = (x) => number(Math.abs(x) < 100 ? Math.round(x * 100) / 100 : x).replace(/^(\u2212?)0\./, "$1.");
const at = ([r, c]) => `(${r}, ${c})`;
const count = (n, thing) => `${n} ${thing}${n === 1 ? "" : "s"}`;

function list(items, most = 16) {
  if (items.length <= most) return items;
  return [...items.slice(0, most - 1), `\u2026 ${items.length - most + 1} more`];
}

const inBrackets = (x) => (x < 0 ? `(${number(x)})` : number(x));
const sum = (x, term = inBrackets) => list(x.map(term)).join(" + ");
const weighed = (w) => number(Math.round(w * 100) / 100);

function winner(name) {
  return ({ cells, weights, value }, x) => {
    const ties = x.filter((v) => v === value).length;
    const which = ties > 1 ? `, the first of ${ties} that tie` : "";
    return `${name}(${list(x.map((v) => number(v))).join(", ")}) = ${number(value)}, from cell ${at(cells[weights.indexOf(1)])}${which}`;
  };
}

// For each operator: how an output came about, what of its gradient each cell gets, what padding counts as (nothing if
// it takes no part), and whether one cell makes the whole result.
const WORDS = {
  max: { how: winner("max"), slope: "All of the gradient goes to that cell.", pad: -Infinity, lone: true },
  min: { how: winner("min"), slope: "All of the gradient goes to that cell.", pad: Infinity, lone: true },
  average: {
    how: ({ value, divisor, padding, cells }, x) =>
      `${x.length > 1 ? `(${sum(x)})` : sum(x)} / ${divisor} ${equals(value)}` +
      (divisor > cells.length ? `, where ${count(padding, "cell")} of padding count as 0` : ""),
    slope: "Each cell gets 1 / (number of cells counted) of the gradient.",
    pad: 0,
  },
  sum: { how: ({ value }, x) => `${sum(x)} ${equals(value)}`, slope: "Each cell gets the whole gradient.", pad: 0 },
  lp: {
    how: ({ value }, x) => `\u221a(${sum(x, (v) => `${inBrackets(v)}\u00b2`)}) ${equals(value)}`,
    slope: "A cell x gets x / y of the gradient, where y is the output.",
    pad: 0,
  },
  soft: {
    how: ({ value, weights }, x) =>
      `${list(x.map((v, i) => `${weighed(weights[i])}\u00b7${inBrackets(v)}`)).join(" + ")} ${equals(value)}, ` +
      "with weights in proportion to e\u02e3",
    slope: "A cell x with weight w gets w\u00b7(1 + x \u2212 y) of the gradient, where y is the output.",
  },
};

function sizeInWords(n, window) {
  const { kernel_size: k, stride: s, padding: p, dilation: d, ceil_mode } = window;
  const drop = dropsLast(n, window) ? " \u2212 1 (a window that would start after the map is dropped)" : "";
  const round = ceil_mode ? "ceil" : "floor";
  return `${round}((${n} + 2\u00b7${p} \u2212 ${d}\u00b7(${k} \u2212 1) \u2212 1) / ${s}) + 1${drop} = ${outputSize(n, window)}`;
}

// A number as people type it; NaN if it is none.
const parse = (text) => (text.trim() ? Number(text.trim().replace(",", ".").replace("\u2212", "-")) : NaN);

function parseMap(text) {
  const lines = text.split("\n").filter((line) => line.trim());
  const map = lines.map((line) => line.trim().split(/[\s;]+/).map(parse));
  const fits = (n) => n >= 1 && n <= LARGEST;
  const ok = fits(map.length) && fits(map[0].length) && map.every((row) => row.length === map[0].length);
  return ok && map.flat().every(Number.isFinite) ? map : null;
}

// --- small pieces of the page ------------------------------------------------------------------------------------

function h(tag, attributes = {}, ...children) {
  const el = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) el.addEventListener(name.slice(2), value);
    else if (value !== false) el.setAttribute(name, value === true ? "" : value);
  }
  el.append(...children);
  return el;
}

// JupyterLab takes the arrow keys unless the focused element says otherwise.
const control = (tag, attributes, ...children) =>
  h(tag, { "data-lm-suppress-shortcuts": "true", ...attributes }, ...children);

const check = (text, onchange) => {
  const input = control("input", { type: "checkbox", onchange: () => onchange(input.checked) });
  return { input, el: h("label", { class: "pe-check" }, input, text) };
};

let made = 0; // for ids that stay apart when a page holds several figures
const unique = (name) => `pe-${name}-${(made += 1)}`;

function field(text, input, ...shown) {
  input.id = unique("field");
  return h("div", { class: "pe-field" }, h("div", {}, h("label", { for: input.id }, text), " ", ...shown), input);
}

const select = (text, options, onchange, attributes = {}) => {
  const input = control("select", { ...attributes, onchange: () => onchange(input.value) });
  input.append(...options.map(([value, label]) => h("option", { value }, label)));
  return { input, el: field(text, input) };
};

const slider = (text, [min, max], onchange) => {
  const shown = h("output", { "aria-hidden": "true" });
  const input = control("input", { type: "range", min, max, step: 1, oninput: () => onchange(Number(input.value)) });
  const set = (value) => {
    input.max = Math.max(max, value);
    input.value = shown.value = value;
  };
  return { el: field(text, input, shown), set };
};

// A table of numbers through which the arrow keys move.  `draw` takes its rows and columns as ranges of indices, which
// may begin below 0 (padding), and a function that says how each cell looks.
function grid(kind, onselect, onedit) {
  const title = h("p", { class: "pe-title", id: unique(kind) });
  const body = h("div", { role: "grid", class: "pe-grid", "data-grid": kind, "aria-labelledby": title.id });
  const frame = h("div", { class: "pe-frame", "aria-hidden": "true" });
  const el = h("section", { class: `pe-panel pe-${kind}` }, title, h("div", { class: "pe-scroll" }, body));
  const cells = new Map(); // "r,c" -> the element of a cell that can be chosen
  const ghosts = new Map(); // "r,c" -> the element of a cell of padding
  let shape = "";

  const indexOf = (target) => target.closest?.("[role=gridcell]")?.dataset.at.split(",").map(Number);
  const focus = (index) => cells.get(String(index))?.focus();
  let wasActive = false;
  body.addEventListener("pointerdown", ({ target }) => {
    wasActive = document.activeElement === target.closest("[role=gridcell]");
  });
  body.addEventListener("focusin", ({ target }) => target.matches("[role=gridcell]") && onselect(indexOf(target)));
  body.addEventListener("click", ({ target }) => {
    const index = indexOf(target);
    if (!index || target.matches("input")) return;
    if (wasActive) onedit?.(index);
    else focus(index);
  });
  body.addEventListener("keydown", (event) => {
    const index = indexOf(event.target);
    if (!index || event.target.matches("input") || event.ctrlKey || event.metaKey || event.altKey) return;
    const [r, c] = index;
    const rowOf = [...cells.keys()].map((key) => key.split(",").map(Number)).filter(([row]) => row === r);
    const goal = {
      ArrowLeft: [r, c - 1],
      ArrowRight: [r, c + 1],
      ArrowUp: [r - 1, c],
      ArrowDown: [r + 1, c],
      Home: rowOf[0],
      End: rowOf.at(-1),
    }[event.key];
    if (goal) focus(goal);
    else if (onedit && (event.key === "Enter" || event.key === "F2")) onedit(index);
    else if (onedit && /^[-.\d]$/.test(event.key)) onedit(index, event.key);
    else return;
    event.preventDefault();
  });

  function build(rows, columns, isGhost) {
    cells.clear();
    ghosts.clear();
    body.style.setProperty("--columns", columns.length);
    const head = h("div", { class: "pe-head", "aria-hidden": "true" }, h("span"));
    head.append(...columns.map((c) => h("span", {}, isGhost(rows.find((r) => r >= 0), c) ? "" : String(c))));
    const lines = rows.map((r) => {
      const line = h("div", columns.every((c) => isGhost(r, c)) ? { "aria-hidden": "true" } : { role: "row" });
      line.append(h("span", { class: "pe-side", "aria-hidden": "true" }, isGhost(r, columns.find((c) => c >= 0)) ? "" : String(r)));
      for (const c of columns) {
        const ghost = isGhost(r, c);
        const cell = ghost
          ? h("span", { class: "pe-cell pe-ghost", "aria-hidden": "true" })
          : control("div", { role: "gridcell", tabindex: -1, "data-at": `${r},${c}` });
        (ghost ? ghosts : cells).set(`${r},${c}`, cell);
        line.append(cell);
      }
      return line;
    });
    body.replaceChildren(head, ...lines, frame);
  }

  return {
    el,
    focus,
    cell: (index) => cells.get(String(index)),
    draw({ heading, rows, columns, isGhost = () => false, look, entry, framed }) {
      title.textContent = heading;
      const newShape = JSON.stringify([rows, columns, rows.map((r) => columns.map((c) => isGhost(r, c)))]);
      if (newShape !== shape) build(rows, columns, isGhost);
      shape = newShape;
      for (const [key, cell] of [...cells, ...ghosts]) {
        if (cell.querySelector("input")) continue; // being edited
        const { text, label, classes = "", heat = 0, share = 0, value } = look(...key.split(",").map(Number));
        cell.textContent = text;
        cell.className = `pe-cell ${classes}`;
        cell.style.setProperty("--heat", Math.abs(heat).toFixed(3));
        cell.style.setProperty("--share", Math.min(1, Math.max(0, share)).toFixed(3));
        if (!cells.has(key)) continue;
        cell.setAttribute("aria-label", label);
        cell.dataset.value = value;
        cell.tabIndex = key === String(entry) ? 0 : -1;
      }
      frame.hidden = !framed;
      if (!framed) return;
      const [[top, bottom], [left, right]] = framed;
      frame.style.setProperty("--top", top - rows[0]);
      frame.style.setProperty("--left", left - columns[0]);
      frame.style.setProperty("--high", bottom - top + 1);
      frame.style.setProperty("--wide", right - left + 1);
    },
  };
}

// --- the figure --------------------------------------------------------------------------------------------------

function render({ model, el }) {
  const maps = model.get("maps");
  const operators = model.get("operators");
  const wanted = Object.fromEntries(TRAITS.map((name) => [name, model.get(name)])); // what the controls say
  let drawn = wanted; // the last of it that can be computed, which is what the figure shows
  let trouble = "";
  let touched = null; // an input cell that the reader touched, instead of an output cell
  let grown = Infinity; // while playing, how many output cells have been made
  let timer = null;
  let sending = false;
  let regions;

  const shapeOf = (state) => [state.values.length, state.values[0].length];
  const sizes = () => shapeOf(drawn).map((n) => outputSize(n, drawn));

  function settle() {
    trouble = problem(shapeOf(wanted), wanted);
    const lastWindow = Object.fromEntries([...Object.keys(WINDOW), "ceil_mode"].map((name) => [name, drawn[name]]));
    const lastMap = drawn.values;
    drawn = trouble ? { ...wanted, ...lastWindow } : { ...wanted };
    if (problem(shapeOf(drawn), drawn)) drawn.values = lastMap;
    drawn.selected = wanted.selected = drawn.selected.map((i, axis) => Math.min(i, sizes()[axis] - 1));
    const [rows, columns] = shapeOf(drawn);
    if (touched && !(touched[0] < rows && touched[1] < columns)) touched = null;
    regions = pool(drawn.values, drawn.operator, drawn);
  }

  function change(changes) {
    Object.assign(wanted, changes);
    settle();
    draw();
    if (trouble) return; // Python never hears of a state it would refuse
    sending = true;
    for (const name of TRAITS) model.set(name, wanted[name]);
    sending = false;
    model.save_changes();
  }

  const chosen = (changes) => {
    stop();
    change(changes);
  };

  // --- what the reader does

  function edit([r, c], start) {
    const cell = map.cell([r, c]);
    let done = false; // taking the input away blurs it
    const finish = (keep) => {
      if (done) return;
      done = true;
      const text = input.value;
      const held = cell.contains(document.activeElement);
      input.remove();
      if (held) cell.focus();
      const value = parse(text);
      if (!keep || Number.isFinite(value)) {
        const values = drawn.values.map((row) => [...row]);
        if (keep) values[r][c] = value;
        chosen({ values });
      } else {
        draw();
        say(`Cell ${at([r, c])} must be a number, got "${text}".`);
      }
    };
    const input = control("input", {
      type: "text",
      inputmode: "decimal",
      "aria-label": `New value of cell ${at([r, c])}`,
      onblur: () => finish(true),
      onkeydown: (event) => {
        event.stopPropagation();
        if (event.key === "Enter" || event.key === "Escape") finish(event.key === "Enter");
      },
    });
    input.value = start ?? String(drawn.values[r][c]);
    cell.replaceChildren(input);
    input.focus();
    if (start === undefined) input.select();
  }

  const pickOutput = (selected) => {
    stop();
    touched = null;
    change({ selected });
  };
  const pickInput = (index) => {
    stop();
    touched = index;
    draw();
  };

  function step(by) {
    const [rows, columns] = sizes();
    const next = (drawn.selected[0] * columns + drawn.selected[1] + by + rows * columns) % (rows * columns);
    touched = null;
    change({ selected: [Math.floor(next / columns), next % columns] });
  }

  function play() {
    if (timer) return stop();
    const [rows, columns] = sizes();
    const total = rows * columns;
    touched = null;
    grown = 1;
    timer = setInterval(() => {
      if (grown >= total) return stop();
      grown += 1;
      step(1);
    }, Math.max(150, Math.min(700, 9000 / total)));
    change({ selected: [0, 0] });
  }

  function stop() {
    if (!timer) return;
    clearInterval(timer);
    timer = null;
    grown = Infinity;
    draw();
  }

  const say = (text) => {
    if (message.textContent !== text) message.textContent = text;
  };

  // --- the controls

  const operator = select("Operator", operators, (operator) => chosen({ operator }));
  const mapMenu = select("Map", [...Object.keys(maps).map((name) => [name, name]), ["own", "my own"]], (name) => {
    if (name !== "own") return chosen({ values: maps[name] });
    own.open = true;
    ownText.focus();
  });
  const sliders = Object.entries(WINDOW).map(([name, ends]) => [
    name,
    slider(name.replace("_size", ""), ends, (value) => chosen({ [name]: value })),
  ]);
  const ceil = check("ceil mode", (ceil_mode) => chosen({ ceil_mode }));
  const countPad = check("count padding", (count_include_pad) => chosen({ count_include_pad }));
  const gradientSwitch = check("gradient", (gradient) => chosen({ gradient }));
  const gradientOf = select(
    "of",
    [
      ["sum", "the sum of all outputs"],
      ["output", "the chosen output"],
    ],
    (gradient_of) => chosen({ gradient_of }),
    { "aria-label": "gradient of" },
  );
  const button = (text, onclick) => control("button", { type: "button", onclick }, text);
  const playButton = button("Play", play);
  const stepped = (by) => () => {
    stop();
    step(by);
  };

  const map = grid("map", pickInput, edit);
  const output = grid("output", pickOutput);
  const gradient = grid("gradient", pickInput);
  const sentence = h("p", { class: "pe-sentence", "aria-live": "polite" });
  const message = h("p", { class: "pe-message", role: "status" });
  const formula = h("p", { class: "pe-formula" });
  const ownText = control("textarea", { rows: 6, spellcheck: "false", onchange: takeOwn });
  const own = h(
    "details",
    { class: "pe-own", ontoggle: () => own.open && (ownText.value = wanted.values.map((row) => row.join(" ")).join("\n")) },
    control("summary", {}, "Type a whole map"),
    h("label", {}, `One row a line, numbers apart by spaces, at most ${LARGEST} rows and columns`, ownText),
  );

  function takeOwn() {
    const values = parseMap(ownText.value);
    if (values) chosen({ values });
    else say(`A map must have 1 to ${LARGEST} rows of equal length, with 1 to ${LARGEST} numbers each.`);
  }

  // --- drawing

  const around = (indices) => [Math.min(...indices), Math.max(...indices)];
  const range = ([from, to]) => Array.from({ length: to - from + 1 }, (_, i) => from + i);
  const heatOf = (values) => {
    const most = Math.max(...values.flat().filter(Number.isFinite).map(Math.abs), 1e-9);
    return (x) => (Number.isFinite(x) ? x / most : Math.sign(x) || 0);
  };
  const tint = (x) => (x < 0 ? "pe-negative" : "");
  // How a cell shows its part in a result: the whole of it, or a bar as long as its weight beside the largest.
  const bar = (weight, weights) => (WORDS[drawn.operator].lone ? 0 : weight / (Math.max(...weights) || 1));
  const part = (weight) => (WORDS[drawn.operator].lone && weight === 1 ? "pe-lit pe-winner" : "pe-lit");

  function draw() {
    const [rows, columns] = shapeOf(drawn);
    const [outRows, outColumns] = sizes();
    const [i, j] = drawn.selected;
    const region = regions[i][j];
    const words = WORDS[drawn.operator];
    const uses = []; // the outputs that see the touched cell, each with the weight it has there
    if (touched)
      regions.forEach((line, r) =>
        line.forEach(({ cells, weights }, c) => {
          const n = cells.findIndex((cell) => same(cell, touched));
          if (n >= 0) uses.push({ index: [r, c], weight: weights[n] });
        }),
      );

    // Controls.
    operator.input.value = wanted.operator;
    mapMenu.input.value = Object.keys(maps).find((name) => same(maps[name], wanted.values)) ?? "own";
    for (const [name, { set }] of sliders) set(wanted[name]);
    ceil.input.checked = wanted.ceil_mode;
    countPad.input.checked = wanted.count_include_pad;
    countPad.el.hidden = wanted.operator !== "average";
    gradientSwitch.input.checked = wanted.gradient;
    gradientOf.input.value = wanted.gradient_of;
    gradientOf.el.hidden = gradient.el.hidden = !wanted.gradient;
    playButton.textContent = timer ? "Stop" : "Play";
    el.classList.toggle("pe-stale", trouble !== "");

    // The map, with its padding and whatever else the windows reach.
    const reach = [rows, columns].map((n, axis) => {
      const p = drawn.padding;
      return [-p, Math.max(n - 1 + p, ...taps(sizes()[axis] - 1, drawn))];
    });
    const tapped = [taps(i, drawn), taps(j, drawn)];
    const isGhost = (r, c) => r < 0 || c < 0 || r >= rows || c >= columns;
    const weightAt = new Map(region.cells.map((cell, n) => [String(cell), region.weights[n]]));
    const padCounts = words.pad !== undefined && (drawn.operator !== "average" || drawn.count_include_pad);
    const heat = heatOf(drawn.values);
    map.draw({
      heading: `Map, ${rows} \u00d7 ${columns}`,
      rows: range(reach[0]),
      columns: range(reach[1]),
      isGhost,
      entry: touched ?? [0, 0],
      framed: touched ? null : tapped.map(around),
      look: (r, c) => {
        const lit = !touched && tapped[0].includes(r) && tapped[1].includes(c);
        if (isGhost(r, c)) {
          const beyond = r >= rows + drawn.padding || c >= columns + drawn.padding;
          return { text: beyond || !padCounts ? "" : number(words.pad), classes: `pe-ghost ${beyond ? "pe-beyond" : ""} ${lit ? "pe-lit" : ""}` };
        }
        const x = drawn.values[r][c];
        const weight = weightAt.get(`${r},${c}`);
        const isTouched = touched && same(touched, [r, c]);
        return {
          text: inCell(x),
          value: x,
          heat: heat(x),
          share: lit ? bar(weight, region.weights) : 0,
          classes: `${tint(x)} ${lit ? part(weight) : ""} ${isTouched ? "pe-touched" : ""}`,
          label: `row ${r}, column ${c}: ${number(x)}${lit ? ", in the window" : ""}`,
        };
      },
    });

    // The output.
    const results = regions.map((line) => line.map(({ value }) => value));
    const outHeat = heatOf(results);
    const weightIn = new Map(uses.map(({ index, weight }) => [String(index), weight]));
    output.draw({
      heading: `Output, ${outRows} \u00d7 ${outColumns}`,
      rows: range([0, outRows - 1]),
      columns: range([0, outColumns - 1]),
      entry: drawn.selected,
      framed: touched ? null : [[i, i], [j, j]],
      look: (r, c) => {
        const y = results[r][c];
        const born = r * outColumns + c < grown;
        const weight = weightIn.get(`${r},${c}`);
        return {
          text: born ? inCell(y) : "",
          value: y,
          heat: born ? outHeat(y) : 0,
          share: weight === undefined ? 0 : bar(weight, weightIn.values()),
          classes: `${born ? tint(y) : "pe-unborn"} ${weight === undefined ? "" : part(weight)}`,
          label: `row ${r}, column ${c}: ${born ? number(y) : "not made yet"}${weight === undefined ? "" : ", sees the cell"}`,
        };
      },
    });

    // The gradient.
    const ofSum = drawn.gradient_of === "sum";
    const flow = regions.map((line, r) => line.map((_, c) => (ofSum || (r === i && c === j) ? 1 : 0)));
    const slopes = backward(regions, flow, [rows, columns]);
    if (drawn.gradient) {
      const slopeHeat = heatOf(slopes);
      gradient.draw({
        heading: `Gradient of ${ofSum ? "the sum of all outputs" : `output ${at([i, j])}`}`,
        rows: range([0, rows - 1]),
        columns: range([0, columns - 1]),
        entry: touched ?? [0, 0],
        look: (r, c) => {
          const g = slopes[r][c];
          const isTouched = touched && same(touched, [r, c]);
          return {
            text: g ? inCell(g) : "0",
            value: g,
            heat: slopeHeat(g),
            classes: `${g ? "" : "pe-zero"} ${tint(g)} ${isTouched ? "pe-touched" : ""}`,
            label: `row ${r}, column ${c}: gradient ${number(g)}`,
          };
        },
      });
    }

    // The words.
    say(trouble && `${trouble}.`);
    const text = touched ? inputInWords() : outputInWords();
    sentence.setAttribute("aria-live", timer ? "off" : "polite"); // while playing it would never stop talking
    if (sentence.textContent !== text) sentence.textContent = text;
    const axes = rows === columns ? [["rows and columns", rows]] : [["rows", rows], ["columns", columns]];
    formula.textContent = axes.map(([name, n]) => `Output ${name}: ${sizeInWords(n, drawn)}`).join("\n");

    function outputInWords() {
      const x = region.cells.map(([r, c]) => drawn.values[r][c]);
      const made = `Output ${at([i, j])}`;
      if (!x.length) return `${made} sees no cell of the map: ${number(region.value)}.`;
      return `${made} = ${words.how(region, x)}.${drawn.gradient ? ` ${words.slope}` : ""}`;
    }

    function inputInWords() {
      const [r, c] = touched;
      const cell = `Cell ${at(touched)} = ${number(drawn.values[r][c])}`;
      const grad = drawn.gradient ? ` Its gradient ${equals(slopes[r][c]).replace("=", "is")}.` : "";
      if (!uses.length) return `${cell} is seen by no output: the windows step over it.${grad}`;
      const won = uses.filter(({ weight }) => weight === 1).map(({ index }) => at(index));
      const seen = `${cell} is seen by ${count(uses.length, "output")}: `;
      if (!words.lone) return `${seen}${list(uses.map(({ index, weight }) => `${at(index)} with weight ${weighed(weight)}`)).join(", ")}.${grad}`;
      const result = won.length ? `It is the result of ${list(won).join(", ")}.` : "It is the result of none.";
      return `${seen}${list(uses.map(({ index }) => at(index))).join(", ")}. ${result}${grad}`;
    }
  }

  // --- putting it together

  el.classList.add("poolref-explorer");
  el.setAttribute("role", "group");
  el.setAttribute("aria-label", "Pooling explorer");
  el.replaceChildren(
    h("div", { class: "pe-controls" }, operator.el, mapMenu.el),
    h("div", { class: "pe-controls pe-sliders" }, ...sliders.map(([, { el }]) => el)),
    h("div", { class: "pe-checks" }, ceil.el, countPad.el, gradientSwitch.el, gradientOf.el),
    message,
    h(
      "div",
      { class: "pe-panels" },
      map.el,
      output.el,
      gradient.el,
      h(
        "div",
        { class: "pe-words" },
        h("div", { class: "pe-steps" }, button("Back", stepped(-1)), playButton, button("Next", stepped(1))),
        sentence,
      ),
    ),
    formula,
    h("p", { class: "pe-hint" }, "Touch a cell, or move with the arrow keys. Touch a cell of the map twice, or press Enter, to change it."),
    own,
  );

  function hear() {
    const told = Object.fromEntries(TRAITS.map((name) => [name, model.get(name)]));
    if (sending || same(told, wanted)) return;
    Object.assign(wanted, told);
    settle();
    draw();
  }
  for (const name of TRAITS) model.on(`change:${name}`, hear);
  settle();
  draw();
  return () => {
    clearInterval(timer);
    for (const name of TRAITS) model.off(`change:${name}`, hear);
  };
}

// A page without a kernel: the state is in the page, and stays there.
function mount(el) {
  const state = JSON.parse(el.dataset.poolrefExplorer);
  const model = { get: (name) => state[name], set: (name, value) => (state[name] = value) };
  for (const name of ["save_changes", "on", "off", "send"]) model[name] = () => {};
  el.dataset.mounted = "true";
  render({ model, el });
}

for (const el of document.querySelectorAll("[data-poolref-explorer]:not([data-mounted])")) mount(el);

export default { render };
