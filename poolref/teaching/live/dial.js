// A scene from two cameras: which crop of the right picture lies nearest to one of the left, as the exponent p turns?
import { convolved, relu } from "./kit/network.js";
import { normals, number } from "./kit/numbers.js";
import { chips, h, s, slider } from "./kit/page.js";
import { canvasMap } from "./kit/canvas.js";
import { unpacked } from "./kit/picture.js";
import { REDUCERS } from "./kit/pooling.js";

const HIGH = 64; // pixels of the longest bar

const exponent = (p) => (p === "inf" ? Infinity : p);
const reducerOf = (p) => (p === "inf" ? [REDUCERS.max, {}] : [REDUCERS.gem, { p }]);

function descriptorOf(maps, p) {
  const [{ value }, parameters] = reducerOf(p);
  const means = maps.map((map) => value(map.flat(), parameters));
  const length = Math.hypot(...means);
  return means.map((v) => v / length);
}

function weightsIn(map, p) {
  const [{ value, shares }, parameters] = reducerOf(p);
  const x = map.flat();
  return shares(x, value(x, parameters), parameters);
}

// The fewest cells that hold half of the weight.
function halfOf(weights) {
  let [held, cells] = [0, 0];
  for (const w of [...weights].sort((a, b) => b - a)) {
    if (held >= 0.5 - 1e-9) break;
    held += w;
    cells += 1;
  }
  return cells;
}

function buildDial(fig) {
  const { data, stage, side } = fig;
  const names = Object.keys(data.candidates);
  const biases = data.kernels.map(() => 0);
  const filtered = (image) => convolved([image], data.kernels.map((kernel) => [kernel]), biases, 0).map(relu);
  const candidates = names.map((name) => {
    const image = unpacked(data.candidates[name]);
    return { image, maps: filtered(image) };
  });
  const clean = Object.fromEntries(names.map((name) => [name, unpacked(data.queries[name])]));
  const drawn = normals(clean[names[0]].length ** 2, 0);

  const columns = ["query", ...names].map((name) => {
    const [picture, weights] = [canvasMap(`picture-${name}`), canvasMap(`weights-${name}`)];
    const heading = h("p", { class: "pr-title" });
    const chart = s("svg", { class: "pr-chart", "aria-hidden": "true" });
    return { name, picture, weights, heading, chart, el: h("section", { class: "pr-panel pr-outcome", "data-descriptor": name }, heading, chart) };
  });
  const line = h("div", { class: "pr-tiles pr-line pr-dial" }, ...["picture", "weights"].flatMap((part) => columns.map((column) => column[part].el)), ...columns.map(({ el }) => el));
  line.style.setProperty("--tiles", columns.length);
  stage.append(line);

  const words = (p) => {
    const name = Object.keys(data.names).find((key) => data.names[key] === p);
    return `${number(exponent(p))}${name ? `, ${name}` : ""}`;
  };
  const chosen = (p) => fig.set({ p }, { join: "p" });
  const ps = data.ps.map(exponent);
  const nearestStep = (p) => {
    const exact = ps.indexOf(exponent(p));
    if (exact >= 0) return exact;
    return ps.reduce((best, v, i) => (Math.abs(v - p) < Math.abs(ps[best] - p) ? i : best), 0);
  };
  const turn = slider("p", { max: ps.length - 1, words: () => words(fig.state.p) }, (i) => chosen(data.ps[i]));
  fig.bind("p", { el: turn.el, show: (p) => turn.show(nearestStep(p)) });
  const named = chips("Go to", Object.keys(data.names), (name) => chosen(data.names[name]));
  fig.bind("p", { el: named.el, show: (p) => named.show(Object.keys(data.names).find((key) => data.names[key] === p)) });
  const places = chips("Look for", names, (query) => fig.set({ query }));
  fig.bind("query", places);
  side.append(
    turn.el,
    named.el,
    places.el,
    fig.select("direction", "Weights in the map", data.directions.map((name) => [name, name])).el,
    fig.slider("noise", "noise on the query", { min: 0, max: 0.2, step: 0.02, words: (v) => number(v) }).el,
  );
  fig.note("Second row: the weights of the cells in one of eight edge maps; \u201chalf in 100\u201d means that 100 cells hold half of the weight. Arrows point where the picture is brighter. Ticks on the bars: the query.");

  return function draw() {
    const { query, p, direction, noise } = fig.state;
    const width = clean[query].length;
    const image = clean[query].map((row, r) => row.map((v, c) => v + noise * drawn[r * width + c]));
    const shown = [{ image, maps: filtered(image) }, ...candidates];
    const channel = data.directions.indexOf(direction);
    const described = shown.map(({ maps }) => descriptorOf(maps, p));
    const distances = described.slice(1).map((other) => Math.hypot(...other.map((v, i) => v - described[0][i])));
    const nearest = names[distances.indexOf(Math.min(...distances))];
    const longest = Math.max(...described.flat());

    columns.forEach(({ name, picture, weights, heading, chart, el }, n) => {
      const isQuery = n === 0;
      picture.draw({
        heading: isQuery ? "left camera" : `right: ${name}`,
        label: isQuery ? `The crop at ${query} from the left camera.` : `The crop at ${name} from the right camera.`,
        map: shown[n].image,
        share: (v) => Math.max(0, Math.min(1, v)),
      });
      const map = shown[n].maps[channel];
      const held = weightsIn(map, p);
      const most = Math.max(...held);
      const half = halfOf(held);
      weights.draw({
        heading: `half in ${half}`,
        label: `The weights in the map ${direction}: half of the weight lies in ${half} of ${held.length} cells.`,
        map: map.map((row, r) => row.map((_, c) => held[r * row.length + c])),
        palette: "value",
        share: (v) => v / most,
      });
      const far = isQuery ? "" : distances[n - 1].toFixed(3);
      heading.textContent = isQuery ? "descriptor" : `${far}${name === nearest ? " nearest" : ""}`;
      el.values = described[n]; // the numbers behind the bars, for whoever asks the page
      el.toggleAttribute("data-nearest", name === nearest);
      const wide = Math.max(60, el.clientWidth - 2);
      const pitch = wide / described[n].length;
      const up = (v) => 4 + HIGH * (1 - v / longest);
      chart.setAttribute("viewBox", `0 0 ${wide} ${HIGH + 22}`);
      chart.replaceChildren(
        s("path", { class: "pr-axis", d: `M0 ${HIGH + 4}H${wide}` }),
        ...described[n].flatMap((v, i) => [
          s("rect", { class: name === nearest ? "pr-share" : "pr-seen", stroke: "none", x: (i + 0.15) * pitch, y: up(v), width: 0.7 * pitch, height: HIGH + 4 - up(v) }),
          ...(isQuery ? [] : [s("path", { class: "pr-line", d: `M${(i + 0.02) * pitch} ${up(described[0][i])}h${0.96 * pitch}` })]),
          ...(pitch > 11 ? [s("text", { "text-anchor": "middle", x: (i + 0.5) * pitch, y: HIGH + 19 }, data.directions[i])] : []),
        ]),
      );
    });
    const verdict = nearest === query ? "the same place. Found" : `another place. ${query} is not found`;
    fig.say(`p = ${words(p)}: nearest to ${query} from the left is ${nearest} from the right, ${verdict}.`);
  };
}

export const dial = { title: "From the mean to the maximum", build: buildDial };
