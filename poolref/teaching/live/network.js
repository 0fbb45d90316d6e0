// The small network, run in the page: drag the digit, change the pooling, see every layer and the answer move.
import { activations, weightsOf } from "./kit/network.js";
import { number, percent, scaleOf } from "./kit/numbers.js";
import { chips, h } from "./kit/page.js";
import { canvasMap, mosaic } from "./kit/canvas.js";

// Every layer that is shown: its name for the reader, the gap between its maps (so that a map and its pooled map lie
// above each other), and what one of its cells sees of the layer before.
const LAYERS = [
  { name: "image", text: "sheet" },
  { name: "relu1", text: "convolution and ReLU", gap: 2, from: "image", kernel: 3, stride: 1, padding: 1 },
  { name: "pool1", text: "pooled", gap: 1, from: "relu1", kernel: 2, stride: 2, padding: 0 },
  { name: "relu2", text: "convolution and ReLU", gap: 2, from: "pool1", kernel: 3, stride: 1, padding: 1 },
  { name: "pool2", text: "pooled", gap: 1, from: "relu2", kernel: 2, stride: 2, padding: 0 },
];
const SHEET = 20;
const LAST = 12;

function buildNetwork(fig) {
  const { data, stage } = fig;
  const weights = weightsOf(data.weights);
  let pointed = null; // {layer, map, cell} that the reader points at
  let layers;

  const sheetOf = ({ digit, at }) => {
    const sheet = Array.from({ length: SHEET }, () => new Array(SHEET).fill(0));
    data.digits[digit].forEach((row, r) => row.forEach((v, c) => (sheet[at[0] + r][at[1] + c] = v / 16)));
    return sheet;
  };
  const move = (down, right) => {
    const inside = (v) => Math.max(0, Math.min(LAST, v));
    const [r, c] = fig.state.at;
    fig.set({ at: [inside(r + down), inside(c + right)] }, { join: "at" });
  };
  const columnsOf = (name) => (name === "image" ? 1 : stage.clientWidth < 480 ? 8 : layers[name].length);
  const point = (name, gap) => (index) => {
    pointed = null;
    const side = layers[name][0].length;
    if (index && index.every((v) => v % (side + gap) < side)) {
      const [down, right] = index.map((v) => Math.floor(v / (side + gap)));
      pointed = { name, map: down * columnsOf(name) + right, cell: index.map((v) => v % (side + gap)) };
    }
    fig.redraw();
  };
  const panels = LAYERS.map((layer) => {
    const map = canvasMap(layer.name, layer.from ? { onpick: point(layer.name, layer.gap) } : { onmove: move });
    if (layer.from) map.el.classList.add("pr-outcome");
    return { ...layer, map };
  });
  const bars = data.digits.map((_, digit) => h("div", { class: "pr-score" }, h("b", {}, String(digit)), h("i"), h("span")));
  const scores = h("section", { class: "pr-panel pr-scores pr-outcome" }, h("p", { class: "pr-title" }, "scores"), ...bars);

  const digits = chips("Digit", data.digits.map((_, digit) => String(digit)), (digit) => fig.set({ digit: Number(digit) }));
  fig.bind("digit", { el: digits.el, show: (digit) => digits.show(String(digit)) });
  stage.append(
    h(
      "div",
      { class: "pr-network" },
      panels[0].map.el,
      h(
        "div",
        { class: "pr-choices" },
        digits.el,
        fig.select("first", "First pooling", data.poolings).el,
        fig.select("second", "Second pooling", data.poolings).el,
      ),
      scores,
    ),
    ...panels.slice(1).map(({ map }) => map.el),
  );

  // Where the cell pointed at lies, and all that it sees on earlier layers: outlines for each layer.
  function outlines() {
    const marks = Object.fromEntries(LAYERS.map(({ name }) => [name, []]));
    if (!pointed || fig.veiled) return marks;
    let layer = LAYERS.find(({ name }) => name === pointed.name);
    let spans = pointed.cell.map((v) => [v, v]);
    let map = pointed.map;
    for (;;) {
      const pitch = layers[layer.name][0].length + (layer.gap ?? 0);
      const columns = columnsOf(layer.name);
      const which = map === null ? layers[layer.name].map((_, i) => i) : [map];
      for (const i of which) {
        const [top, left] = [Math.floor(i / columns) * pitch, (i % columns) * pitch];
        const [[r0, r1], [c0, c1]] = spans;
        marks[layer.name].push({ cells: [top + r0, left + c0, r1 - r0 + 1, c1 - c0 + 1] });
      }
      if (!layer.from) return marks;
      const { kernel, stride, padding } = layer;
      const before = layers[layer.from][0].length;
      spans = spans.map(([a, b]) => [Math.max(0, a * stride - padding), Math.min(before - 1, b * stride - padding + kernel - 1)]);
      if (padding) map = null; // a convolution sees every map
      layer = LAYERS.find(({ name }) => name === layer.from);
    }
  }

  const change = (now, start) => {
    const [a, b] = [now, start].map((maps) => maps.flat(3));
    return a.reduce((sum, v, i) => sum + Math.abs(v - b[i]), 0) / b.reduce((sum, v) => sum + Math.abs(v), 0);
  };

  return function draw() {
    const { state } = fig;
    const poolings = [state.first, state.second];
    layers = activations(weights, sheetOf(state), poolings);
    const start = activations(weights, sheetOf({ ...state, at: [6, 6] }), poolings);
    const scales = { image: (v) => v };
    scales.relu1 = scales.pool1 = scaleOf(layers.relu1, layers.pool1);
    scales.relu2 = scales.pool2 = scaleOf(layers.relu2, layers.pool2);
    const marks = outlines();
    const moved = state.at.some((v) => v !== 6);
    for (const { name, text, gap, map } of panels) {
      const maps = layers[name];
      const changed = moved ? `, changed by ${percent(change(maps, start[name]))}` : "";
      map.draw({
        heading: gap ? `${text}: ${maps.length} maps, ${maps[0].length} \u00d7 ${maps[0].length}${changed}` : "Drag the digit",
        label: gap
          ? `${text}: ${maps.length} maps. Point at a cell, or move with the arrow keys, to see what it sees.`
          : `The digit ${state.digit} on its sheet, at row ${state.at[0]}, column ${state.at[1]}. The arrow keys move it.`,
        map: gap ? mosaic(maps, columnsOf(name), gap) : maps[0],
        palette: gap ? "value" : "grey",
        share: scales[name],
        regions: marks[name],
      });
    }
    const most = Math.max(...layers.scores.map(Math.abs)) || 1;
    const best = layers.scores.indexOf(Math.max(...layers.scores));
    layers.scores.forEach((score, digit) => {
      const [, bar, text] = bars[digit].children;
      bars[digit].classList.toggle("pr-best", digit === best);
      bar.style.setProperty("--from", Math.min(0, score) / most);
      bar.style.setProperty("--share", Math.abs(score) / most);
      text.textContent = number(score);
      bars[digit].dataset.value = score;
    });
    const after = ["pool1", "pool2"].map((name) => percent(change(layers[name], start[name])));
    const place = moved ? `The digit has moved. The first pooled maps have changed by ${after[0]}, the second by ${after[1]}. ` : "";
    fig.say(`${place}The network reads the ${state.digit} as ${best}${best === state.digit ? "" : ", which is wrong"}.`);
    fig.note("Blue is large; each pair of layers has one scale. Point at a cell of a map to see what it sees on all layers before.");
  };
}

export const network = { title: "A network reads a digit", build: buildNetwork };
