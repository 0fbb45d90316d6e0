// A picture of any size under the bins of a pyramid, its vector, and beside it the vector of its mirror image.
import { pooled, spansOf } from "./kit/pooling.js";
import { at, number } from "./kit/numbers.js";
import { control, h, s } from "./kit/page.js";
import { canvasMap, inSquare } from "./kit/canvas.js";
import { resized, unpacked } from "./kit/picture.js";

const CLOSE = 1e-9; // below this, two entries are equal

const gridOf = (n) => ({ kind: "adaptive", output_size: n });

const turnedOver = (map, other) => (other === "mirrored" ? map.map((row) => row.toReversed()) : map.toReversed());

// Brightness, and how much it differs between the left and right, and the upper and lower, neighbours.
function channelsOf(map) {
  const [rows, columns] = [map.length, map[0].length];
  const value = (r, c) => map[Math.max(0, Math.min(rows - 1, r))][Math.max(0, Math.min(columns - 1, c))];
  const slopeAlong = (down, right) =>
    map.map((row, r) => row.map((_, c) => Math.abs(value(r + down, c + right) - value(r - down, c - right))));
  return [map, slopeAlong(0, 1), slopeAlong(1, 0)];
}

const vectorOf = (channels, levels, name) =>
  levels.flatMap((n) => channels.flatMap((map) => pooled(map, gridOf(n), { name }).flat()));

// The place of every entry: its level n (n × n bins), its channel, its bin.
const placesOf = (levels, channels) =>
  levels.flatMap((n) =>
    channels.flatMap((_, channel) => Array.from({ length: n * n }, (_, i) => ({ n, channel, bin: [Math.floor(i / n), i % n] }))),
  );

const lengthOf = (levels, { channels }) => channels.length * levels.reduce((sum, n) => sum + n * n, 0);
const settledPyramid = (state, data) => ({ ...state, entry: Math.min(state.entry, lengthOf(data.levels[state.levels], data) - 1) });

function buildPyramid(fig) {
  const { data, stage, side } = fig;
  const sources = Object.fromEntries(Object.entries(data.pictures).map(([name, picture]) => [name, unpacked(picture)]));
  const [least, most] = data.sizes;
  const levelsNow = () => data.levels[fig.state.levels];
  const choose = (entry) => entry !== fig.state.entry && fig.set({ entry }, { record: false });

  // The entry of the same level and channel whose bin holds a cell; of several bins the chosen one or the first.
  function chooseHolding(cell) {
    const all = placesOf(levelsNow(), data.channels);
    const now = all[fig.state.entry];
    const shape = [fig.state.height, fig.state.width];
    const bin = spansOf(shape, gridOf(now.n)).map((spans, axis) => {
      const place = Math.min(cell[axis], shape[axis] - 1);
      return spans[now.bin[axis]].includes(place) ? now.bin[axis] : spans.findIndex((span) => span.includes(place));
    });
    choose(all.findIndex(({ n, channel, bin: b }) => n === now.n && channel === now.channel && b[0] === bin[0] && b[1] === bin[1]));
  }
  const panels = ["picture", "compared"].map((name) => canvasMap(name, { onpick: (cell) => cell && chooseHolding(cell) }));
  const chart = s("svg", { class: "pr-chart", style: "max-width: none; cursor: pointer; touch-action: pan-y", "aria-hidden": "true" });
  const bars = control("div", { class: "pr-vector", "data-vector": "", role: "slider", tabindex: 0, "aria-label": "entry of the vector", "aria-valuemin": 0 }, chart);
  stage.append(
    h("div", { class: "pr-ways", style: "--tiles: 2; max-width: clamp(17rem, 40vw, 28rem)" }, ...panels.map(({ el }) => el)),
    h("section", { class: "pr-panel pr-outcome", style: "margin-top: 0.6rem" }, bars),
  );

  const pickAt = (event) => {
    const box = chart.getBoundingClientRect();
    const length = lengthOf(levelsNow(), data);
    choose(Math.max(0, Math.min(length - 1, Math.floor(((event.clientX - box.left) / box.width) * length))));
  };
  bars.addEventListener("pointerdown", pickAt);
  bars.addEventListener("pointermove", (event) => event.buttons && pickAt(event));
  bars.addEventListener("keydown", (event) => {
    const last = lengthOf(levelsNow(), data) - 1;
    const { entry } = fig.state;
    const aim = { ArrowLeft: entry - 1, ArrowDown: entry - 1, ArrowRight: entry + 1, ArrowUp: entry + 1, Home: 0, End: last }[event.key];
    if (aim === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    choose(Math.max(0, Math.min(last, aim)));
  });

  side.append(
    fig.select("picture", "Picture", Object.keys(sources).map((name) => [name, name])).el,
    fig.slider("height", "height of the picture", { min: least, max: most }).el,
    fig.slider("width", "width of the picture", { min: least, max: most }).el,
    fig.select("levels", "Levels", Object.keys(data.levels).map((name) => [name, name])).el,
    fig.select("operator", "Each bin gives its", [["average", "mean"], ["max", "maximum"]]).el,
    fig.select("other", "Compare with the same picture", ["mirrored", "upside down"].map((name) => [name, name])).el,
  );
  fig.note("Point at a cell or at an entry of the vector, or move with the arrow keys. Bars: the picture. Orange marks: the other one.");

  // Every entry as a bar, the other picture's as a mark; below, the part of each level.
  function drawVector(own, other, levels, entry) {
    const wide = Math.max(240, stage.clientWidth || 480);
    const [top, high] = [18, 74];
    const unit = wide / own.length;
    const largest = Math.max(...own, ...other, CLOSE);
    const y = (v) => top + high * (1 - v / largest);
    const parts = [s("text", { x: 0, y: 11 }, `the vector: ${own.length} numbers, by level of n\u00a0\u00d7\u00a0n bins and channel`)];
    own.forEach((v, i) => {
      parts.push(s("rect", { class: "pr-seen", x: i * unit + unit * 0.12, y: y(v), width: unit * 0.76, height: top + high - y(v) }));
      parts.push(s("path", { class: "pr-now", d: `M${i * unit} ${y(other[i])}h${unit}` }));
    });
    const bottom = top + high;
    let start = 0;
    for (const n of levels) {
      const ends = data.channels.map((_, c) => start + (c + 1) * n * n);
      const end = ends.at(-1);
      parts.push(s("path", { class: "pr-axis", d: `M${start * unit + 1} ${bottom + 7}v-5H${end * unit - 1}v5` }));
      for (const inner of ends.slice(0, -1)) parts.push(s("path", { class: "pr-axis", d: `M${inner * unit} ${bottom + 2}v3` }));
      parts.push(s("text", { x: ((start + end) / 2) * unit, y: bottom + 19, "text-anchor": "middle" }, `${n}\u00d7${n}`));
      start = end;
    }
    parts.push(s("rect", { class: "pr-span pr-span-lit", x: entry * unit, y: top - 2, width: unit, height: high + 4 }));
    chart.setAttribute("viewBox", `0 0 ${wide} ${bottom + 24}`);
    chart.replaceChildren(...parts);
  }

  let kept = {};
  function madeFrom(state) {
    const key = [state.picture, state.height, state.width, state.levels, state.operator, state.other].join("|");
    if (kept.key !== key) {
      const levels = data.levels[state.levels];
      const picture = resized(state, sources[state.picture], 1 / 4);
      const pairs = [picture, turnedOver(picture, state.other)].map((map) => {
        const channels = channelsOf(map);
        return { vector: vectorOf(channels, levels, state.operator), squares: channels.map((map) => inSquare(map, most)) };
      });
      kept = { key, levels, pairs, all: placesOf(levels, data.channels) };
    }
    return kept;
  }

  return function draw() {
    const { state } = fig;
    const { levels, pairs, all } = madeFrom(state);
    const { n, channel, bin } = all[state.entry];
    const grid = spansOf([state.height, state.width], gridOf(n));
    const box = (i, j) => [grid[0][i][0], grid[1][j][0], grid[0][i].length, grid[1][j].length];
    const others = grid[0].flatMap((_, i) => grid[1].map((_, j) => ({ cells: box(i, j), kind: "line" })));
    const names = [`the picture, ${data.channels[channel]}`, `${state.other}, ${data.channels[channel]}`];
    panels.forEach((panel, i) =>
      panel.draw({
        heading: `${names[i]}\n${state.height}\u00a0\u00d7\u00a0${state.width}`,
        label: `${names[i]}, ${state.height} by ${state.width} cells under ${n} by ${n} bins. Point at a cell, or move with the arrow keys.`,
        map: pairs[i].squares[channel],
        regions: [...others, { cells: box(...bin) }],
      }),
    );
    const [own, other] = pairs.map(({ vector }) => vector);
    bars.values = [own, other]; // the numbers behind the picture, for whoever asks the page
    bars.setAttribute("aria-valuemax", own.length - 1);
    bars.setAttribute("aria-valuenow", state.entry);
    bars.setAttribute("aria-valuetext", `entry ${state.entry}, ${n} by ${n} bins, ${data.channels[channel]}, bin ${at(bin)}`);
    drawVector(own, other, levels, state.entry);
    const unequal = levels.map((side) => {
      const numbers = all.flatMap((place, i) => (place.n === side ? [Math.abs(own[i] - other[i]) > CLOSE] : []));
      return `${numbers.filter(Boolean).length} of ${numbers.length} (${side}\u00a0\u00d7\u00a0${side})`;
    });
    fig.say(
      `Entry ${state.entry}: bin ${at(bin)} of ${n} \u00d7 ${n}, ${data.channels[channel]}, ${state.operator === "max" ? "maximum" : "mean"} ` +
        `${number(own[state.entry])}, ${state.other} ${number(other[state.entry])}. Entries that differ: ${unequal.join(", ")}.`,
    );
  };
}

export const pyramid = { title: "A vector of one length", settle: settledPyramid, build: buildPyramid };
