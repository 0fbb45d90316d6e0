// Regions times a reducer gives an output, on a photograph: the figure of the first page.
import { pooled, spansOf } from "./kit/pooling.js";
import { count, number } from "./kit/numbers.js";
import { chips, h, wantsMotion } from "./kit/page.js";
import { canvasMap } from "./kit/canvas.js";
import { unpacked } from "./kit/picture.js";

const NAMES = { max: "The largest", mean: "The mean", "softmax-weighted": "The softmax-weighted mean", min: "The smallest" };

function buildHero(fig) {
  const { data, stage } = fig;
  const photograph = unpacked(data.picture);
  let [spans, output] = [];
  const choose = (name) => (value) => fig.set({ [name]: value });
  const pick = (selected) => {
    clearInterval(intro);
    if (selected) fig.set({ selected }, { record: false });
  };

  const source = canvasMap("photograph", { onpick: pick });
  const made = canvasMap("output", {
    onpick: (index) => index && pick(index.map((at, axis) => spans[axis][at].at(-1))), // of running regions the newest cell
  });
  made.el.classList.add("pr-outcome");
  const regions = chips("Regions", Object.keys(data.regions), choose("regions"));
  const reducers = chips("Reducer", Object.keys(data.reducers), choose("reducer"));
  fig.bind("regions", regions);
  fig.bind("reducer", reducers);
  stage.append(h("div", { class: "pr-hero" }, source.el, h("div", { class: "pr-choices" }, regions.el, reducers.el), made.el));
  fig.note("Point at the photograph or at the output, or move with the arrow keys.");

  // For three seconds the region moves by itself, to show that it can.
  let step = 0;
  const intro = setInterval(() => {
    step += 1;
    if (step > 12 || !wantsMotion() || !fig.el.isConnected) return clearInterval(intro);
    fig.set({ selected: [18, (30 + 4 * step) % 64] }, { record: false });
  }, 250);
  fig.el.addEventListener("pointerdown", () => clearInterval(intro));
  fig.el.addEventListener("keydown", () => clearInterval(intro));

  let shown = [];
  return function draw() {
    const { state } = fig;
    const kind = data.regions[state.regions];
    if (shown[0] !== state.regions || shown[1] !== state.reducer) {
      spans = spansOf([64, 64], kind);
      output = pooled(photograph, kind, data.reducers[state.reducer]);
      shown = [state.regions, state.reducer];
    }
    // The first of the outputs whose region holds the chosen cell, and the ends of that region.
    const [i, j] = spans.map((along, axis) => along.findIndex((cells) => cells.includes(state.selected[axis])));
    const [rows, columns] = [spans[0][i], spans[1][j]];
    const [top, left, high, wide] = [rows[0], columns[0], rows.length, columns.length];
    source.draw({
      heading: "Photograph, 64 \u00d7 64",
      label: "The photograph. Point at it, or move with the arrow keys, to choose a region.",
      map: photograph,
      regions: [{ cells: [top, left, high, wide] }],
    });
    made.draw({
      heading: `Output, ${output.length} \u00d7 ${output[0].length}`,
      label: "The output. Point at it, or move with the arrow keys, to see a cell's region.",
      map: output,
      square: true,
      regions: [{ cells: [i, j, 1, 1] }],
    });
    fig.say(`${NAMES[state.reducer]} of the ${count(high * wide, "cell")} in the outlined region is ${number(output[i][j])}: one cell of the output.`, { quietly: true });
  };
}

export const hero = { title: "A pooling operator is a choice of regions and a reducer", build: buildHero };
