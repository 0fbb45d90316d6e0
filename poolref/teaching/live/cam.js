// A class activation map over the picture: which cells spoke for a class, and how a global pooling makes its score of them.
import { evidence, globalScores, layersOf, weightsOf } from "./kit/network.js";
import { number, scaleOf } from "./kit/numbers.js";
import { chips, h } from "./kit/page.js";
import { canvasMap } from "./kit/canvas.js";

const ROWS = 20;
const SIDE = 8; // of a digit
const OTHER_ROW = 6;
const HALF = 2; // cells of the picture for each cell of a map, along an axis

const place = (sheet, digit, [top, left]) =>
  digit.forEach((row, r) => row.forEach((v, c) => (sheet[top + r][left + c] = Math.max(sheet[top + r][left + c], v / 16))));

function settledCam(state) {
  const [row, column] = state.at;
  return { ...state, at: [row, Math.min(column, state.columns - SIDE)] };
}

function buildCam(fig) {
  const { data, stage } = fig;
  const weights = weightsOf(data.weights);
  const sheetOf = ({ digit, at, other, columns }) => {
    const sheet = Array.from({ length: ROWS }, () => new Array(columns).fill(0));
    if (other !== "none") place(sheet, data.digits[other], [OTHER_ROW, columns - SIDE - 2]);
    place(sheet, data.digits[digit], at);
    return sheet;
  };
  const move = (down, right) => {
    const inside = (v, most) => Math.max(0, Math.min(most, v));
    const [r, c] = fig.state.at;
    fig.set({ at: [inside(r + down, ROWS - SIDE), inside(c + right, fig.state.columns - SIDE)] }, { join: "at" });
  };
  const scene = canvasMap("heat", { onmove: move });
  const tiles = canvasMap("evidence");
  tiles.el.classList.add("pr-outcome");
  const names = data.digits.map((_, digit) => String(digit));
  const bars = names.map((name) => h("div", { class: "pr-score" }, h("b", {}, name), h("i"), h("span")));
  const scores = h("section", { class: "pr-panel pr-scores pr-outcome" }, h("p", { class: "pr-title" }, "scores"), ...bars);
  const seen = chips("Heat for the class", names, (name) => fig.set({ seen: Number(name) }));
  fig.bind("seen", { el: seen.el, show: (value) => seen.show(String(value)) });
  const sum = h("p", { class: "pr-sum pr-outcome" });
  stage.append(h("div", { class: "pr-cam" }, h("div", {}, scene.el, sum, seen.el), scores), tiles.el);
  const digit = chips("Digit to drag", names, (name) => fig.set({ digit: Number(name) }));
  fig.bind("digit", { el: digit.el, show: (value) => digit.show(String(value)) });
  fig.side.append(
    fig.select("head", "Head", [["average", "global average"], ["max", "global maximum"]]).el,
    fig.slider("columns", "columns of the sheet", { min: 20, max: 60, step: 4 }).el,
    fig.select("other", "Second digit", ["none", ...names].map((name) => [name, name])).el,
    digit.el,
  );

  return function draw() {
    const { state } = fig;
    const sheet = sheetOf(state);
    const { relu2 } = layersOf(weights, sheet, ["max", "max"]);
    const parts = evidence(weights, relu2, state.head, state.seen);
    const cells = relu2[0].length * relu2[0][0].length;
    const average = state.head === "average";
    const times = average ? cells : 1; // the mean divides by the number of cells: the heat is the evidence before that
    const heat = parts[0].map((row, r) => row.map((_, c) => times * parts.reduce((total, map) => total + map[r][c], 0)));
    const all = globalScores(weights, sheet, state.head);
    const best = all.indexOf(Math.max(...all));
    const bias = weights[`${state.head}.bias`][state.seen];
    const pooled = all[state.seen] - bias;
    const veiled = fig.veiled;
    scene.draw({
      heading: veiled ? "Drag the digit" : `Heat for the ${state.seen}: green for it, violet against it. Drag the digit`,
      label: `The sheet with the digit ${state.digit} at row ${state.at[0]}, column ${state.at[1]}. The arrow keys move it.`,
      map: sheet.map((row, r) => row.map((_, c) => (veiled ? 0 : heat[Math.floor(r / HALF)][Math.floor(c / HALF)]))),
      over: sheet.map((row) => row.map((v) => 0.8 * v)),
      palette: "gradient",
      share: scaleOf(heat),
    });
    scene.frame.heat = heat;
    const [wide, gap] = [relu2[0][0].length, 1];
    const columns = stage.clientWidth < 480 ? 4 : 8;
    const high = relu2[0].length;
    tiles.draw({
      heading: `The 16 maps, each times its weight for the ${state.seen}`,
      label: `16 maps of ${high} by ${wide} cells, each times its weight for the ${state.seen}.`,
      map: Array.from({ length: (relu2.length / columns) * (high + gap) - gap }, (_, r) =>
        Array.from({ length: columns * (wide + gap) - gap }, (_, c) => {
          const map = parts[Math.floor(r / (high + gap)) * columns + Math.floor(c / (wide + gap))];
          return map[r % (high + gap)]?.[c % (wide + gap)] ?? NaN;
        }),
      ),
      palette: "gradient",
      share: scaleOf(...parts),
    });
    const most = Math.max(...all.map(Math.abs)) || 1;
    all.forEach((score, name) => {
      const [, bar, text] = bars[name].children;
      bars[name].classList.toggle("pr-best", name === best);
      bar.style.setProperty("--from", Math.min(0, score) / most);
      bar.style.setProperty("--share", Math.abs(score) / most);
      text.textContent = number(Math.round(100 * score) / 100);
      bars[name].dataset.value = score;
    });
    const rounded = (v) => number(Math.round(1000 * v) / 1000, 6);
    sum.textContent =
      `${average ? `mean of the heat's ${cells} cells` : "sum of the heat"} ${rounded(pooled)}, ` +
      `plus bias ${rounded(bias)}, is the score of the ${state.seen}: ${rounded(all[state.seen])}`;
    sum.dataset.value = pooled;
    fig.say(`The largest score is that of the ${best}.`);
    fig.note(
      average
        ? "Each cell of the heat adds the 16 maps at its place, each times its weight. The deepest colour is the largest magnitude."
        : "Only the winner of each map adds to the score: its value times the map's weight. The deepest colour is the largest magnitude.",
    );
  };
}

export const cam = { title: "Where did it see the seven?", settle: settledCam, build: buildCam };
