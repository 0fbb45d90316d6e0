// The time that a layer takes at least on a machine: its bytes, its operations and its start, under a roofline.
import { number } from "./kit/numbers.js";
import { group, h, s } from "./kit/page.js";

const NAMES = ["bytes", "operations", "start"];
const capital = (text) => text[0].toUpperCase() + text.slice(1);
const paddingOf = ({ kernel_size, padded }) => (padded ? (kernel_size - 1) >> 1 : 0);

// Along an axis: how many cells lie in a window, and how many windows there are.
function readAlong({ size, kernel_size, stride, padded }) {
  const p = paddingOf({ kernel_size, padded });
  const outputs = Math.floor((size + 2 * p - kernel_size) / stride) + 1;
  let [cells, behind] = [0, 0];
  for (let o = 0; o < outputs; o += 1) {
    const start = Math.max(behind, o * stride - p);
    const end = Math.min(size, o * stride - p + kernel_size);
    cells += Math.max(0, end - start);
    behind = Math.max(behind, end);
  }
  return { cells, outputs };
}

function workOf(state, data) {
  const [k2, e] = [state.kernel_size ** 2, data.bytes[state.dtype]];
  const along = readAlong(state);
  const [cells, outputs] = [data.maps * along.cells ** 2, data.maps * along.outputs ** 2];
  const moved = e * (cells + outputs);
  if (state.operator === "max") return { bytes: moved + data.kept[state.kept] * outputs, operations: (k2 - 1) * outputs };
  if (state.operator === "average") return { bytes: moved, operations: k2 * outputs };
  if (state.operator === "soft") return { bytes: moved, operations: (6 * k2 - 2) * outputs };
  return { bytes: moved + e * data.channels ** 2 * k2, operations: (2 * k2 * data.channels - 1) * outputs };
}

const problemOfRoofline = ({ kernel_size, size, padded }) =>
  kernel_size > size + 2 * paddingOf({ kernel_size, padded })
    ? `A window of ${kernel_size} cells does not fit a map of ${size}. Pad it, or take a larger map.`
    : "";

function buildRoofline(fig) {
  const { data, stage, side } = fig;
  const [[left, right], [low, high]] = data.span;
  const chart = s("svg", { class: "pr-chart pr-outcome", role: "img" });
  const bars = s("svg", { class: "pr-chart pr-outcome", "aria-hidden": "true" });
  stage.append(chart, h("p", { class: "pr-title" }, "What each part takes, in microseconds"), bars);

  const listed = (values) => values.map((name) => [name, name]);
  const valued = (name, text, values, unit, more) => fig.slider(name, text, { values, words: (v) => `${number(v, 6)}${unit}`, ...more });
  side.append(
    group(
      "Layer",
      fig.select("operator", "Operator", Object.entries(data.operators)),
      fig.select("dtype", "Numbers", listed(Object.keys(data.bytes))),
      fig.slider("kernel_size", "window", { min: 1, max: 9 }),
      fig.slider("stride", "stride", { min: 1, max: 4 }),
      fig.check("padded", "padded"),
      valued("size", "map", data.sizes, ""),
      fig.select("kept", "Kept for each output", listed(Object.keys(data.kept)), { when: ({ operator }) => operator === "max" }),
    ),
    group(
      "Machine",
      valued("bandwidth", "moves", data.bandwidths, " GB/s"),
      valued("rate", "computes", data.rates, " G/s"),
      valued("start", "start of a call", data.starts, " \u00b5s"),
    ),
  );
  fig.note(
    `${number(data.maps)} maps: 32 pictures of ${data.channels}. Each cell is read once. G/s: billions of operations a second. Empty dots: the other operators. The machine is an example: set your own.`,
  );

  function drawRoof(state, all) {
    const wide = Math.max(240, Math.min(640, stage.clientWidth));
    const [x0, y0, tall] = [50, 22, 190];
    const long = wide - x0 - 12;
    const clip = (v, from, to) => Math.max(from, Math.min(to, v));
    const x = (intensity) => x0 + ((clip(Math.log10(intensity), left, right) - left) / (right - left)) * long;
    const y = (speed) => y0 + tall - ((clip(Math.log10(speed), low, high) - low) / (high - low)) * tall;
    const { bandwidth, rate } = state;
    const speedAt = (intensity) => Math.min(rate, bandwidth * intensity);
    const first = Math.max(10 ** left, 10 ** low / bandwidth);
    const ridge = rate / bandwidth;
    const roof = [first, ridge, 10 ** right].map((i) => `${x(i)} ${y(speedAt(i))}`);
    const dot = ([name, { bytes, operations }]) => {
      const i = operations / bytes;
      return s("circle", { class: name === state.operator ? "pr-dot" : "pr-dot pr-missed", "data-operator": name, cx: x(i), cy: y(speedAt(i)), r: name === state.operator ? 7 : 4 });
    };
    const here = all[state.operator].operations / all[state.operator].bytes;
    chart.setAttribute("viewBox", `0 0 ${wide} ${y0 + tall + 36}`);
    chart.setAttribute("aria-label", `Operations a nanosecond against operations for each byte. The ridge is at ${number(ridge)}.`);
    const labels = (from, to, make) => Array.from({ length: Math.floor(to) - Math.ceil(from) + 1 }, (_, n) => make(Math.ceil(from) + n));
    chart.replaceChildren(
      s("path", { class: "pr-axis", d: `M${x0} ${y0}V${y0 + tall}H${x0 + long}` }),
      ...labels(left, right, (n) => s("text", { x: x(10 ** n), y: y0 + tall + 15, "text-anchor": "middle" }, number(10 ** n, 6))),
      ...labels(low, high, (n) => s("text", { x: x0 - 6, y: y(10 ** n) + 4, "text-anchor": "end" }, (10 ** n).toLocaleString("en"))),
      s("text", { x: x0 + long, y: y0 + tall + 31, "text-anchor": "end" }, "operations for each byte"),
      s("text", { x: 0, y: 11 }, "operations a nanosecond"),
      s("path", { class: "pr-axis", "stroke-dasharray": "3 4", d: `M${x(ridge)} ${y(rate)}V${y0 + tall}` }),
      s("text", { x: x(ridge) + 4, y: y0 + tall - 6 }, `ridge ${number(ridge)}`),
      s("path", { class: "pr-line", d: `M${roof.join("L")}` }),
      s("path", { class: "pr-now", "stroke-dasharray": "2 3", d: `M${x(here)} ${y(speedAt(here))}V${y0 + tall}` }),
      ...Object.entries(all).sort(([a], [b]) => (a === state.operator) - (b === state.operator)).map(dot),
    );
  }

  function drawBars(each, bound) {
    const wide = Math.max(240, Math.min(640, stage.clientWidth));
    const [x0, high_] = [78, 20];
    const most = Math.max(...each, 1e-9);
    bars.setAttribute("viewBox", `0 0 ${wide} ${high_ * each.length}`);
    bars.replaceChildren(
      ...each.flatMap((time, n) => {
        const width = ((wide - x0 - 84) * time) / most;
        return [
          s("text", { x: x0 - 8, y: high_ * n + 13, "text-anchor": "end" }, NAMES[n]),
          s("rect", { class: NAMES[n] === bound ? "pr-share" : "pr-seen", x: x0, y: high_ * n + 2, width, height: 14 }),
          s("text", { x: x0 + width + 6, y: high_ * n + 13 }, `${number(time)} \u00b5s`),
        ];
      }),
    );
  }

  return function draw() {
    const { state } = fig;
    const all = Object.fromEntries(Object.keys(data.operators).map((operator) => [operator, workOf({ ...state, operator }, data)]));
    const { bytes, operations } = all[state.operator];
    const each = [bytes / state.bandwidth / 1000, operations / state.rate / 1000, state.start];
    const bound = NAMES[each.indexOf(Math.max(...each))];
    chart.values = { bytes, operations, each, bound }; // for whoever asks the page
    drawRoof(state, all);
    drawBars(each, bound);
    const side_ = operations / bytes < state.rate / state.bandwidth ? "left" : "right";
    const floor = Math.max(each[0], each[1]);
    const last = bound === "start" ? "The start of the call takes longer still." : `So its ${bound} bind it.`;
    fig.say(
      `${capital(data.operators[state.operator])}: ${number(bytes / 1e6)} MB and ${number(operations / 1e6)} million operations, ${number(operations / bytes, 2)} for each byte, to the ${side_} of the ridge at ${number(state.rate / state.bandwidth)}. The floor is ${number(floor)} \u00b5s. ${last}`,
    );
  };
}

export const roofline = { title: "Under the roofline", problem: problemOfRoofline, build: buildRoofline };
