// The arithmetic of the explorer: pooling a small 2-d map, forward and backward.  A browser test holds it to
// poolref.numpy.  A window is {kernel_size, stride, padding, dilation, ceil_mode, count_include_pad}, all but the last
// two ints; a map is a list of rows of finite numbers.

const reach = (window) => window.dilation * (window.kernel_size - 1) + 1;

function sizeBeforeDrop(n, { stride, padding, ceil_mode, ...window }) {
  const room = n + 2 * padding - reach(window);
  return Math.floor((room + (ceil_mode ? stride - 1 : 0)) / stride) + 1;
}

// Whether ceil_mode made a last window that would start in the padding after the map, which is dropped.
export const dropsLast = (n, window) =>
  window.ceil_mode && (sizeBeforeDrop(n, window) - 1) * window.stride >= n + window.padding;

export const outputSize = (n, window) => sizeBeforeDrop(n, window) - (dropsLast(n, window) ? 1 : 0);

// What is wrong with a window on a map of this shape, in the words of poolref.regions; "" if nothing is.
export function problem(shape, window) {
  const { kernel_size: k, padding: p, dilation: d } = window;
  const pair = (v) => `(${v}, ${v})`;
  const half = Math.floor(k / 2);
  if (p > half) return `padding must be at most half of kernel_size=${pair(k)}, that is ${pair(half)}, got ${pair(p)}`;
  const axis = shape.findIndex((n) => outputSize(n, window) < 1);
  if (axis < 0) return "";
  const n = shape[axis];
  return (
    `kernel_size=${pair(k)} with dilation=${pair(d)} spans ${reach(window)} cells on axis ${axis}; ` +
    `with padding=${pair(p)} it must fit into at most ${n + 2 * p}, for an axis of ${n} cells`
  );
}

// All taps of window i along one axis, those outside the map included.
export const taps = (i, { kernel_size, stride, padding, dilation }) =>
  Array.from({ length: kernel_size }, (_, t) => i * stride - padding + t * dilation);

// --- reducers: (values, divisor) -> the result, the weight of each value in it, and its slope for each value ---------

const pick = (better, nothing) => (x) => {
  const best = x.reduce((b, v, i) => (better(v, x[b]) ? i : b), 0); // only a better value displaces: the first tie wins
  const one = x.map((_, i) => (i === best ? 1 : 0));
  return { value: x.length ? x[best] : nothing, weights: one, slopes: one };
};

function linear(x, divisor) {
  const weights = x.map(() => 1 / divisor);
  return { value: x.reduce((a, b) => a + b, 0) / divisor, weights, slopes: weights };
}

function euclidean(x) {
  const value = Math.hypot(...x);
  const slopes = x.map((v) => (value ? v / value : 0));
  return { value, weights: slopes.map((v) => v * v), slopes };
}

function soft(x) {
  if (!x.length) return { value: -Infinity, weights: [], slopes: [] };
  const largest = Math.max(...x); // subtracted, so that exp never overflows
  const e = x.map((v) => Math.exp(v - largest));
  const total = e.reduce((a, b) => a + b);
  const weights = e.map((v) => v / total);
  const value = weights.reduce((sum, w, i) => sum + w * x[i], 0);
  return { value, weights, slopes: weights.map((w, i) => w * (1 + x[i] - value)) };
}

export const REDUCERS = {
  max: pick((a, b) => a > b, -Infinity),
  average: linear,
  sum: (x) => linear(x, 1),
  min: pick((a, b) => a < b, Infinity),
  lp: euclidean,
  soft,
};

// --- forward and backward ----------------------------------------------------------------------------------------

// For every output cell: {cells, padding, divisor, value, weights, slopes}.  `cells` are the [row, column] of the region
// in row-major order, `padding` counts its taps in explicit padding.
export function pool(map, operator, window) {
  const shape = [map.length, map[0].length];
  const [rows, columns] = shape.map((n) =>
    Array.from({ length: outputSize(n, window) }, (_, i) => {
      const all = taps(i, window);
      return { inside: all.filter((t) => t >= 0 && t < n), counted: all.filter((t) => t < n + window.padding).length };
    }),
  );
  return rows.map((row) =>
    columns.map((column) => {
      const cells = row.inside.flatMap((r) => column.inside.map((c) => [r, c]));
      const counted = row.counted * column.counted;
      const divisor = window.count_include_pad ? counted : cells.length;
      const x = cells.map(([r, c]) => map[r][c]);
      return { cells, padding: counted - cells.length, divisor, ...REDUCERS[operator](x, divisor) };
    }),
  );
}

// The gradient for the map, given one for the output.
export function backward(regions, gradOutput, shape) {
  const grad = Array.from({ length: shape[0] }, () => new Array(shape[1]).fill(0));
  regions.forEach((row, i) =>
    row.forEach(({ cells, slopes }, j) =>
      cells.forEach(([r, c], n) => (grad[r][c] += gradOutput[i][j] * slopes[n])),
    ),
  );
  return grad;
}
