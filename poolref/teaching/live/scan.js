// Two maps of edges, two scans that carry the largest value met so far, and the sum in which both meet.
import { pooled } from "./kit/pooling.js";
import { at, number } from "./kit/numbers.js";
import { h } from "./kit/page.js";
import { canvasMap } from "./kit/canvas.js";
import { unpacked } from "./kit/picture.js";

const WAYS = { "top left": ["up", "left"], "bottom right": ["down", "right"] };
const ARROWS = { up: "\u2191", down: "\u2193", left: "\u2190", right: "\u2192" };
const isReverse = (way) => way === "up" || way === "left";
const isUpright = (way) => way === "up" || way === "down";

// Equal means may differ in their last digits, which would show as edges of 1e-17.
const rounded = (value) => Math.round(value * 1e12) / 1e12;

// Where a bright thing begins, or ends for a bottom right corner: means along the edge, less those one cell further out.
export function edgeMaps(picture, corner, smooth) {
  const half = smooth >> 1;
  const step = corner === "top left" ? 1 : -1;
  const mean = (kernel_size, padding) =>
    pooled(picture, { kind: "window", kernel_size, stride: 1, padding }, { name: "average", count_include_pad: false });
  const rise = (map, down, right) =>
    map.map((row, r) => row.map((v, c) => Math.max(0, rounded(v - (map[r - down]?.[c - right] ?? Infinity)))));
  return [rise(mean([smooth, 1], [half, 0]), 0, step), rise(mean([1, smooth], [0, half]), step, 0)];
}

function largestOf(map) {
  let best = [0, 0];
  map.forEach((row, r) => row.forEach((v, c) => v > map[best[0]][best[1]] && (best = [r, c])));
  return best;
}

// The cells that a scan has met when it reaches a cell, as [top, left, high, wide].
function metBy(way, [r, c], n) {
  if (way === "up") return [r, c, n - r, 1];
  if (way === "down") return [0, c, r + 1, 1];
  if (way === "left") return [r, c, 1, n - c];
  return [r, 0, 1, c + 1];
}

function buildScan(fig) {
  const { data, stage, side } = fig;
  const n = data.size;
  const known = {};
  // All there is to know of a picture and its edges, for both corners.
  function madeOf({ picture: name, smooth }) {
    return (known[`${name} ${smooth}`] ??= (() => {
      const picture = unpacked(data.pictures[name]);
      const corners = {};
      for (const [corner, ways] of Object.entries(WAYS)) {
        const maps = edgeMaps(picture, corner, smooth);
        const runs = maps.map((map, i) => pooled(map, { kind: "running", direction: ways[i] }, { name: "max" }));
        const sum = runs[0].map((row, r) => row.map((v, c) => v + runs[1][r][c]));
        const most = maps.map((map) => Math.max(...map.flat()) || 1);
        const found = largestOf(sum);
        const top = sum[found[0]][found[1]] || 1;
        corners[corner] = { maps, runs, sum, found, shares: [...most, top].map((all) => (v) => v / all) };
      }
      return { picture, corners };
    })());
  }

  let quietly = true;
  const choose = (cell, how) => {
    if (!cell) return;
    quietly = how.quietly;
    fig.set({ selected: cell }, { record: false });
  };
  const scene = canvasMap("scene", { onpick: choose });
  const sheets = ["upright", "level", "sum"].map((name) => canvasMap(name, { onpick: choose }));
  sheets[2].el.classList.add("pr-outcome");
  const tiles = h("div", { class: "pr-tiles pr-line" }, scene.el, ...sheets.map(({ el }) => el));
  stage.append(tiles);

  const line = fig.timeline({
    moments: () => n + 1,
    now: () => fig.state.moment,
    go: (moment) => fig.set({ moment }, { record: false }),
    words: (moment) => `${moment} of ${n} rows and columns scanned`,
  });
  fig.foot.append(line.el);
  side.append(
    fig.select("picture", "Picture", Object.keys(data.pictures).map((name) => [name, name])).el,
    fig.select("corner", "Corner", Object.keys(WAYS).map((name) => [name, name])).el,
    fig.slider("smooth", "mean along an edge", { min: 1, max: data.longest, step: 2 }).el,
  );
  fig.note("Ahead of a scan stand the edges found in the picture, behind it the largest edge met so far. Each map has its own scale: the deepest colour is its largest value.");

  const isMet = (way, i, moment) => (isReverse(way) ? n - 1 - i : i) < moment;

  return function draw() {
    const { corner, moment, selected } = fig.state;
    const { picture, corners } = madeOf(fig.state);
    const { maps, runs, sum, found, shares } = corners[corner];
    const ways = WAYS[corner];
    const [r, c] = selected;
    const done = moment === n;
    tiles.style.setProperty("--tiles", stage.clientWidth > 560 ? 4 : 2);

    const ends = [corners["top left"].found, corners["bottom right"].found];
    const box = [...ends[0], ends[1][0] - ends[0][0] + 1, ends[1][1] - ends[0][1] + 1];
    const hasBox = done && box[2] > 0 && box[3] > 0;
    scene.draw({
      heading: hasBox ? "Picture and box" : "Picture",
      label: "The picture. Point at a cell, or move with the arrow keys.",
      map: picture,
      regions: [...(hasBox ? [{ cells: box }] : []), ...(done ? [{ cells: [...found, 1, 1] }] : []), { cells: [r, c, 1, 1], kind: "line" }],
    });
    ["Upright edges", "Level edges"].forEach((title, i) => {
      const way = ways[i];
      const front = isReverse(way) ? n - moment : moment - 1; // the row or column that has been met last
      const lineOf = isUpright(way) ? [front, 0, 1, n] : [0, front, n, 1];
      sheets[i].draw({
        heading: `${title} ${ARROWS[way]}`,
        label: `${title}, scanned ${way}. ${moment} of ${n} are scanned. Point at a cell, or move with the arrow keys.`,
        map: maps[i].map((row, y) => row.map((v, x) => (isMet(way, isUpright(way) ? y : x, moment) ? runs[i][y][x] : v))),
        palette: "value",
        share: shares[i],
        regions: done || !moment ? [{ cells: metBy(way, selected, n) }] : [{ cells: lineOf }],
      });
    });
    const isReached = (y, x) => isMet(ways[0], y, moment) && isMet(ways[1], x, moment);
    sheets[2].draw({
      heading: "Sum",
      label: `The sum of both running maxima, as far as both scans have come. Point at a cell, or move with the arrow keys.`,
      map: sum.map((row, y) => row.map((v, x) => (isReached(y, x) ? v : 0))),
      palette: "value",
      share: shares[2],
      regions: [...(done ? [{ cells: [...found, 1, 1] }] : []), { cells: [r, c, 1, 1], kind: "line" }],
    });
    const shown = isReached(r, c)
      ? `Cell ${at(selected)}: ${number(runs[0][r][c])} in its column + ${number(runs[1][r][c])} in its row = ${number(sum[r][c])}.`
      : `The scans have not met at cell ${at(selected)} yet.`;
    const there = `The largest sum, ${number(sum[found[0]][found[1]])}, stands at cell ${at(found)}, where the edge maps hold ${maps.map((map) => number(map[found[0]][found[1]])).join(" and ")}.`;
    fig.say(done ? `${shown} ${there}` : `${moment} of ${n} rows and columns are scanned. ${shown}`, { quietly: quietly || line.playing });
    quietly = true;
  };
}

export const scan = {
  title: "Two scans meet",
  problem: ({ smooth }) => (smooth % 2 ? "" : `A mean of ${smooth} cells has no cell in its middle: take an odd number.`),
  build: buildScan,
};
