// Every operator as a tile, with what it makes of one picture and what was measured; needs leave some of them.
import { number } from "./kit/numbers.js";
import { chips, control, h, s } from "./kit/page.js";
import { canvasMap } from "./kit/canvas.js";
import { unpacked } from "./kit/picture.js";

const SCALE = [0.8, 1]; // of the accuracies; what is less stands at its lower end
const across = (v) => (100 * (Math.max(v, SCALE[0]) - SCALE[0])) / (SCALE[1] - SCALE[0]);
const inPercent = (v) => (100 * v).toFixed(1);
const interval = ([mean, low, high]) => `${inPercent(mean)}\u00a0% [${inPercent(low)}, ${inPercent(high)}]`;
const MOST = { "up to 1.5 times max": 1.5, "up to 2 times max": 2 };

// The needs of a state that an operator does not meet, in words.
function unmetNeeds({ output, place, every_cell, weights, any_size, time }, row) {
  const most = MOST[time];
  const missing = [
    ["another output", output !== "any" && output !== row.output],
    ["the place is lost", place && !row.place],
    ["some cells get no gradient", every_cell && row.reach < 1],
    ["it learns", weights === "nothing to learn" && row.learned],
    ["it does not learn", weights === "learned" && !row.learned],
    ["more cells give more numbers", any_size && !row.any_size],
    ["its time is not measured", most && !row.measured],
    ["it takes longer", most && row.measured?.time > most],
  ];
  return missing.filter(([, is]) => is).map(([words]) => words);
}

// An accuracy's interval as a bar with its mean marked, and the mean of max as a line.
function intervalBar(accuracy, ofMax) {
  const at = (x, kind) => s("path", { d: `M${x} 1V11`, class: kind, "vector-effect": "non-scaling-stroke" });
  const marks = [at(across(ofMax), "pr-now")];
  if (accuracy) {
    const [mean, low, high] = accuracy.map(across);
    marks.push(s("path", { d: `M${low} 6H${Math.min(high, 100)}`, class: "pr-line", "vector-effect": "non-scaling-stroke" }));
    marks.push(s("path", { d: `M${mean} 3V9`, class: "pr-line", "vector-effect": "non-scaling-stroke" }));
  }
  const style = "height: 12px; max-width: none";
  return s("svg", { class: "pr-chart", viewBox: "0 0 100 12", preserveAspectRatio: "none", "aria-hidden": "true", style }, ...marks);
}

function buildChooser(fig) {
  const { data, stage } = fig;
  const rows = new Map(data.rows.map((row) => [row.name, row]));
  const known = {};
  const pictureOf = (name) => (known[name] ??= unpacked(data.pictures[name]));
  const madeOf = (row, name) => row.made[name] && (known[`${row.name} ${name}`] ??= unpacked(row.made[name]));
  const share = (v) => v;

  const choices = (list, any) => (any ? ["any", ...list] : list).map((name) => [name, name]);
  const needs = h("div", { style: "display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: 0.4rem 0.9rem; align-items: end; margin-bottom: 0.4rem" });
  needs.append(
    fig.select("output", "What has to come out?", choices(data.outputs, true)).el,
    fig.select("weights", "Weights of its own", choices(data.weights)).el,
    fig.select("time", "Time of a training step", choices(data.times)).el,
    fig.bind("picture", chips("Picture", Object.keys(data.pictures), (picture) => fig.set({ picture }))).el,
  );
  const more = h("div", { style: "display: flex; flex-wrap: wrap; gap: 0.2rem 1.2rem; margin-bottom: 0.8rem" });
  more.append(
    fig.check("place", "the place survives").el,
    fig.check("every_cell", "every cell gets a gradient").el,
    fig.check("any_size", "any size, one length").el,
  );

  const ofMax = rows.get("max").measured.accuracy[0];
  const tiles = data.rows.map((row) => {
    const map = canvasMap("tile");
    const name = h("span", { style: "display: block; font-size: 0.75rem; line-height: 1.15; min-height: 2.2em; overflow-wrap: anywhere" }, row.name);
    const style = "display: block; height: auto; padding: 3px; text-align: left; min-width: 0";
    const el = control("button", { type: "button", style, onclick: () => fig.set({ selected: row.name }, { record: false }) }, map.el, name, intervalBar(row.measured?.accuracy, ofMax));
    return { row, map, name, el };
  });
  const grid = h("div", { class: "pr-outcome", style: "display: grid; grid-template-columns: repeat(auto-fill, minmax(4.6rem, 1fr)); gap: 5px", role: "group", "aria-label": "Operators" });
  grid.append(...tiles.map(({ el }) => el));

  const scene = canvasMap("scene");
  const output = canvasMap("output");
  const facts = h("dl", { style: "display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 0.1rem 0.6rem; margin: 0.5rem 0 0; font-size: 0.8rem" });
  const pair = h("div", { style: "display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 0.6rem" }, scene.el, output.el);
  const detail = h("div", { class: "pr-outcome" }, pair, facts);
  const split = "display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 17rem), 1fr)); gap: 0.9rem 1.2rem; align-items: start";
  stage.append(needs, more, h("div", { style: split }, grid, detail));
  fig.note("Under each name: the share of digits that the small network recognises, from 80 to 100 % (less at the left end). The bar is the 95 % interval over five seeds, the orange line is max. No bar: not trained. Struck out: a need is not met. Tiles run from 0 to their own largest value.");

  function told(row) {
    const { measured } = row;
    const list = [
      ["puts out", row.output],
      ["place", row.place ? "can be told" : "is lost"],
      ["gradient reaches", `${number(100 * row.reach)} % of the cells`],
      ["learns", row.learned ? "weights of its own" : "nothing"],
    ];
    if (measured) list.push(["step of training", `${measured.time.toFixed(2)} \u00d7 max`], ["kept for backward", `${measured.kept.toFixed(2)} \u00d7 max`]);
    if (measured?.accuracy) list.push(["recognised", interval(measured.accuracy)], ["same after a move", interval(measured.shift_consistency)], ["network's weights", number(measured.parameters)]);
    else list.push(["recognised", "not measured here"]);
    return list;
  }

  return function draw() {
    const { state } = fig;
    const row = rows.get(state.selected);
    let left = 0;
    for (const { row: each, map, name, el } of tiles) {
      const unmet = unmetNeeds(state, each);
      left += unmet.length === 0;
      const made = madeOf(each, state.picture) ?? [[NaN]];
      map.draw({ label: each.name, map: made, palette: "value", share, square: true });
      map.frame.style.opacity = unmet.length ? 0.2 : 1;
      name.style.textDecoration = unmet.length ? "line-through" : "none";
      el.dataset.fits = unmet.length === 0;
      el.setAttribute("aria-label", `${each.name}: ${unmet.length ? `does not fit, ${unmet.join(", ")}` : "fits"}`);
      el.setAttribute("aria-pressed", each === row);
      el.style.outline = each === row ? "3px solid var(--pr-region)" : "";
    }
    scene.draw({ heading: state.picture, label: `The picture ${state.picture}.`, map: pictureOf(state.picture) });
    const made = madeOf(row, state.picture);
    const most = made ? `, up to ${number(row.made[state.picture].most)}` : ": weights at random";
    output.draw({ heading: `${row.name}${most}`, label: `What ${row.name} makes of the picture.`, map: made ?? [[NaN]], palette: "value", share, square: true });
    facts.replaceChildren(...told(row).flatMap(([term, words]) => [h("dt", { style: "color: var(--pr-soft)" }, term), h("dd", { style: "margin: 0" }, words)]));
    const unmet = unmetNeeds(state, row);
    const verdict = unmet.length ? `${row.name} does not fit: ${unmet.join(", ")}.` : `${row.name} fits.`;
    fig.say(left ? `${left} of ${rows.size} operators meet the needs. ${verdict}` : `No operator meets all needs. Give one up. ${verdict}`);
  };
}

export const chooser = { title: "Which one would you take?", build: buildChooser };
