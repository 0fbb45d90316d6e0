// Patches of three textures under noise, filtered and pooled to one number each: do the textures stay apart?
import { convolved } from "./kit/network.js";
import { normals, number, scaleOf, uniforms } from "./kit/numbers.js";
import { h, s } from "./kit/page.js";
import { canvasMap } from "./kit/canvas.js";
import { unpacked } from "./kit/picture.js";
import { pooled } from "./kit/pooling.js";

const WAYS_TO_TELL = ["operator", "beside"];
const meanOf = (values) => values.reduce((a, b) => a + b, 0) / values.length;

// A picture cut into squares, row by row, each brought to mean 0 and standard deviation 1.
function patchesOf(picture, side) {
  const across = picture.length / side;
  return Array.from({ length: across * across }, (_, n) => {
    const [top, left] = [Math.floor(n / across) * side, (n % across) * side];
    const patch = picture.slice(top, top + side).map((row) => row.slice(left, left + side));
    const mean = meanOf(patch.flat());
    const deviation = Math.sqrt(meanOf(patch.flat().map((v) => (v - mean) ** 2)));
    return patch.map((row) => row.map((v) => (v - mean) / deviation));
  });
}

// Which of the numbers lie nearest to the mean of their own class, the number itself left out.
function toldApart(classes) {
  const means = classes.map(meanOf);
  return classes.map((values, own) =>
    values.map((value) => {
      const others = (means[own] * values.length - value) / (values.length - 1);
      const distances = means.map((mean, n) => Math.abs(value - (n === own ? others : mean)));
      return distances.indexOf(Math.min(...distances)) === own;
    }),
  );
}

function buildNoise(fig) {
  const { data, stage, side } = fig;
  const names = Object.keys(data.textures);
  const titles = Object.fromEntries(data.operators);
  const clean = names.map((name) => patchesOf(unpacked(data.textures[name]), data.side));
  const each = clean[0].length;
  const cells = data.side * data.side;
  const total = names.length * each;
  const drawn = { normal: normals(total * cells, 0), chance: uniforms(total * cells, 2), sign: uniforms(total * cells, 3) };

  const tiles = names.map((name) => ({ name, noisy: canvasMap(`noisy-${name}`), filtered: canvasMap(`filtered-${name}`) }));
  const line = h("div", { class: "pr-tiles pr-line" }, ...tiles.map(({ noisy }) => noisy.el), ...tiles.map(({ filtered }) => filtered.el));
  const lanes = WAYS_TO_TELL.map((way) => {
    const heading = h("p", { class: "pr-title" });
    const chart = s("svg", { class: "pr-chart", "aria-hidden": "true" });
    return { way, heading, chart, el: h("section", { class: "pr-panel pr-outcome", "data-lane": way }, heading, chart) };
  });
  stage.append(line, ...lanes.map(({ el }) => el));
  side.append(
    fig.slider("noise", "noise", { min: 0, max: 2, step: 0.1, words: (v) => number(v) }).el,
    fig.slider("struck", "cells struck", { min: 0, max: 10, step: 0.5, words: (v) => `${number(v)} %` }).el,
    fig.select("operator", "Pooling", data.operators).el,
    fig.select("beside", "Beside it", data.operators).el,
    fig.select("filter", "Filter", Object.keys(data.filters).map((name) => [name, name])).el,
  );
  fig.note(`A dot is a patch: full if it lies nearest to its own texture\u2019s mean (the bar), empty if not. The first patch of each texture is shown.`);

  const noisyOf = ({ noise, struck }, texture, n) => {
    let at = (texture * each + n) * cells - 1;
    return clean[texture][n].map((row) =>
      row.map((v) => {
        at += 1;
        if (drawn.chance[at] < struck / 100) return drawn.sign[at] < 0.5 ? -data.impulse : data.impulse;
        return v + noise * drawn.normal[at];
      }),
    );
  };

  function drawLane({ chart, heading, el, way }, classes, title) {
    const hits = toldApart(classes);
    const right = hits.flat().filter(Boolean).length;
    heading.textContent = `${title}: ${right} of ${total} told apart`;
    el.values = classes; // the numbers behind the dots, for whoever asks the page
    const width = Math.max(240, Math.min(640, stage.clientWidth)); // a unit is a pixel, so that text is legible
    const [left, high] = [52, 18];
    const [low, most] = [Math.min(...classes.flat()), Math.max(...classes.flat())];
    const x = (v) => left + 8 + ((v - low) / (most - low || 1)) * (width - left - 20);
    const y = (row) => 10 + high * row;
    const bottom = y(names.length) - 4;
    chart.setAttribute("viewBox", `0 0 ${width} ${bottom + 16}`);
    chart.replaceChildren(
      s("path", { class: "pr-axis", d: `M${left} ${bottom}H${width - 4}` }),
      s("text", { x: x(low), y: bottom + 13 }, number(low)),
      s("text", { x: x(most), y: bottom + 13, "text-anchor": "end" }, number(most)),
      ...names.flatMap((name, row) => [
        s("text", { x: 0, y: y(row) + 4 }, name),
        ...classes[row].map((v, n) =>
          s("circle", { class: hits[row][n] ? "pr-dot" : "pr-dot pr-missed", cx: x(v), cy: y(row), r: 4 }),
        ),
        s("path", { class: "pr-line", d: `M${x(meanOf(classes[row]))} ${y(row) - 8}v16` }),
      ]),
    );
    return `${right} by ${title} (${way === "operator" ? "upper" : "lower"})`;
  }

  return function draw() {
    const { state } = fig;
    const weights = [[data.filters[state.filter]]];
    const filtered = (patch) => convolved([patch], weights, [0], 0)[0].map((row) => row.map(Math.abs));
    const noisy = names.map((_, texture) => clean[texture].map((_, n) => noisyOf(state, texture, n)));
    const maps = noisy.map((patches) => patches.map(filtered));
    line.style.setProperty("--tiles", stage.clientWidth > 480 ? 6 : 3);
    const share = scaleOf(...maps.map(([first]) => first));
    tiles.forEach((tile, texture) => {
      tile.noisy.draw({
        heading: tile.name,
        label: `A patch of ${tile.name} under noise.`,
        map: noisy[texture][0],
        share: (v) => Math.max(0, Math.min(1, (v + data.impulse) / (2 * data.impulse))),
      });
      tile.filtered.draw({
        heading: "filtered",
        label: `What the filter makes of the patch of ${tile.name}.`,
        map: maps[texture][0],
        palette: "value",
        share,
      });
    });
    const told = lanes.map((lane) => {
      const name = state[lane.way];
      const classes = maps.map((found) => found.map((map) => pooled(map, { kind: "whole" }, { name })[0][0]));
      return drawLane(lane, classes, titles[name]);
    });
    fig.say(`Of ${total} noisy patches, these lie nearest to their own texture: ${told.join(", ")}.`);
  };
}

export const noise = { title: "Textures under noise", build: buildNoise };
