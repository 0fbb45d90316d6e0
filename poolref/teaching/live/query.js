// Points in the plane, or the digits of a bag, that a query asks: weights, the answer, and further retrievals.
import { retrieved } from "./kit/pooling.js";
import { count, number, percent } from "./kit/numbers.js";
import { h, s } from "./kit/page.js";

const WIDE = 340; // of the plane, in its own pixels; on a phone the width there is
const BARS = 240; // of the bars
const STEP = 0.1;
const LETTERS = "abcdef";

const radius = (weight) => 4 + 28 * Math.sqrt(weight);
const place = ([x, y]) => `(${number(Math.round(x * 100) / 100)}, ${number(Math.round(y * 100) / 100)})`;

function buildQuery(fig) {
  const { data, stage, side } = fig;
  const { reach, bag } = data;

  const plane = s("svg", { class: "pr-chart pr-plane" });
  const bars = s("svg", { class: "pr-chart pr-plane", "aria-hidden": "true" });
  const heading = h("p", { class: "pr-title" });
  const panels = [
    h("section", { class: "pr-panel" }, heading, plane),
    h("section", { class: "pr-panel pr-outcome" }, h("p", { class: "pr-title" }, "Weights, in percent"), bars),
  ];
  stage.append(h("div", { class: "pr-panels" }, ...panels));
  side.append(
    fig.slider("beta", "\u03b2", { values: data.betas, words: (b) => number(b) }).el,
    fig.slider("steps", "retrievals", { min: 1, max: data.most }).el,
  );

  let wide = WIDE;
  const across = (x) => ((x + reach) / (2 * reach)) * wide;
  const down = (y) => ((reach - y) / (2 * reach)) * wide;
  const inside = (v) => Number(Math.min(reach, Math.max(-reach, Math.round(v / STEP) * STEP)).toFixed(2));

  // A handle that is dragged, or moved by the arrow keys: `read` gives its place, `write` takes a new one.
  function handle(name, read, write, ...shapes) {
    const moved = (event) => {
      const box = plane.getBoundingClientRect();
      const share = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
      write([inside(2 * reach * share[0] - reach), inside(reach - 2 * reach * share[1])]);
    };
    const group = s(
      "g",
      {
        role: "slider",
        tabindex: 0,
        class: "pr-handle",
        "data-lm-suppress-shortcuts": "true",
        "aria-label": name,
        "aria-valuemin": -reach,
        "aria-valuemax": reach,
        onkeydown(event) {
          const by = { ArrowUp: [0, 1], ArrowDown: [0, -1], ArrowRight: [1, 0], ArrowLeft: [-1, 0] }[event.key];
          if (!by) return;
          event.preventDefault();
          const length = event.shiftKey ? 5 * STEP : STEP;
          write(read().map((v, axis) => inside(v + length * by[axis])));
        },
        onpointerdown(event) {
          if (event.button) return;
          event.preventDefault();
          group.focus();
          group.setPointerCapture(event.pointerId);
        },
        onpointermove: (event) => group.hasPointerCapture(event.pointerId) && moved(event),
      },
      s("circle", { class: "pr-hit", r: 20 }),
      ...shapes,
    );
    return {
      group,
      show() {
        const [x, y] = read();
        group.setAttribute("transform", `translate(${across(x)} ${down(y)})`);
        group.setAttribute("aria-valuenow", x);
        group.setAttribute("aria-valuetext", place([x, y]));
      },
    };
  }

  const asks = handle(
    "query",
    () => fig.state.query,
    (query) => fig.set({ query }, { join: "query" }),
    s("path", { class: "pr-grip", d: "M0 -9L9 0L0 9L-9 0Z" }),
    s("text", { "text-anchor": "middle", y: 23 }, "query"),
  );
  let points = [];
  const pointOf = (i) =>
    handle(
      `point ${LETTERS[i]}`,
      () => fig.state.points[i],
      (to) => fig.set({ points: fig.state.points.map((p, n) => (n === i ? to : p)) }, { join: `point ${i}` }),
      s("circle", { class: "pr-seen", r: 6 }),
      s("text", { x: 10, y: -8 }, LETTERS[i]),
    );
  const digitOf = (i) => {
    const [x, y] = bag.places[i];
    const group = s("image", {
      href: `data:image/png;base64,${bag.pictures[i]}`,
      width: 28,
      height: 28,
      style: "image-rendering: pixelated",
    });
    return { group, show: () => group.setAttribute("transform", `translate(${across(x) - 14} ${down(y) - 14})`) };
  };

  const axes = s("path", { class: "pr-axis" });
  const rings = s("g", { class: "pr-outcome", "aria-hidden": "true" });
  const trail = s("g", { class: "pr-outcome", "aria-hidden": "true" });

  return function draw() {
    const { query, beta, steps } = fig.state;
    const cells = fig.state.bag ? bag.places : fig.state.points;
    const names = fig.state.bag ? bag.labels.map(String) : [...LETTERS].slice(0, cells.length);
    const { path, weights } = retrieved(query, cells, beta, steps);

    wide = Math.min(WIDE, Math.max(240, stage.clientWidth || WIDE)); // so that words keep their size on a phone
    heading.textContent = fig.state.bag
      ? "Drag the query. Right: like a nine. Up: like a zero or a six"
      : "Drag the query or a point";
    plane.setAttribute("viewBox", `0 0 ${wide} ${wide}`);
    const kind = fig.state.bag ? "digits" : `${cells.length} points`;
    if (plane.dataset.kind !== kind) {
      plane.dataset.kind = kind;
      points = cells.map((_, i) => (fig.state.bag ? digitOf(i) : pointOf(i)));
      plane.replaceChildren(axes, rings, ...points.map(({ group }) => group), trail, asks.group);
    }
    axes.setAttribute("d", `M0 ${down(0)}H${wide}M${across(0)} 0V${wide}`);
    [...points, asks].forEach((each) => each.show());
    rings.replaceChildren(
      ...cells.map(([x, y], i) => s("circle", { class: "pr-ring", cx: across(x), cy: down(y), r: radius(weights[i]) })),
    );
    const spots = path.map(([x, y]) => [across(x), down(y)]);
    const [endX, endY] = spots.at(-1);
    trail.replaceChildren(
      s("path", { class: "pr-now", d: `M${spots.map((spot) => spot.join(" ")).join("L")}` }),
      ...spots.slice(1).map(([cx, cy], n) => s("circle", { class: "pr-dot", cx, cy, r: n === steps - 1 ? 7 : 4 })),
      s("text", { class: "pr-said", "text-anchor": "middle", x: endX, y: endY + (endY < 30 ? 22 : -12) }, "answer"),
    );

    const pitch = BARS / cells.length;
    const [tall, thick] = [60, Math.min(30, pitch * 0.7)];
    bars.setAttribute("viewBox", `0 0 ${BARS} ${tall + 38}`);
    bars.replaceChildren(
      s("path", { class: "pr-axis", d: `M0 ${tall}H${BARS}` }),
      ...weights.flatMap((w, i) => {
        const middle = (i + 0.5) * pitch;
        return [
          s("rect", { class: "pr-share", x: middle - thick / 2, y: tall * (1 - w), width: thick, height: tall * w }),
          s("text", { "text-anchor": "middle", x: middle, y: tall + 15 }, names[i]),
          s("text", { "text-anchor": "middle", x: middle, y: tall + 31 }, `${Math.round(100 * w)}`),
        ];
      }),
    );

    const most = weights.indexOf(Math.max(...weights));
    const even = Math.max(...weights) - Math.min(...weights) < 1e-9;
    const whom = even ? "All weights are equal" : `${fig.state.bag ? "A" : "Point"} ${names[most]} has the most weight, ${percent(weights[most])}`;
    fig.say(`\u03b2 = ${number(beta)}, ${count(steps, "retrieval")} from ${place(query)}: the answer is ${place(path.at(-1))}. ${whom}.`);
  };
}

export const query = { title: "A query and its answer", build: buildQuery };
