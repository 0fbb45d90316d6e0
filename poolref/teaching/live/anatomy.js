// The small network, opened: every layer with its shape, what one of its cells sees, its weights and one of its maps;
// choose a layer to see them all, exchange the poolings.
import { activations, weightsOf } from "./kit/network.js";
import { count, number, scaleOf } from "./kit/numbers.js";
import { fieldsOf } from "./kit/pooling.js";
import { chips, control, h } from "./kit/page.js";
import { canvasMap, mosaic } from "./kit/canvas.js";

const PARTS = ["image", "relu1", "pool1", "relu2", "pool2", "scores"];
const across = (maps) => (maps.length > 8 ? 8 : 4); // maps in a row of the opened layer
const GAP = 1;

// What one cell of a pooled map sees of the map before.
const POOLED = {
  none: { kind: "window", kernel_size: 1, stride: 1 },
  subsample: { kind: "window", kernel_size: 1, stride: 2 },
};
const windowBy = (name) => POOLED[name] ?? { kind: "window", kernel_size: 2, stride: 2 };
const CONV = { kind: "window", kernel_size: 3, stride: 1, padding: 1 };

// For every layer but the sheet: the cells left along an axis and the field of one of its cells.
function anatomyFields({ first, second }, side) {
  const stack = [CONV, windowBy(first), CONV, windowBy(second)];
  const found = fieldsOf(stack, side);
  const last = { kind: "window", kernel_size: found.at(-1).left, stride: 1 };
  return fieldsOf([...stack, last], side);
}

const halfOf = (layer) => (layer === "relu2" || layer === "pool2" ? 1 : 0);

function settledAnatomy(state, { size }) {
  const index = PARTS.indexOf(state.layer);
  const left = index === 0 ? size : anatomyFields(state, size)[index - 1].left;
  return { ...state, cell: state.cell.map((v) => Math.min(v, left - 1)) };
}

function buildAnatomy(fig) {
  const { data, stage } = fig;
  const weights = weightsOf(data.weights);
  const names = Object.fromEntries(data.poolings);
  const thousands = (n) => n.toLocaleString("en");
  let layers;

  const tiles = PARTS.map((layer) => {
    const map = layer === "scores" ? null : canvasMap(`tile-${layer}`);
    const big = layer === "scores" ? h("em", { class: "pr-outcome" }) : null;
    map?.el.classList.add("pr-outcome");
    const [name, facts] = [h("b"), h("span", { class: "pr-facts" })];
    const el = control("button", { type: "button", class: "pr-tile", "data-layer": layer, onclick: () => fig.set({ layer }, { record: false }) }, name, map?.el ?? big, facts);
    return { layer, map, big, name, facts, el };
  });
  const opened = canvasMap("opened", {
    onpick(index) {
      const { layer, maps } = fig.state;
      if (!index || layer === "scores" || fig.veiled) return;
      const side = layers[layer][0].length;
      const [down, right] = index.map((v) => Math.floor(v / (side + GAP)));
      const cell = index.map((v) => v % (side + GAP));
      const map = down * across(layers[layer]) + right;
      if (cell.some((v) => v >= side) || map >= layers[layer].length) return;
      const next = layer === "image" ? maps : maps.map((v, i) => (i === halfOf(layer) ? map : v));
      fig.set({ maps: next, cell }, { record: false });
    },
  });
  opened.el.classList.add("pr-outcome");
  const bars = data.digits.map((_, digit) => h("div", { class: "pr-score" }, h("b", {}, String(digit)), h("i"), h("span")));
  const scores = h("section", { class: "pr-panel pr-scores pr-outcome" }, h("p", { class: "pr-title" }, "scores"), ...bars);

  const row = h("div", { class: "pr-ways", style: "align-items: stretch; margin-bottom: 0.5rem" }, ...tiles.map(({ el }) => el));
  const digits = chips("Digit", data.digits.map((_, digit) => String(digit)), (digit) => fig.set({ digit: Number(digit) }));
  fig.bind("digit", { el: digits.el, show: (digit) => digits.show(String(digit)) });
  stage.append(
    h("div", { class: "pr-bar" }, digits.el, fig.select("first", "First pooling", data.poolings).el, fig.select("second", "Second pooling", data.poolings).el),
    row,
    h("div", { class: "pr-split" }, opened.el, scores),
  );

  const sheetOf = (digit) => {
    const sheet = Array.from({ length: data.size }, () => new Array(data.size).fill(0));
    const at = (data.size - data.digits[digit].length) >> 1;
    data.digits[digit].forEach((row, r) => row.forEach((v, c) => (sheet[at + r][at + c] = v / 16)));
    return sheet;
  };

  // What the chosen cell of the chosen layer sees on each layer up to it: [top, left, high, wide] by layer.
  function seenBy({ layer, cell, first, second }) {
    const found = {};
    let index = PARTS.indexOf(layer);
    let spans = layer === "scores" ? [0, 1].map(() => [0, layers.pool2[0].length - 1]) : cell.map((v) => [v, v]);
    const before = [CONV, windowBy(first), CONV, windowBy(second)];
    if (layer === "scores") index -= 1;
    for (; ; index -= 1) {
      const [[r0, r1], [c0, c1]] = spans;
      found[PARTS[index]] = [r0, c0, r1 - r0 + 1, c1 - c0 + 1];
      if (!index) return found;
      const { kernel_size: k, stride: s, padding: p = 0 } = before[index - 1];
      const last = layers[PARTS[index - 1]][0].length - 1;
      spans = spans.map(([a, b]) => [Math.max(0, a * s - p), Math.min(last, b * s - p + k - 1)]);
    }
  }

  return function draw() {
    const { state } = fig;
    const poolings = [state.first, state.second];
    row.style.setProperty("--tiles", stage.clientWidth < 480 ? 3 : 6);
    layers = activations(weights, sheetOf(state.digit), poolings);
    const fields = anatomyFields(state, data.size);
    const arriving = layers.pool2.flat(2).length;
    const best = layers.scores ? layers.scores.indexOf(Math.max(...layers.scores)) : null;
    const titles = {
      image: "sheet",
      relu1: "convolution, ReLU",
      pool1: names[state.first],
      relu2: "convolution, ReLU",
      pool2: names[state.second],
      scores: "dense layer",
    };
    const learned = {
      relu1: weights["conv1.weight"].flat(3).length + weights["conv1.bias"].length,
      relu2: weights["conv2.weight"].flat(3).length + weights["conv2.bias"].length,
      scores: (arriving + 1) * weights["linear.bias"].length,
    };
    const shares = { image: (v) => v };
    shares.relu1 = shares.pool1 = scaleOf(layers.relu1, layers.pool1);
    shares.relu2 = shares.pool2 = scaleOf(layers.relu2, layers.pool2);
    const seen = seenBy(state);
    tiles.forEach(({ layer, map, big, name, facts, el }, i) => {
      name.textContent = titles[layer];
      el.setAttribute("aria-pressed", String(layer === state.layer));
      el.style.boxShadow = layer === state.layer ? "0 0 0 2px var(--pr-region)" : "";
      const maps = layers[layer];
      const shape = layer === "scores" ? "10" : `${maps.length} \u00d7 ${maps[0].length} \u00d7 ${maps[0].length}`;
      const numbers = layer === "scores" ? 10 : maps.flat(2).length;
      const sees = i === 0 ? "" : layer === "scores" ? "sees all" : `sees ${fields[i - 1].size} \u00d7 ${fields[i - 1].size}`;
      const lines = [shape, layer === "scores" ? "scores" : `${thousands(numbers)} numbers`, sees, i === 0 ? "" : `${thousands(learned[layer] ?? 0)} weights`];
      facts.replaceChildren(...lines.filter(Boolean).map((line) => h("div", {}, line)));
      if (big) big.textContent = best === null ? "?" : String(best);
      const shown = layer === "image" ? 0 : state.maps[halfOf(layer)];
      map?.draw({
        label: layer === "image" ? `The digit ${state.digit} on its sheet.` : `${titles[layer]}, map ${shown}.`,
        map: maps[shown],
        palette: layer === "image" ? "grey" : "value",
        share: shares[layer],
        regions: seen[layer] && !fig.veiled ? [{ cells: seen[layer] }] : [],
      });
    });

    // The opened layer: all its maps, or what each number that arrives adds to the best score.
    const { layer } = state;
    if (layer === "scores") {
      const row = best === null ? null : weights["linear.weight"][best];
      const side = layers.pool2[0].length;
      const added = layers.pool2.map((map, m) => map.map((line, r) => line.map((v, c) => (row ? v * row[(m * side + r) * side + c] : NaN))));
      opened.draw({
        heading: row ? `What each of the ${thousands(arriving)} numbers adds to the score of ${best}` : `${thousands(arriving)} numbers arrive, and each class has 400 weights: they do not fit`,
        label: "The maps that the dense layer reads, each cell multiplied by its weight.",
        map: mosaic(added, across(added), GAP),
        palette: "value",
        share: scaleOf(added),
      });
    } else {
      const maps = layers[layer];
      const shown = layer === "image" ? 0 : state.maps[halfOf(layer)];
      const columns = across(maps);
      const pitch = maps[0].length + GAP;
      const [top, left] = [Math.floor(shown / columns) * pitch, (shown % columns) * pitch];
      const cell = [top + state.cell[0], left + state.cell[1], 1, 1];
      opened.draw({
        heading: layer === "image" ? "The sheet" : `${titles[layer]}: all ${maps.length} maps. Point at a cell.`,
        label: `${titles[layer]}: ${count(maps.length, "map")}. Point at a cell, or move with the arrow keys, to see what it sees.`,
        map: layer === "image" ? mosaic([maps[0], ...new Array(3).fill(maps[0].map((line) => line.map(() => NaN)))], columns, GAP) : mosaic(maps, columns, GAP),
        palette: layer === "image" ? "grey" : "value",
        share: shares[layer],
        regions: fig.veiled ? [] : [{ cells: cell }],
      });
    }

    const most = Math.max(...(layers.scores ?? [0]).map(Math.abs)) || 1;
    bars.forEach((bar, digit) => {
      const score = layers.scores?.[digit] ?? 0;
      const [, line, text] = bar.children;
      bar.classList.toggle("pr-best", digit === best);
      line.style.setProperty("--from", Math.min(0, score) / most);
      line.style.setProperty("--share", Math.abs(score) / most);
      text.textContent = layers.scores ? number(score) : "\u2013";
      bar.dataset.value = layers.scores ? score : "";
    });
    const handed = layer === "scores" ? `The dense layer learns ${thousands(learned.scores)} numbers for the ${thousands(arriving)} that arrive.` : `${layer === "image" ? "The sheet has" : "This layer hands on"} ${thousands(layers[layer].flat(2).length)} numbers.`;
    const answer = best === null ? `The dense layer was trained for 400 numbers, and ${thousands(arriving)} arrive: there is no answer.` : `The network reads the ${state.digit} as ${best}${best === state.digit ? "" : ", which is wrong"}.`;
    fig.say(`${handed} ${answer}`);
    fig.note("Choose a layer to open it. Outlines: what the cell pointed at sees on all layers before. All weights were trained with max pooling in both places.");
  };
}

export const anatomy = { title: "The network, opened", settle: settledAnatomy, build: buildAnatomy };
