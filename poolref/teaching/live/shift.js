// A picture that the reader drags under the windows: how much do the pooled maps change?
import { blurred, pooled, subsampled } from "./kit/pooling.js";
import { percent } from "./kit/numbers.js";
import { button, h, s } from "./kit/page.js";
import { canvasMap } from "./kit/canvas.js";
import { pictureMenu, unpacked } from "./kit/picture.js";

// Each operator with its dashes in the chart, which tell the lines apart without colours.
const WAYS = [
  ["max", "max", "0"],
  ["average", "mean", "7 3"],
  ["blur", "blur", "2 3"],
  ["subsample", "stride alone", "9 3 2 3"],
];

const marginOf = (picture) => Math.floor(picture.length / 6);

function viewOf(picture, [down, right]) {
  const m = marginOf(picture);
  const end = picture.length - m;
  return picture.slice(m - down, end - down).map((row) => row.slice(m - right, end - right));
}

function poolAllWays(view, { kernel_size, stride }) {
  const regions = { kind: "window", kernel_size, stride };
  return {
    max: pooled(view, regions, { name: "max" }),
    average: pooled(view, regions, { name: "average" }),
    blur: blurred(view, Math.min(7, 2 * stride - 1), stride),
    subsample: subsampled(view, stride),
  };
}

const total = (map) => map.reduce((sum, row) => row.reduce((a, v) => a + Math.abs(v), sum), 0);
const less = (a, b) => a.map((row, r) => row.map((v, c) => v - b[r][c]));
function changeOf(now, start) {
  const change = total(less(now, start));
  return change / (total(start) || change || 1); // out of an empty map comes a wholly new one
}

function settledShift(state, data) {
  const size = typeof state.picture === "string" ? data.pictures[state.picture].columns : state.picture.length;
  const most = Math.floor(size / 6);
  return { ...state, offset: state.offset.map((v) => Math.max(-most, Math.min(most, Math.round(v)))) };
}

function buildShift(fig) {
  const { data, stage, side } = fig;
  const unpackedPictures = {};
  const pictureOf = ({ picture }) =>
    typeof picture === "string" ? (unpackedPictures[picture] ??= unpacked(data.pictures[picture])) : picture;

  const move = (down, right) => {
    const [y, x] = fig.state.offset;
    fig.set({ offset: [y + down, x + right] }, { join: "offset" });
  };
  const scene = canvasMap("scene", { onmove: move });
  const tiles = WAYS.map(([name]) => {
    const map = canvasMap(name);
    const meter = h("div", { class: "pr-meter" }, h("span"));
    map.el.append(meter);
    map.el.classList.add("pr-outcome");
    return { name, map, meter };
  });
  const chart = s("svg", { class: "pr-chart pr-outcome", "aria-hidden": "true" });
  stage.append(
    h("div", { class: "pr-split" }, scene.el, h("div", { class: "pr-tiles" }, ...tiles.map(({ map }) => map.el))),
    h("p", { class: "pr-title" }, "Change when the picture moves to the left and to the right"),
    chart,
  );
  const menu = pictureMenu("Picture", Object.keys(data.pictures), data.size, (picture) => fig.set({ picture }), fig.refuse);
  fig.bind("picture", menu);
  side.append(
    menu.el,
    fig.slider("kernel_size", "kernel", { min: 2, max: 8 }).el,
    fig.slider("stride", "stride", { min: 1, max: 8 }).el,
    fig.check("difference", "show what changed").el,
    button("Back to the start", () => fig.set({ offset: [0, 0] })),
  );
  fig.note("Drag the picture, or move it with the arrow keys. The change is the sum of all differences, as a part of the sum of the map.");

  // The changes for every shift along the row.  Small steps of many windows take longer than a touch may: then they are
  // computed a slice at a time, while the picture already moves.
  let latest; // what the chart marks
  let curve = { key: [], points: [] };
  function trace(state, picture, start, done) {
    const key = [picture, state.kernel_size, state.stride, state.offset[0]];
    if (key.every((part, i) => part === curve.key[i])) return curve.points.length > 2 * marginOf(picture) && done(curve.points);
    const job = (curve = { key, points: [] });
    function slice() {
      const most = marginOf(picture);
      const until = performance.now() + 30;
      while (job.points.length <= 2 * most && performance.now() < until) {
        const right = job.points.length - most;
        const now = poolAllWays(viewOf(picture, [state.offset[0], right]), state);
        job.points.push([right, Object.fromEntries(WAYS.map(([name]) => [name, changeOf(now[name], start[name])]))]);
      }
      if (job.points.length > 2 * most) done(job.points);
      else setTimeout(() => job === curve && slice());
    }
    slice();
  }

  function drawChart(points, now, right) {
    const width = Math.max(240, Math.min(640, stage.clientWidth)); // a unit is a pixel, so that text is legible
    const [left, top, wide, high] = [38, 8, width - 118, 118];
    chart.setAttribute("viewBox", `0 0 ${width} 146`);
    const most = points[0][0] * -1;
    const largest = Math.max(0.1, ...points.flatMap(([, change]) => Object.values(change)));
    const x = (v) => left + ((v + most) / (2 * most)) * wide;
    const y = (v) => top + high - (v / largest) * high;
    const ends = WAYS.map(([name, text]) => ({ text, at: y(points.at(-1)[1][name]) })).sort((a, b) => a.at - b.at);
    ends.forEach((end, i) => (end.at = Math.max(end.at, i ? ends[i - 1].at + 14 : 0))); // labels do not lie over each other
    chart.replaceChildren(
      s("path", { class: "pr-axis", d: `M${left} ${top}V${top + high}H${left + wide}` }),
      s("text", { x: left - 4, y: top + 9, "text-anchor": "end" }, percent(largest)),
      s("text", { x: left - 4, y: top + high, "text-anchor": "end" }, "0"),
      ...[-most, 0, most].map((v) => s("text", { x: x(v), y: top + high + 16, "text-anchor": "middle" }, String(v).replace("-", "\u2212"))),
      s("path", { class: "pr-now", d: `M${x(right)} ${top}V${top + high}` }),
      ...WAYS.map(([name, , dash]) =>
        s("path", {
          class: "pr-line",
          "stroke-dasharray": dash,
          d: points.map(([v, change], i) => `${i ? "L" : "M"}${x(v).toFixed(1)} ${y(change[name]).toFixed(1)}`).join(""),
        }),
      ),
      ...WAYS.map(([name]) => s("circle", { class: "pr-dot", cx: x(right), cy: y(now[name]), r: 4 })),
      ...ends.map(({ text, at }) => s("text", { x: left + wide + 6, y: at + 4 }, text)),
    );
  }

  return function draw() {
    const { state } = fig;
    const picture = pictureOf(state);
    const view = viewOf(picture, state.offset);
    const start = poolAllWays(viewOf(picture, [0, 0]), state);
    const now = poolAllWays(view, state);
    const change = Object.fromEntries(WAYS.map(([name]) => [name, changeOf(now[name], start[name])]));
    const [down, right] = state.offset;
    scene.draw({
      heading: "Drag the picture",
      label: `The picture, moved by ${down} down and ${right} to the right. The arrow keys move it.`,
      map: view,
      lines: state.stride,
    });
    const most = Math.max(...Object.values(change), 1e-9);
    for (const { name, map, meter } of tiles) {
      const [, text] = WAYS.find(([way]) => way === name);
      map.draw({
        heading: text,
        label: `${text}: changed by ${percent(change[name])}`,
        map: state.difference ? less(now[name], start[name]) : now[name],
        palette: state.difference ? "value" : "grey",
      });
      meter.style.setProperty("--share", change[name] / most);
      meter.dataset.value = change[name];
      meter.firstChild.textContent = percent(change[name]);
    }
    latest = { change, right };
    trace(state, picture, start, (points) => drawChart(points, latest.change, latest.right));
    const where = [[down, "down", "up"], [right, "to the right", "to the left"]]
      .filter(([v]) => v)
      .map(([v, plus, minus]) => `${Math.abs(v)} ${v > 0 ? plus : minus}`)
      .join(" and ");
    fig.say(
      where
        ? `The picture has moved ${where}. The pooled maps have changed: max by ${percent(change.max)}, mean by ${percent(change.average)}, blur by ${percent(change.blur)}, stride alone by ${percent(change.subsample)}.`
        : "The picture lies where it began. Drag it: which of the four maps changes most, which least?",
    );
  };
}

export const shift = { title: "Shift the picture", settle: settledShift, build: buildShift };
