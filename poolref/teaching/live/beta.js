// One window whose cells are weighted by the softmax of beta times their values: from the minimum to the maximum.
import { REDUCERS } from "./kit/pooling.js";
import { number, percent } from "./kit/numbers.js";
import { chips, h, s, slider } from "./kit/page.js";

const WIDE = 460; // of the drawing, in its own pixels; on a phone the width there is
const UNIT = 22; // pixels a step of 1
const STEP = 0.1;

const real = (beta) => (beta === "inf" ? Infinity : beta === "-inf" ? -Infinity : beta);

function buildBeta(fig) {
  const { data, stage, side } = fig;
  const [least, most] = [data.least, data.most];

  // Three drawings below one another, whose columns are the cells.
  const made = (title, ...classes) => {
    const svg = s("svg", { class: "pr-chart pr-columns" });
    const heading = h("p", { class: "pr-title" }, title);
    return { svg, heading, el: h("section", { class: ["pr-panel", ...classes].join(" ") }, heading, svg) };
  };
  const cells = made("The cells: drag a bar, or use the arrow keys");
  const weights = made("Weights, in percent", "pr-outcome");
  const gradient = made("Derivative of the output with respect to each cell", "pr-outcome");
  stage.append(cells.el, weights.el, gradient.el);

  // --- the slider, and the four places on it that have a name
  const words = (beta) => {
    const name = Object.keys(data.names).find((key) => data.names[key] === beta);
    return `${number(real(beta))}${name ? `, ${name}` : ""}`;
  };
  const chosen = (beta) => fig.set({ beta }, { join: "beta" });
  const betas = data.betas.map(real);
  const line = slider("\u03b2", { max: betas.length - 1, words: () => words(fig.state.beta) }, (i) => chosen(data.betas[i]));
  const nearest = (beta) => {
    const exact = betas.indexOf(real(beta));
    if (exact >= 0) return exact;
    return betas.reduce((best, b, i) => (Math.abs(b - beta) < Math.abs(betas[best] - beta) ? i : best), betas.indexOf(0));
  };
  fig.bind("beta", { el: line.el, show: (beta) => line.show(nearest(beta)) });
  const named = chips("Go to", Object.keys(data.names), (name) => chosen(data.names[name]));
  fig.bind("beta", { el: named.el, show: (beta) => named.show(Object.keys(data.names).find((key) => data.names[key] === beta)) });
  side.append(line.el, named.el, fig.check("gradient", "show the derivatives").el);

  // --- the bars, which are dragged
  let bars = [];
  const toSet = (i, value) => {
    const settled = Math.min(most, Math.max(least, Math.round(value / STEP) * STEP));
    const values = fig.state.values.map((v, n) => (n === i ? Number(settled.toFixed(2)) : v));
    fig.set({ values }, { join: `cell ${i}` });
  };
  function barOf(i) {
    const hit = s("rect", { class: "pr-hit" });
    const rect = s("rect", { class: "pr-seen" });
    const grip = s("rect", { class: "pr-grip", rx: 3 });
    const shown = s("text", { "text-anchor": "middle" });
    const group = s(
      "g",
      {
        role: "slider",
        tabindex: 0,
        class: "pr-bar-cell",
        "data-lm-suppress-shortcuts": "true",
        "aria-orientation": "vertical",
        "aria-label": `cell ${i + 1}`,
        "aria-valuemin": least,
        "aria-valuemax": most,
        onkeydown(event) {
          const by = { ArrowUp: STEP, ArrowRight: STEP, ArrowDown: -STEP, ArrowLeft: -STEP, PageUp: 1, PageDown: -1 }[event.key];
          const goal = { Home: least, End: most }[event.key] ?? (by && fig.state.values[i] + by);
          if (goal === undefined) return;
          event.preventDefault();
          toSet(i, goal);
        },
        onpointerdown(event) {
          if (event.button) return;
          group.focus();
          group.setPointerCapture(event.pointerId);
          moved(event);
        },
        onpointermove: (event) => group.hasPointerCapture(event.pointerId) && moved(event),
      },
      hit,
      rect,
      grip,
      shown,
    );
    const moved = (event) => {
      const box = cells.svg.getBoundingClientRect();
      const scale = box.height / cells.svg.viewBox.baseVal.height;
      toSet(i, most - ((event.clientY - box.top) / scale - 20) / UNIT);
    };
    return { group, hit, rect, grip, shown };
  }
  const lines = s("g", { class: "pr-outcome", "aria-hidden": "true" });

  const level = (v) => 20 + (most - v) * UNIT;
  const high = level(least) + 10;

  return function draw() {
    const { values, beta, gradient: withSlopes } = fig.state;
    const b = real(beta);
    const { value, shares, slopes } = REDUCERS.soft;
    const y = value(values, { beta: b });
    const w = shares(values, y, { beta: b });
    const slope = slopes(values, y, { beta: b });
    const mean = value(values, { beta: 0 });
    const [low, top] = [Math.min(...values), Math.max(...values)];

    const wide = Math.min(WIDE, Math.max(240, stage.clientWidth || WIDE));
    const names = 104; // room for the words beside the lines
    const pitch = (wide - names) / values.length;
    const thick = Math.min(44, pitch * 0.6);
    const middle = (i) => (i + 0.5) * pitch;

    // the cells, and the output among them
    cells.svg.setAttribute("viewBox", `0 0 ${wide} ${high}`);
    if (bars.length !== values.length) {
      bars = values.map((_, i) => barOf(i));
      cells.svg.replaceChildren(s("path", { class: "pr-axis" }), lines, ...bars.map(({ group }) => group));
    }
    cells.svg.firstChild.setAttribute("d", `M0 ${level(0)}H${wide - names}`);
    const place = (el, x, up, width, height) =>
      Object.entries({ x, y: up, width, height }).forEach(([name, v]) => el.setAttribute(name, v));
    bars.forEach(({ group, hit, rect, grip, shown }, i) => {
      const v = values[i];
      place(hit, middle(i) - pitch / 2, 0, pitch, high);
      place(rect, middle(i) - thick / 2, Math.min(level(0), level(v)), thick, Math.abs(level(v) - level(0)));
      rect.classList.toggle("pr-under", v < 0);
      place(grip, middle(i) - thick / 2, level(v) - 3, thick, 6);
      shown.setAttribute("x", middle(i));
      shown.setAttribute("y", v < 0 ? level(v) + 16 : level(v) - 7);
      shown.textContent = number(v);
      group.setAttribute("aria-valuenow", v);
      group.setAttribute("aria-valuetext", `${number(v)}, weight ${fig.veiled ? "hidden" : percent(w[i])}`);
    });
    // Where two of the words would cover each other, the output's stands and the other one gives way.
    const free = (v) => Math.abs(level(v) - level(y)) > 13;
    const marks = [["minimum", low, "pr-axis"], ["mean", mean, "pr-axis"], ["maximum", top, "pr-axis"], ["output", y, "pr-now"]];
    const kept = marks.filter(([name, v], n) => name === "output" || (free(v) && !marks.slice(0, n).some(([, u]) => Math.abs(level(u) - level(v)) < 13)));
    lines.replaceChildren(
      ...kept.map(([name, v]) => s("text", { class: name === "output" ? "pr-said" : "", x: wide - names + 8, y: level(v) + 4 }, `${name} ${number(v)}`)),
      ...marks.map(([, v, kind]) => s("path", { class: kind, d: `M0 ${level(v)}H${wide - names + 4}`, "stroke-dasharray": kind === "pr-axis" ? "3 4" : "none" })),
    );

    // the weights
    const [tall, foot] = [64, 18];
    weights.svg.setAttribute("viewBox", `0 0 ${wide} ${tall + foot + 4}`);
    weights.svg.setAttribute("aria-hidden", "true");
    weights.svg.replaceChildren(
      s("path", { class: "pr-axis", d: `M0 ${tall}H${wide - names}` }),
      ...w.flatMap((share, i) => [
        s("rect", { class: "pr-share", x: middle(i) - thick / 2, y: tall * (1 - share), width: thick, height: tall * share }),
        s("text", { "text-anchor": "middle", x: middle(i), y: tall + foot - 4 }, number(100 * share, 2)),
      ]),
    );

    // the derivatives, on a scale of their own
    gradient.el.hidden = !withSlopes;
    const largest = Math.max(1, ...slope.map(Math.abs));
    const half = 44;
    const reach = (v) => half + 14 - (v / largest) * half;
    gradient.svg.setAttribute("viewBox", `0 0 ${wide} ${2 * half + 36}`);
    gradient.svg.setAttribute("aria-hidden", "true");
    gradient.svg.replaceChildren(
      s("path", { class: "pr-axis", d: `M0 ${reach(0)}H${wide - names}` }),
      ...slope.flatMap((g, i) => [
        s("rect", { class: g < 0 ? "pr-fall" : "pr-rise", x: middle(i) - thick / 2, y: Math.min(reach(0), reach(g)), width: thick, height: Math.abs(reach(g) - reach(0)) }),
        s("text", { "text-anchor": "middle", x: middle(i), y: g < 0 ? reach(g) + 14 : reach(g) - 4 }, number(g, 2)),
      ]),
      s("text", { x: wide - names + 8, y: reach(0) + 4 }, `sum ${number(slope.reduce((a, v) => a + v, 0), 3)}`),
    );

    const toward = y >= mean ? ["maximum", top] : ["minimum", low];
    const way = Math.abs(toward[1] - mean) < 1e-9 ? "All cells are equal, and so is the output" : `${percent((y - mean) / (toward[1] - mean))} of the way from the mean to the ${toward[0]}`;
    fig.say(`\u03b2 = ${words(beta)}: the output is ${number(y)}. ${way[0] === "A" ? way : `That is ${way}`}.`);
  };
}

export const beta = { title: "From the minimum to the maximum", build: buildBeta };
