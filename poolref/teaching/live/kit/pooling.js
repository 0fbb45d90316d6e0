// Pooling a small 2-d map, forward and backward.  A browser test holds every function here to poolref.numpy.
//
// A map is a list of rows of finite numbers.  Regions are {kind, ...}, with the words of poolref.regions: "window"
// (kernel_size, stride, padding, dilation, ceil_mode; ints or [rows, columns]), "adaptive" (output_size), "whole",
// "pyramid" (levels), "rows", "columns", "running" (direction), "box" (start, size, output_size).  A reducer is {name, ...parameters}.

const pair = (v) => (Array.isArray(v) ? v : [v, v]);
const upTo = (n) => Array.from({ length: n }, (_, i) => i);
const shapeOf = (map) => [map.length, map[0].length];

// --- regions -----------------------------------------------------------------------------------------------------

function windowAlong(regions, axis) {
  const { kernel_size, stride, padding = 0, dilation = 1, ceil_mode = false } = regions;
  const [k, s, p, d] = [kernel_size, stride ?? kernel_size, padding, dilation].map((v) => pair(v)[axis]);
  return { k, s, p, d, ceil_mode, reach: d * (k - 1) + 1 };
}

function sizeBeforeDrop(n, { s, p, reach, ceil_mode }) {
  return Math.floor((n + 2 * p - reach + (ceil_mode ? s - 1 : 0)) / s) + 1;
}

// Whether ceil_mode made a last window that would start in the padding after the map, which is dropped.
export function dropsLast(n, regions, axis = 0) {
  const w = windowAlong(regions, axis);
  return w.ceil_mode && (sizeBeforeDrop(n, w) - 1) * w.s >= n + w.p;
}

export const windowOutputs = (n, regions, axis = 0) =>
  sizeBeforeDrop(n, windowAlong(regions, axis)) - (dropsLast(n, regions, axis) ? 1 : 0);

// For each window of a stack, along one axis of n cells: the cells left, the receptive field of one of its cells (size,
// jump, start), and which cells of the input that one really sees, from the first on.
export function fieldsOf(stack, n) {
  let [left, size, jump, start, seen] = [n, 1, 1, 0, [0]];
  return stack.map((window) => {
    const { k, s, p, d } = windowAlong(window, 0);
    left = windowOutputs(left, window);
    seen = [...new Set(seen.flatMap((offset) => upTo(k).map((t) => offset + t * d * jump)))];
    size += (k - 1) * d * jump;
    start -= p * jump;
    jump *= s;
    return { left, size, jump, start, seen };
  });
}

// All taps of window i along one axis, those outside the map included.
export function windowTaps(i, regions, axis = 0) {
  const { k, s, p, d } = windowAlong(regions, axis);
  return upTo(k).map((t) => i * s - p + t * d);
}

const binsAlong = (n, o) =>
  upTo(o).map((i) => {
    const start = Math.floor((i * n) / o);
    return upTo(Math.ceil(((i + 1) * n) / o) - start).map((t) => start + t);
  });

// For each kind, the cells along one axis of every output index along it.
const SPANS = {
  window: (n, axis, regions) =>
    upTo(windowOutputs(n, regions, axis)).map((i) => windowTaps(i, regions, axis).filter((t) => t >= 0 && t < n)),
  adaptive: (n, axis, { output_size }) => binsAlong(n, pair(output_size)[axis] ?? n),
  whole: (n) => [upTo(n)],
  rows: (n, axis) => (axis === 0 ? binsAlong(n, n) : [upTo(n)]),
  columns: (n, axis) => (axis === 1 ? binsAlong(n, n) : [upTo(n)]),
  box: (n, axis, { start, size, output_size }) =>
    binsAlong(size[axis], output_size[axis]).map((bin) => bin.map((c) => start[axis] + c).filter((c) => c >= 0 && c < n)),
  running(n, axis, { direction }) {
    if (axis !== (direction === "up" || direction === "down" ? 0 : 1)) return binsAlong(n, n);
    const reverse = direction === "up" || direction === "left";
    return upTo(n).map((i) => (reverse ? upTo(n - i).map((t) => n - 1 - t) : upTo(i + 1)));
  },
};

// The regions as grids of outputs, one below the other: a pyramid has one for each level, all others one.
const grids = (regions) =>
  regions.kind === "pyramid" ? regions.levels.map((o) => ({ kind: "adaptive", output_size: o })) : [regions];

// The cells of a product of ranges: for each axis those of every output index along it.  Not for a pyramid.
export const spansOf = (shape, regions) => shape.map((n, axis) => SPANS[regions.kind](n, axis, regions));

// How many outputs each row of the output has.
export const rowLengths = (shape, regions) =>
  grids(regions).flatMap((grid) => {
    const [rows, columns] = spansOf(shape, grid);
    return rows.map(() => columns.length);
  });

// What is wrong with regions on a map of this shape, in the reader's words; "" if nothing is.
export function problem(shape, regions) {
  if (regions.kind !== "window") return "";
  for (const axis of [0, 1]) {
    const { k, p, d, reach } = windowAlong(regions, axis);
    const half = Math.floor(k / 2);
    if (p > half) {
      return `Padding ${p} is too much for a kernel of ${k}: at most half of the kernel, here ${half}, is possible.`;
    }
    if (windowOutputs(shape[axis], regions, axis) >= 1) continue;
    const room = shape[axis] + 2 * p;
    const gaps = d > 1 ? ` with dilation ${d}` : "";
    const padded = p ? " with its padding" : "";
    return `A kernel of ${k}${gaps} spans ${reach} cells, and the map${padded} has ${axis ? "columns" : "rows"} for ${room}.`;
  }
  return "";
}

// --- reducers ----------------------------------------------------------------------------------------------------
// value(x, {divisor, ...parameters}) -> the result.  shares(x, value, parameters) -> the part of each value in the
// result, and slopes(...) -> the derivative of the result to each value.

function sum(x) {
  let total = 0;
  for (const v of x) total += v;
  return total;
}
function first(x, better) {
  let best = 0;
  for (let i = 1; i < x.length; i += 1) if (better(x[i], x[best])) best = i; // the first tie wins
  return best;
}
const oneHot = (x, at) => x.map((_, i) => (i === at ? 1 : 0));
const larger = (a, b) => a > b;
const smaller = (a, b) => a < b;

function pick(better, nothing) {
  const shares = (x) => oneHot(x, first(x, better));
  return { value: (x) => (x.length ? x[first(x, better)] : nothing), shares, slopes: shares };
}

function linear(divisorOf) {
  const shares = (x, _, parameters) => x.map(() => 1 / divisorOf(x, parameters));
  return { value: (x, parameters) => sum(x) / divisorOf(x, parameters), shares, slopes: shares };
}

// exp(beta x) over its sum.  The value with the largest exponent is subtracted, so that no exponential overflows; at an
// infinite beta that value has all the weight, in equal parts if it is there several times.
export function softmax(x, beta) {
  const best = beta > 0 ? Math.max(...x) : Math.min(...x);
  const e = x.map((v) => (v === best ? 1 : Math.exp(beta * (v - best))));
  const total = sum(e);
  return e.map((v) => v / total);
}

const dot = (a, b) => sum(a.map((v, i) => v * b[i]));
const powers = (x, p, most) => x.map((v) => (v / most) ** p);
const floored = (x, eps) => x.map((v) => Math.max(v, eps));

// The weight of each cell in the median: 1 for the one in the middle, or 1/2 for each of two.
function middle(x) {
  const order = [...x.keys()].sort((i, j) => x[i] - x[j] || i - j);
  const at = [order[(x.length - 1) >> 1], order[x.length >> 1]];
  return x.map((_, i) => at.filter((j) => j === i).length / 2);
}

export const REDUCERS = {
  max: pick(larger, -Infinity),
  average: linear((x, { divisor }) => divisor ?? x.length),
  sum: linear(() => 1),
  min: pick(smaller, Infinity),
  lp: {
    value(x, { p = 2 }) {
      const size = x.map(Math.abs);
      const most = Math.max(0, ...size);
      return most === 0 || p === Infinity ? most : most * sum(powers(size, p, most)) ** (1 / p);
    },
    shares: (x, y, { p = 2 }) =>
      p === Infinity ? oneHot(x, first(x.map(Math.abs), larger)) : x.map((v) => (y ? (Math.abs(v) / y) ** p : 0)),
    slopes(x, y, { p = 2 }) {
      if (p === Infinity) return this.shares(x, y, { p }).map((w, i) => w * Math.sign(x[i]));
      return x.map((v) => (y && v ? Math.sign(v) * (Math.abs(v) / y) ** (p - 1) : 0));
    },
  },
  soft: {
    value: (x, { beta = 1 }) => (x.length ? dot(softmax(x, beta), x) : -Infinity),
    shares: (x, _, { beta = 1 }) => softmax(x, beta),
    slopes: (x, y, { beta = 1 }) =>
      softmax(x, beta).map((w, i) => (Number.isFinite(beta) ? w * (1 + beta * (x[i] - y)) : w)),
  },
  lse: {
    value(x, { r = 10 }) {
      if (!x.length) return -Infinity;
      const most = Math.max(...x);
      return most + Math.log1p(sum(x.map((v) => Math.expm1(r * (v - most)))) / x.length) / r;
    },
    shares: (x, _, { r = 10 }) => softmax(x, r),
    slopes: (x, _, { r = 10 }) => softmax(x, r),
  },
  gem: {
    value(x, { p = 3, eps = 1e-6 }) {
      if (!x.length) return NaN;
      const kept = floored(x, eps);
      const most = Math.max(...kept);
      return most * (sum(powers(kept, p, most)) / x.length) ** (1 / p);
    },
    shares: (x, y, { p = 3, eps = 1e-6 }) => powers(floored(x, eps), p, y).map((v) => v / x.length),
    slopes: (x, y, { p = 3, eps = 1e-6 }) =>
      x.map((v) => (v < eps ? 0 : (v / y) ** (p - 1) / x.length)),
  },
  median: {
    value: (x) => (x.length ? dot(middle(x), x) : NaN),
    shares: (x) => middle(x),
    slopes: (x) => middle(x),
  },
  mixed: {
    value(x, { alpha = 0.5 }) {
      const parts = [[alpha, REDUCERS.max], [1 - alpha, REDUCERS.average]];
      return sum(parts.map(([part, { value }]) => (part ? part * value(x, {}) : 0)));
    },
    shares: (x, _, { alpha = 0.5 }) =>
      REDUCERS.max.shares(x).map((w) => alpha * w + (1 - alpha) / x.length),
    slopes: (x, _, { alpha = 0.5 }) => REDUCERS.mixed.shares(x, _, { alpha }),
  },
};

// --- forward and backward ----------------------------------------------------------------------------------------

// For every output: {cells, padding, parameters}.  `cells` are the [row, column] of its region in the order in which
// they are met, `padding` counts its taps in explicit padding, `parameters` are the reducer's, the divisor among them.
function collect(shape, regions, reducer, visit) {
  const parameters = { ...reducer };
  return grids(regions).flatMap((grid) => {
    const [rows, columns] = spansOf(shape, grid);
    const countable = [rows, columns].map((spans, axis) =>
      spans.map((span, i) => {
        if (grid.kind !== "window") return span.length;
        return windowTaps(i, grid, axis).filter((t) => t < shape[axis] + windowAlong(grid, axis).p).length;
      }),
    );
    return rows.map((inRow, i) =>
      columns.map((inColumn, j) => {
        const counted = countable[0][i] * countable[1][j];
        const inside = inRow.length * inColumn.length;
        parameters.divisor = reducer.count_include_pad === false ? inside : counted;
        return visit(inRow, inColumn, parameters, counted - inside);
      }),
    );
  });
}

// In loops, because a picture has thousands of regions.
function gather(map, rows, columns) {
  const x = [];
  for (const r of rows) for (const c of columns) x.push(map[r][c]);
  return x;
}

// The pooled map: its rows of numbers.
export function pooled(map, regions, reducer) {
  const { value } = REDUCERS[reducer.name];
  return collect(shapeOf(map), regions, reducer, (rows, columns, parameters) =>
    value(gather(map, rows, columns), parameters),
  );
}

// The pooled map with how it came about: rows of {cells, x, value, shares, slopes, divisor, padding}.
export function pool(map, regions, reducer) {
  const { value, shares } = REDUCERS[reducer.name];
  return collect(shapeOf(map), regions, reducer, (rows, columns, parameters, padding) => {
    const cells = rows.flatMap((r) => columns.map((c) => [r, c]));
    const x = gather(map, rows, columns);
    const y = value(x, parameters);
    return {
      cells,
      x,
      value: y,
      shares: shares(x, y, parameters),
      slopes: REDUCERS[reducer.name].slopes(x, y, parameters),
      divisor: parameters.divisor,
      padding,
    };
  });
}

// The gradient for a map of `shape`, given one that arrives at the outputs of `pool`.
export function backward(outputs, arriving, shape) {
  const grad = Array.from({ length: shape[0] }, () => new Array(shape[1]).fill(0));
  outputs.forEach((row, i) =>
    row.forEach(({ cells, slopes }, j) =>
      cells.forEach(([r, c], n) => (grad[r][c] += arriving[i][j] * slopes[n])),
    ),
  );
  return grad;
}

// The loss whose gradient at the outputs is `arriving`: every output times what arrives at it, added up.
export const lossOf = (map, regions, reducer, arriving) =>
  sum(pooled(map, regions, reducer).map((row, i) => dot(row, arriving[i])));

// How that loss moves when one cell is raised, and lowered, by `step`: {raised, lowered, quotient}, where the quotient
// is the central difference.
export function nudged(map, regions, reducer, arriving, [r, c], step) {
  const lossWith = (value) =>
    lossOf(map.map((row, i) => (i === r ? row.map((v, j) => (j === c ? value : v)) : row)), regions, reducer, arriving);
  const [raised, lowered] = [lossWith(map[r][c] + step), lossWith(map[r][c] - step)];
  return { raised, lowered, quotient: (raised - lowered) / (2 * step) };
}

// --- operators that are no reducer -------------------------------------------------------------------------------

// Every `stride`-th cell, and nothing combined.
export const subsampled = (map, stride) =>
  map.filter((_, r) => r % stride === 0).map((row) => row.filter((_, c) => c % stride === 0));

// Blur pooling: a binomial filter of `size` cells, then every `stride`-th cell; edges are continued by reflection.
export function blurred(map, size, stride) {
  let weights = [1];
  while (weights.length < size) weights = [...weights, 0].map((w, i) => (w + (weights[i - 1] ?? 0)) / 2);
  const along = (line) =>
    upTo(Math.floor((line.length - 1) / stride) + 1).map((i) =>
      sum(
        weights.map((w, t) => {
          const at = Math.abs(i * stride + t - Math.floor((size - 1) / 2));
          return w * line[at < line.length ? at : 2 * (line.length - 1) - at];
        }),
      ),
    );
  const turned = (rows) => rows[0].map((_, c) => rows.map((row) => row[c]));
  return turned(turned(map.map(along)).map(along));
}

// The regions of RoI pooling: a box [top, left, bottom, right], in cells, rounded to whole cells, halves away from 0, both
// ends included.
export function roiCells(box, outputs) {
  const [top, left, bottom, right] = box.map((v) => Math.sign(v) * Math.round(Math.abs(v)));
  const size = [bottom - top + 1, right - left + 1].map((n) => Math.max(n, 1));
  return { kind: "box", start: [top, left], size, output_size: [outputs, outputs] };
}

// Where RoIAlign takes its samples along one axis of a box, for every bin: positions, at which cell m has its value at m.
export function samplesOf(first, last, outputs, ratio, aligned) {
  const size = aligned ? last - first : Math.max(last - first, 1);
  const count = ratio || Math.max(0, Math.ceil(size / outputs));
  const begin = first - (aligned ? 0.5 : 0);
  return upTo(outputs).map((i) => upTo(count).map((t) => begin + ((i + (t + 0.5) / count) * size) / outputs));
}

// RoIAlign of a box [top, left, bottom, right], in cells: the means of samples between the cells.
export function roiAligned(map, box, outputs, ratio, aligned) {
  const shape = shapeOf(map);
  const [rows, columns] = [0, 1].map((axis) => samplesOf(box[axis], box[axis + 2], outputs, ratio, aligned));
  const between = (position, n) => {
    const near = Math.min(Math.max(position, 0), n - 1);
    const low = Math.floor(near);
    return position < -1 || position > n ? null : { low, high: Math.min(low + 1, n - 1), part: near - low };
  };
  const sampled = (y, x) => {
    const [r, c] = [between(y, shape[0]), between(x, shape[1])];
    if (!r || !c) return 0;
    const along = (row) => (1 - c.part) * map[row][c.low] + c.part * map[row][c.high];
    return (1 - r.part) * along(r.low) + r.part * along(r.high);
  };
  return rows.map((ys) =>
    columns.map((xs) => sum(ys.flatMap((y) => xs.map((x) => sampled(y, x)))) / Math.max(1, ys.length * xs.length)),
  );
}

// What a memory of `cells` answers to a query, `steps` times: {path, weights}.  `path` is the query and every answer, and
// `weights` are those of the last retrieval.  Cells and query are lists of numbers.
export function retrieved(query, cells, beta, steps) {
  const path = [query];
  let weights;
  for (let step = 0; step < steps; step += 1) {
    weights = softmax(cells.map((cell) => beta * dot(cell, path.at(-1))), 1);
    path.push(query.map((_, axis) => dot(weights, cells.map((cell) => cell[axis]))));
  }
  return { path, weights };
}
