// Layers on top of each other: how far does one output cell see, where, and how many cells does it really see?
import { fieldsOf, problem, windowOutputs } from "./kit/pooling.js";
import { count, same } from "./kit/numbers.js";
import { button, control, h, s, select } from "./kit/page.js";
import { canvasMap } from "./kit/canvas.js";
import { unpacked } from "./kit/picture.js";

const ABOUT = { conv: "convolution", pool: "pooling" };

const windowIn = ([, kernel_size, stride, padding, dilation]) => ({ kind: "window", kernel_size, stride, padding, dilation });

function problemOfStack({ layers, size }, data) {
  let n = size;
  if (!layers.length) return "A stack needs at least one layer.";
  if (layers.length > data.most) return `A stack has at most ${data.most} layers here.`;
  for (const [i, layer] of layers.entries()) {
    const wrong = problem([n, n], windowIn(layer));
    if (wrong) return `Layer ${i + 1} does not fit. ${wrong}`;
    n = windowOutputs(n, windowIn(layer));
  }
  return "";
}

function settledStack(state) {
  const last = fieldsOf(state.layers.map(windowIn), state.size).at(-1).left - 1;
  const fits = state.selected.every((v) => v <= last);
  return { ...state, selected: fits ? state.selected : [last >> 1, last >> 1] };
}

function buildStack(fig) {
  const { data, stage, side } = fig;
  const photograph = unpacked(data.picture);
  const pixel = photograph.length;
  let fields;
  let pointed = null; // the index of a layer

  // --- the picture: the field of the chosen cell, and of the cell in its middle on every layer before
  const picture = canvasMap("stack", {
    onpick(cell) {
      if (!cell) return;
      const { selected } = fig.state;
      const { left, jump, start, size } = fields.at(-1);
      const margin = marginOf();
      const goal = cell.map((v) => ((v + 0.5) / (pixel + 2 * margin.pixels)) * (fig.state.size + 2 * margin.cells) - margin.cells);
      const next = goal.map((v) => Math.max(0, Math.min(left - 1, Math.round((v - start - size / 2) / jump))));
      if (!same(next, selected)) fig.set({ selected: next }, { record: false });
    },
  });
  // How far the field reaches over the picture, so that all of it can be seen.
  function marginOf() {
    const { size } = fig.state;
    const cells = Math.ceil(Math.max(0, ...fields.flatMap((field) => [-field.start, field.start + (field.left - 1) * field.jump + field.size - size])));
    return { cells, pixels: Math.round((cells / size) * pixel) };
  }

  const bars = s("svg", { class: "pr-chart pr-bars", "aria-hidden": "true" });
  const fieldsPanel = h("section", { class: "pr-panel pr-outcome" }, h("p", { class: "pr-title" }, "What one cell of each layer sees"), bars);
  picture.el.classList.add("pr-outcome");

  // --- the table
  const body = h("tbody");
  const heads = ["layer", "k", "s", "p", "d", "cells", "field", "jump", "start", "sees", ""];
  const names = ["", "kernel", "stride", "padding", "dilation"];
  const table = h("table", { class: "pr-table" }, h("thead", {}, h("tr", {}, ...heads.map((head) => (head ? h("th", { scope: "col" }, head) : h("td"))))), body);
  const rows = [];
  const said = () => (fig.wanted.layers.length === fig.state.layers.length ? fig.wanted : fig.state).layers;
  const changed = (i, part, value) =>
    fig.set({ layers: said().map((layer, j) => (j === i ? layer.map((v, n) => (n === part ? value : v)) : layer)) });

  function rowOf(i) {
    const kind = control("select", { "aria-label": `kind of layer ${i + 1}`, onchange: () => changed(i, 0, kind.value) });
    kind.append(...Object.keys(ABOUT).map((value) => h("option", { value }, value)));
    const parts = names.slice(1).map((name, n) => {
      const [min, max] = data.parts[name];
      const input = control("input", { type: "number", min, max, step: 1, "aria-label": `${name} of layer ${i + 1}` });
      input.addEventListener("change", () => {
        const value = Number(input.value);
        if (Number.isInteger(value) && value >= min && value <= max && input.value !== "") return changed(i, n + 1, value);
        input.value = said()[i][n + 1];
        fig.refuse(`The ${name} of layer ${i + 1} must be a whole number from ${min} to ${max}.`);
      });
      return input;
    });
    const made = Array.from({ length: 5 }, () => h("td"));
    const drop = button("\u00d7", () => fig.set({ layers: fig.state.layers.filter((_, j) => j !== i) }), { "aria-label": `Remove layer ${i + 1}`, class: "pr-tool" });
    const el = h("tr", {}, ...[kind, ...parts].map((input) => h("td", {}, input)), ...made, h("td", {}, drop));
    const point = (index) => () => {
      if (pointed === index) return;
      pointed = index;
      fig.redraw();
    };
    el.addEventListener("pointerenter", point(i));
    el.addEventListener("pointerleave", point(null));
    el.addEventListener("focusin", point(i));
    return { el, kind, parts, made };
  }

  // --- controls
  const preset = select("Network", [...Object.keys(data.presets).map((name) => [name, name]), ["own", "my own"]], (name) => {
    if (name === "own") return preset.show(presetOf());
    const [size, layers] = data.presets[name];
    fig.set({ size, layers });
  });
  const presetOf = () => Object.keys(data.presets).find((name) => same(data.presets[name][1], fig.state.layers)) ?? "own";
  fig.bind("layers", { el: preset.el, show: () => preset.show(presetOf()) });
  const add = (text, layer) => button(text, () => fig.set({ layers: [...fig.state.layers, layer] }));
  side.append(
    preset.el,
    fig.slider("size", "cells of the input", { values: data.sizes }).el,
    fig.slider("target", "field to reach", { values: [0, 5, 7, 11, 15, 21, 31, 47, 63, 101, 151, 212, 224, 300, 435, 483], words: (v) => (v ? String(v) : "none") }).el,
    add("Add a convolution", ["conv", 3, 1, 1, 1]),
    add("Add a pooling", ["pool", 2, 2, 0, 1]),
  );
  stage.append(
    h("div", { class: "pr-split" }, picture.el, fieldsPanel),
    h("div", { class: "pr-scroll pr-table-scroll", tabindex: 0, role: "region", "aria-label": "The layers", "data-lm-suppress-shortcuts": "true" }, table),
  );
  fig.note("k kernel, s stride, p padding, d dilation; cells: left along an axis; field: the receptive field of one cell along an axis; jump: from one field to the next; start: where the first field begins; sees: how many cells of its field it really sees.");

  function drawBars(state) {
    const wide = Math.max(160, bars.parentElement.clientWidth || 240);
    const high = Math.max(3, Math.min(18, 230 / fields.length));
    const [label, end, top] = [high > 8 ? 62 : 4, 34, 4];
    const low = Math.min(0, ...fields.map(({ start }) => start));
    const most = Math.max(state.target, ...fields.map(({ start, size }) => start - low + size));
    const unit = (wide - label - end) / most;
    const x = (cell) => label + (cell - low) * unit;
    const parts = [];
    [...fields.entries()].reverse().forEach(([i, field], row) => {
      const y = top + row * (high + (high > 8 ? 4 : 1));
      const lit = (pointed ?? fields.length - 1) === i;
      // The cells that are seen, as runs without a gap.
      const cells = [...field.seen].sort((a, b) => a - b);
      const runs = cells.reduce((all, cell) => {
        if (all.length && all.at(-1)[1] === cell) all.at(-1)[1] += 1;
        else all.push([cell, cell + 1]);
        return all;
      }, []);
      for (const [from, to] of runs) {
        parts.push(s("rect", { class: "pr-seen", x: x(field.start + from), y, width: (to - from) * unit, height: high }));
      }
      parts.push(s("rect", { class: lit ? "pr-span pr-span-lit" : "pr-span", x: x(field.start), y, width: field.size * unit, height: high }));
      if (high > 8) {
        const [kind, k, stride] = state.layers[i];
        parts.push(s("text", { x: 0, y: y + high - 4 }, `${kind} ${k}/${stride}`), s("text", { x: x(field.start + field.size) + 4, y: y + high - 4 }, String(field.size)));
      }
    });
    const bottom = top + fields.length * (high + (high > 8 ? 4 : 1));
    if (state.target) {
      const edge = x(fields.at(-1).start + state.target);
      parts.push(s("path", { class: "pr-now", d: `M${edge} 0V${bottom}` }));
    }
    bars.setAttribute("viewBox", `0 0 ${wide} ${bottom + 4}`);
    bars.replaceChildren(...parts);
  }

  return function draw() {
    const { state } = fig;
    fields = fieldsOf(state.layers.map(windowIn), state.size);
    const last = fields.at(-1);
    if (pointed !== null && pointed >= fields.length) pointed = null;

    // The layer pointed at, or the last: its cell whose field lies nearest to the chosen one's middle.
    const margin = marginOf();
    const scale = pixel / state.size;
    const middle = state.selected.map((i) => last.start + i * last.jump + last.size / 2);
    const square = (field) => {
      const index = middle.map((v) => Math.max(0, Math.min(field.left - 1, Math.round((v - field.start - field.size / 2) / field.jump))));
      const [y, x] = index.map((i) => (field.start + i * field.jump) * scale + margin.pixels);
      return [y, x, field.size * scale, field.size * scale];
    };
    const padded = new Array(margin.pixels).fill(NaN);
    const blank = Array.from({ length: margin.pixels }, () => new Array(pixel + 2 * margin.pixels).fill(NaN));
    const lit = pointed ?? fields.length - 1;
    picture.draw({
      heading: `Fields on the input, ${state.size} \u00d7 ${state.size}`,
      label: "The input with the receptive fields of one cell of each layer. Point, or move with the arrow keys, to choose the cell.",
      map: [...blank, ...photograph.map((row) => [...padded, ...row, ...padded]), ...blank],
      regions: fields.map((field, i) => ({ cells: square(field), kind: i === lit ? "region" : "line" })),
    });
    drawBars(state);

    while (rows.length > fields.length) rows.pop().el.remove();
    while (rows.length < fields.length) {
      rows.push(rowOf(rows.length));
      body.append(rows.at(-1).el);
    }
    rows.forEach(({ el, kind, parts, made }, i) => {
      kind.value = said()[i][0];
      parts.forEach((input, n) => document.activeElement !== input && (input.value = said()[i][n + 1]));
      const { left, size, jump, start, seen } = fields[i];
      [left, size, jump, start, seen.length].forEach((v, n) => (made[n].textContent = String(v).replace("-", "\u2212")));
      for (const cell of made) cell.classList.toggle("pr-outcome-cell", fig.veiled);
      el.classList.toggle("pr-row-lit", pointed === i);
    });

    const field = fields[lit];
    const which = pointed === null ? "One cell of the last layer" : `One cell of layer ${pointed + 1}, a ${ABOUT[state.layers[pointed][0]]},`;
    const seen = field.seen.length < field.size ? `spans ${field.size} cells of the input and sees ${field.seen.length} of them` : `sees ${count(field.size, "cell")} of the input`;
    const over = field.size > state.size ? ", more than the picture has" : "";
    const short = state.target - last.size;
    const goal = !state.target ? "" : short > 0 ? ` The field to reach is ${state.target}: ${short} to go.` : short === 0 ? ` The field to reach, ${state.target}, is reached.` : ` The field to reach, ${state.target}, is passed by ${-short}.`;
    fig.say(`${which} ${seen} along an axis${over}.${goal}`);
  };
}

export const stack = { title: "A stack of layers and its receptive field", problem: problemOfStack, settle: settledStack, build: buildStack };
