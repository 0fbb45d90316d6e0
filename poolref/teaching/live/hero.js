// Regions times a reducer gives an output, on a photograph: the figure of the first page.
import { pool } from "./kit/pooling.js";
import { count, number } from "./kit/numbers.js";
import { chips, h, wantsMotion } from "./kit/page.js";
import { canvasMap } from "./kit/canvas.js";
import { unpacked } from "./kit/picture.js";

const NAMES = { max: "The largest", mean: "The mean", "softmax-weighted": "The softmax-weighted mean", min: "The smallest" };

function buildHero(fig) {
  const { data, stage } = fig;
  const photograph = unpacked(data.picture);
  let outputs;
  const choose = (name) => (value) => fig.set({ [name]: value });
  const pick = (selected) => {
    clearInterval(intro);
    if (selected) fig.set({ selected }, { record: false });
  };

  const source = canvasMap("photograph", { onpick: pick });
  const made = canvasMap("output", {
    onpick: (index) => index && pick(outputs[index[0]][index[1]].cells.at(-1)), // the last: of running regions the newest
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

  // The first of the outputs whose region holds a cell.
  function outputAt([row, column]) {
    for (const [i, line] of outputs.entries()) {
      for (const [j, { cells }] of line.entries()) {
        const [[top, left], [bottom, right]] = [cells[0], cells.at(-1)];
        if (top <= row && row <= bottom && left <= column && column <= right) return [i, j];
      }
    }
    return [0, 0];
  }

  let shown = [];
  return function draw() {
    const { state } = fig;
    if (shown[0] !== state.regions || shown[1] !== state.reducer) {
      outputs = pool(photograph, data.regions[state.regions], data.reducers[state.reducer]);
      shown = [state.regions, state.reducer];
    }
    const isRunning = data.regions[state.regions].kind === "running";
    const [i, j] = isRunning ? state.selected : outputAt(state.selected);
    const { cells, value } = outputs[i][j];
    const [top, left] = cells[0];
    const [bottom, right] = cells.at(-1);
    source.draw({
      heading: "Photograph, 64 \u00d7 64",
      label: "The photograph. Point at it, or move with the arrow keys, to choose a region.",
      map: photograph,
      regions: [{ cells: [top, left, bottom - top + 1, right - left + 1] }],
    });
    made.draw({
      heading: `Output, ${outputs.length} \u00d7 ${outputs[0].length}`,
      label: "The output. Point at it, or move with the arrow keys, to see a cell's region.",
      map: outputs.map((line) => line.map((output) => output.value)),
      square: true,
      regions: [{ cells: [i, j, 1, 1] }],
    });
    fig.say(`${NAMES[state.reducer]} of the ${count(cells.length, "cell")} in the outlined region is ${number(value)}: one cell of the output.`, { quietly: true });
  };
}

export const hero = { title: "A pooling operator is a choice of regions and a reducer", build: buildHero };
