// A photograph through a filter, ReLU and pooling, up to three times, with two ways to pool, one below the other.
import { pooled, problem } from "./kit/pooling.js";
import { convolved, relu } from "./kit/network.js";
import { at, inCell, number, same, scaleOf } from "./kit/numbers.js";
import { h, select } from "./kit/page.js";
import { grid } from "./kit/grid.js";
import { canvasMap } from "./kit/canvas.js";
import { pictureMenu, unpacked } from "./kit/picture.js";

const ROUNDS = 3;
const asItIs = (v) => v;

const windowOf = ({ kernel_size, stride }) => ({ kind: "window", kernel_size, stride });

// The stages after the photograph: "filter" (3 by 3 weights, then ReLU) and "pool".
const kindsOf = ({ rounds, filter_again }) =>
  Array.from({ length: rounds }, (_, round) => (round === 0 || filter_again ? ["filter", "pool"] : ["pool"])).flat();

// How far apart and how wide the parts of a map are that the cells of the next stage see.
const reachOf = (kind, state) => (kind === "filter" ? [1, 3] : [state.stride, state.kernel_size]);

// What is left of a side of `n` cells after every stage.
function sidesOf(state, n) {
  const sides = [n];
  for (const kind of kindsOf(state)) {
    const [step, reach] = reachOf(kind, state);
    sides.push(Math.floor((sides.at(-1) - reach) / step) + 1);
  }
  return sides;
}

// The photograph, then the map that every stage makes.
function stagesOf(picture, state, name) {
  const made = [picture];
  for (const kind of kindsOf(state)) {
    if (kind === "filter") made.push(relu(convolved([made.at(-1)], [[state.filter]], [0], 0)[0]));
    else made.push(pooled(made.at(-1), windowOf(state), { name }));
  }
  return made;
}

function problemOfPhoto(state, data) {
  const side = sidesOf(state, data.size).find((n) => n < 1);
  if (side === undefined) return problem([data.size, data.size], windowOf(state));
  return `After ${state.rounds} rounds with a kernel of ${state.kernel_size} and a stride of ${state.stride} nothing of the picture is left.`;
}

function buildPhoto(fig) {
  const { data, stage, side } = fig;
  const titles = Object.fromEntries(data.operators);
  const known = {};
  const pictureOf = ({ picture }) =>
    typeof picture === "string" ? (known[picture] ??= unpacked(data.pictures[picture])) : picture;
  // fig.pointed is {index of a stage, cell, quietly}.
  const point = (index) => (cell, { quietly }) => {
    fig.pointed = cell && { index, cell, quietly };
    fig.redraw();
  };
  const made = (kind, index) => {
    const panel = canvasMap(`${kind}${index}`, { onpick: point(index) });
    if (index > 1) panel.el.classList.add("pr-outcome");
    return panel;
  };
  const stageIndices = Array.from({ length: 2 * ROUNDS + 1 }, (_, i) => i);
  const firsts = stageIndices.map((index) => made("first", index));
  const seconds = stageIndices.map((index) => made("second", index)); // the first two of these are never shown
  const gap = canvasMap("difference", { onpick: (...picked) => point(kindsOf(fig.state).length)(...picked) });
  gap.el.classList.add("pr-outcome", "pr-between");
  const tiles = h("div", { class: "pr-ways" }, ...[...firsts, ...seconds, gap].map(({ el }) => el));
  stage.append(tiles);

  // Both ways begin with the photograph above the filter; then each has a row of its own, and their difference is last.
  // One way alone is one row.
  function arrange(last, rows) {
    const place = ({ el }, row, column) => Object.assign(el.style, { gridRow: row, gridColumn: column });
    place(firsts[0], 1, 1);
    place(firsts[1], rows, 3 - rows);
    for (const index of stageIndices.slice(2)) {
      place(firsts[index], 1, index + 2 - rows);
      place(seconds[index], 2, index);
    }
    place(gap, "1 / span 2", last + 1);
    tiles.style.setProperty("--tiles", last + 1);
  }

  // Pointing draws again and again: what a state makes is kept.
  let kept = {};
  function madeOf(state) {
    if (kept.state !== state) {
      const names = state.beside ? [state.operator, state.beside] : [state.operator];
      const ways = names.map((name) => stagesOf(pictureOf(state), state, name));
      const [one, other] = ways.map((way) => way.at(-1));
      const gaps = other && one.map((row, r) => row.map((v, c) => v - other[r][c]));
      kept = { state, ways, gaps, scale: scaleOf(...ways.flatMap((way) => way.slice(1))) };
    }
    return kept;
  }

  const weights = grid("filter", {
    onedit: ([r, c], value) =>
      fig.set({ filter: fig.state.filter.map((row, i) => row.map((w, j) => (i === r && j === c ? value : w))) }),
    refuse: fig.refuse,
  });
  weights.el.style.setProperty("--size", "38px");
  weights.el.style.setProperty("--index", "0px");
  const filterMenu = select("Filter", [...Object.keys(data.filters).map((name) => [name, name]), ["own", "my own numbers"]], (name) =>
    name === "own" ? weights.focus([0, 0]) : fig.set({ filter: data.filters[name] }),
  );
  fig.bind("filter", {
    el: filterMenu.el,
    show: (filter) => filterMenu.show(Object.keys(data.filters).find((name) => same(data.filters[name], filter)) ?? "own"),
  });
  const menu = pictureMenu("Picture", Object.keys(data.pictures), data.size, (picture) => fig.set({ picture }), fig.refuse);
  fig.bind("picture", menu);
  side.append(
    menu.el,
    h("div", { class: "pr-group" }, filterMenu.el, weights.el),
    fig.select("operator", "Pooling", data.operators).el,
    fig.select("beside", "Beside it", [["", "nothing"], ...data.operators]).el,
    fig.slider("kernel_size", "kernel", { min: 2, max: 6 }).el,
    fig.slider("stride", "stride", { min: 1, max: 6 }).el,
    fig.slider("rounds", "rounds", { min: 1, max: ROUNDS }).el,
    fig.check("filter_again", "filter again in every round", { when: ({ rounds }) => rounds > 1 }).el,
  );
  fig.note("Point at a cell, or move with the arrow keys, to see where it comes from. All maps after the filter have one scale.");

  // What a cell of a stage sees of the stages before it: for each the span of rows and of columns.
  function spansOf(state) {
    const { pointed } = fig;
    if (!pointed || fig.veiled) return {};
    const found = { [pointed.index]: pointed.cell.map((v) => [v, v]) };
    const kinds = kindsOf(state);
    for (let index = pointed.index; index > 0; index -= 1) {
      const [step, reach] = reachOf(kinds[index - 1], state);
      found[index - 1] = found[index].map(([a, b]) => [a * step, b * step + reach - 1]);
    }
    return found;
  }

  return function draw() {
    const { state } = fig;
    const kinds = kindsOf(state);
    const last = kinds.length;
    const { ways, gaps, scale } = madeOf(state);
    const sees = ({ index, cell: [r, c] }) => ways[0][index]?.length > r && ways[0][index][0].length > c;
    if (fig.pointed && !sees(fig.pointed)) fig.pointed = null;
    const { pointed } = fig;
    const spans = spansOf(state);
    const marks = (index) => {
      if (!spans[index]) return [];
      const [[top, bottom], [left, right]] = spans[index];
      return [{ cells: [top, left, bottom - top + 1, right - left + 1] }];
    };
    arrange(last, ways.length);
    [firsts, seconds].forEach((panels, n) => {
      const [way, name] = [ways[n], n ? state.beside : state.operator];
      panels.forEach((panel, index) => {
        panel.el.hidden = !way || index > last || (n === 1 && index < 2);
        if (panel.el.hidden) return;
        const map = way[index];
        const isFilter = kinds[index - 1] === "filter";
        const text = index === 0 ? "photograph" : isFilter ? "filter, ReLU" : titles[name];
        panel.draw({
          heading: `${text.replace(/ pooling$/, "").replace("photograph", "photo\u00adgraph")}\n${map.length}\u00a0\u00d7\u00a0${map[0].length}`,
          label: `${text}, ${map.length} by ${map[0].length} cells. Point at a cell, or move with the arrow keys.`,
          map,
          palette: index ? "value" : "grey",
          share: index ? scale : asItIs,
          regions: marks(index),
        });
      });
    });
    gap.el.hidden = !state.beside;
    if (state.beside) {
      gap.draw({
        heading: "upper less lower",
        label: "The difference of the two pooled maps.",
        map: gaps,
        palette: "value",
        share: scale,
        regions: marks(last),
      });
    }
    weights.draw({
      heading: "Its weights",
      rows: [0, 1, 2],
      columns: [0, 1, 2],
      entry: [0, 0],
      look: (r, c) => {
        const w = state.filter[r][c];
        return { text: inCell(w), value: w, heat: scaleOf(state.filter)(w), label: `row ${r}, column ${c}: weight ${number(w)}` };
      },
    });

    if (!pointed) {
      const left = ways[0][last];
      fig.say(`${data.size} \u00d7 ${data.size} cells become ${left.length} \u00d7 ${left[0].length}. Point at one of them.`);
      return;
    }
    const { index, cell, quietly } = pointed;
    const numbers = ways.map((way, n) => `${number(way[index][cell[0]][cell[1]])}${index > 1 && state.beside ? ` (${titles[n ? state.beside : state.operator]})` : ""}`);
    const [[top, bottom], [from, to]] = spans[0] ?? [[0, 0], [0, 0]];
    const square = index ? ` It comes from ${bottom - top + 1} \u00d7 ${to - from + 1} cells of the photograph.` : "";
    fig.say(`Cell ${at(cell)} is ${(index > 1 ? numbers : numbers.slice(0, 1)).join(" and ")}.${square}`, { quietly });
  };
}

export const photo = { title: "A photograph, filtered and pooled", problem: problemOfPhoto, build: buildPhoto };
