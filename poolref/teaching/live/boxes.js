// A box on a picture: the cells that RoI pooling rounds it to, the samples that RoIAlign takes, and what both make of it.
import { pooled, roiAligned, roiCells, samplesOf } from "./kit/pooling.js";
import { at, number, same } from "./kit/numbers.js";
import { h } from "./kit/page.js";
import { canvasMap } from "./kit/canvas.js";
import { unpacked } from "./kit/picture.js";

const asItIs = (v) => v;
const DOT = 0.16; // of a cell: the side of a sample's mark

const sideOf = ({ columns }) => columns; // of a picture, which is a square

function settledBox(state, { pictures }) {
  const size = sideOf(pictures[state.picture]);
  const [width, height] = [state.width, state.height].map((side) => Math.min(side, size));
  const inside = (v, side) => Math.max(0, Math.min(v, size - side));
  const selected = state.selected.map((v) => Math.min(v, state.bins - 1));
  return { ...state, width, height, left: inside(state.left, width), top: inside(state.top, height), selected };
}

// How far an output above 1/2, laid over the box, overlaps with the mask in the box: intersection over union.
function overlapOf(output, picture, { left, top, width, height, bins }) {
  let [both, either] = [0, 0];
  for (let r = 0; r < height; r += 1) {
    for (let c = 0; c < width; c += 1) {
      const given = output[Math.floor(((2 * r + 1) * bins) / (2 * height))][Math.floor(((2 * c + 1) * bins) / (2 * width))] > 0.5;
      const truth = picture[top + r][left + c] > 0.5;
      both += given && truth;
      either += given || truth;
    }
  }
  return either ? both / either : 1;
}

function buildBoxes(fig) {
  const { data, stage, side } = fig;
  const known = Object.fromEntries(Object.entries(data.pictures).map(([name, picture]) => [name, unpacked(picture)]));
  const move = (down, right) => fig.set(settledBox({ ...fig.state, top: fig.state.top + down, left: fig.state.left + right }, data), { join: "box" });
  let quietly = true;
  const choose = (cell, how) => {
    if (!cell || same(cell, fig.state.selected)) return;
    quietly = how.quietly;
    fig.set({ selected: cell }, { record: false });
  };
  const scene = canvasMap("scene", { onmove: move });
  const map = canvasMap("map");
  const rounded = canvasMap("rounded", { onpick: choose });
  const sampled = canvasMap("sampled", { onpick: choose });
  for (const { el } of [rounded, sampled]) el.classList.add("pr-outcome");
  stage.append(h("div", { class: "pr-ways pr-boxes", style: "--tiles: 2" }, scene.el, map.el, rounded.el, sampled.el));

  const [[least, most], [fewest, manyBins]] = [data.sides, data.bins];
  side.append(
    fig.select("picture", "Picture", [["mask", "mask of the coins"], ["coins", "coins"], ["small map", "the small map"]]).el,
    fig.select("stride", "Stride", data.strides.map((n) => [n, `${n} pixels a cell`])).el,
    fig.slider("width", "width of the box", { min: least, max: most }).el,
    fig.slider("height", "height of the box", { min: least, max: most }).el,
    fig.slider("bins", "bins a side", { min: fewest, max: manyBins }).el,
    fig.check("aligned", "RoIAlign: shift by half a cell").el,
  );
  fig.note("Drag the box, or move it with the arrow keys. Orange: the box, and the samples of the chosen output. Blue, dashed: the cells that RoI pooling takes, and its bin of the chosen output.");

  let kept = {};
  function coarseOf({ picture, stride }) {
    if (kept.picture !== picture || kept.stride !== stride) {
      kept = { picture, stride, map: pooled(known[picture], { kind: "window", kernel_size: stride }, { name: "average" }) };
    }
    return kept.map;
  }

  return function draw() {
    const { state } = fig;
    const { picture, left, top, width, height, stride, bins, aligned, selected } = state;
    const cells = coarseOf(state);
    const n = cells.length;
    const pixels = n * stride;
    const box = [top, left, top + height, left + width].map((v) => v / stride); // in cells of the map
    const taken = roiCells(box, bins);
    const made = {
      rounded: pooled(cells, taken, { name: "max" }).map((row) => row.map((v) => (Number.isFinite(v) ? v : 0))),
      sampled: roiAligned(cells, box, bins, 0, aligned),
    };
    const [y, x] = taken.start;
    const [high, wide] = taken.size;
    const part = (axis) => {
      const [i, first, size] = [selected[axis], taken.start[axis], taken.size[axis]];
      const start = Math.floor((i * size) / bins);
      return [first + start, Math.ceil(((i + 1) * size) / bins) - start];
    };
    const [[binTop, binHigh], [binLeft, binWide]] = [part(0), part(1)];
    const samples = [0, 1].map((axis) => samplesOf(box[axis], box[axis + 2], bins, 0, aligned)[selected[axis]]);
    const dots = samples[0].flatMap((r) => samples[1].map((c) => [r + 0.5 - DOT / 2, c + 0.5 - DOT / 2]));
    const inPixels = (marks) => marks.map((mark) => ({ ...mark, cells: mark.cells.map((v) => v * stride) }));
    const outline = [
      { cells: [y, x, high, wide], kind: "rounded" },
      { cells: [box[0], box[1], box[2] - box[0], box[3] - box[1]] },
    ];
    const chosen = [
      { cells: [binTop, binLeft, binHigh, binWide], kind: "rounded" },
      ...dots.map(([r, c]) => ({ cells: [r, c, DOT, DOT], kind: "sample" })),
    ];
    scene.draw({
      heading: `the picture\n${pixels}\u00a0\u00d7\u00a0${pixels} pixels`,
      label: `The picture. The box begins at row ${top}, column ${left}. Drag it, or move it with the arrow keys.`,
      map: known[picture],
      share: asItIs,
      regions: inPixels(fig.veiled ? [outline[1]] : outline),
    });
    map.draw({
      heading: `the map\n${n}\u00a0\u00d7\u00a0${n} cells`,
      label: `The map, ${n} by ${n} cells of ${stride} by ${stride} pixels.`,
      map: cells,
      share: asItIs,
      regions: fig.veiled ? [outline[1]] : [...outline, ...chosen],
    });
    const words = { rounded: "RoI pooling", sampled: "RoIAlign" };
    for (const [name, panel] of [["rounded", rounded], ["sampled", sampled]]) {
      const iou = picture === "mask" ? `overlap ${overlapOf(made[name], known.mask, state).toFixed(2)}` : `${bins}\u00a0\u00d7\u00a0${bins}`;
      panel.draw({
        heading: `${words[name]}\n${iou}`,
        label: `What ${words[name]} makes of the box, ${bins} by ${bins}. Point at a cell, or move with the arrow keys.`,
        map: made[name],
        share: asItIs,
        regions: [{ cells: [...selected, 1, 1] }],
      });
    }
    const [down, right] = [0, 1].map((axis) => (taken.start[axis] + taken.size[axis] / 2 - (box[axis] + box[axis + 2]) / 2) * stride);
    const [i, j] = selected;
    fig.say(
      `RoI pooling takes ${high * stride} \u00d7 ${wide * stride} pixels for a box of ${height} \u00d7 ${width}. Their middle lies ` +
        `${number(down)} pixels lower and ${number(right)} further right. RoIAlign's samples lie ${aligned ? "in the box" : `${stride / 2} pixels too low and too far right`}. ` +
        `Output ${at(selected)}: ${number(made.rounded[i][j])} and ${number(made.sampled[i][j])}.`,
      { quietly },
    );
    quietly = true;
  };
}

export const boxes = { title: "A box, rounded or sampled", settle: settledBox, build: buildBoxes };
