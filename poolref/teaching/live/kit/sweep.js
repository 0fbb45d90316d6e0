// Three ways to pool a map, step by step, with what each step costs: combinations of two values, reads, writes.

// Windows along a line of n cells: each from its own cells.
function* windowed(n, k, s) {
  for (let i = 0; i * s + k <= n; i++) yield { stage: "result", at: i, from: [i * s, k], cost: [k - 1, k, 1] };
}

// Maxima of blocks of k cells that run from the left, then from the right, then one of each for every window.
function* blocked(n, k, s) {
  for (let i = 0; i < n; i++) yield { stage: "before", at: i, from: [i, 1], cost: [i % k ? 1 : 0, 1, 1] };
  for (let i = n - 1; i >= 0; i--) yield { stage: "behind", at: i, from: [i, 1], cost: [i === n - 1 || (i + 1) % k === 0 ? 0 : 1, 1, 1] };
  for (let i = 0; i * s + k <= n; i++) yield { stage: "result", at: i, from: [i * s, k], cost: [1, 2, 1] };
}

// Sums from the first cell on, of which the first is 0, then a difference of two for every window.
function* summed(n, k, s) {
  yield { stage: "before", at: 0, from: [0, 0], cost: [0, 0, 1] };
  for (let i = 0; i < n; i++) yield { stage: "before", at: i + 1, from: [i, 1], cost: [i ? 1 : 0, 1, 1] };
  for (let i = 0; i * s + k <= n; i++) yield { stage: "result", at: i, from: [i * s, k], cost: [1, 2, 1] };
}

// The kernel sizes of both axes: an axis of one cell is not pooled.
export const kernelOf = ([high], k) => [high === 1 ? 1 : k, k];

// All steps of a method ("loop", "separable" or "running"), each {stage, at, from, cost, pass}: `at` is the cell that is
// written, `from` the cells [top, left, high, wide] that are looked at, `pass` "map" if these are cells of the map.
export function sweepSteps(method, [high, wide], k, s, operator) {
  const [tall] = kernelOf([high], k);
  const down = tall === 1 ? 1 : s;
  const rows = Math.floor((high - tall) / down) + 1;
  const columns = Math.floor((wide - k) / s) + 1;
  const steps = [];
  if (method === "loop") {
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < columns; j++) {
        steps.push({ stage: "output", at: [i, j], from: [i * down, j * s, tall, k], pass: "map", cost: [tall * k - 1, tall * k, 1] });
      }
    }
    return steps;
  }
  const along = method === "separable" ? windowed : operator === "max" ? blocked : summed;
  if (tall > 1) {
    for (let c = 0; c < wide; c++) {
      for (const { stage, at, from: [top, many], cost } of along(high, k, s)) {
        steps.push({ stage: stage === "result" ? "between" : stage, at: [at, c], from: [top, c, many, 1], pass: "map", cost });
      }
    }
  }
  for (let r = 0; r < rows; r++) {
    for (const { stage, at, from: [left, many], cost } of along(wide, k, s)) {
      const pass = tall > 1 ? "between" : "map";
      steps.push({ stage: stage === "result" ? "output" : stage, at: [r, at], from: [r, left, 1, many], pass, cost });
    }
  }
  return steps;
}

// What is done of `steps` after at most `budget` combinations: {done: [steps], last, operations, reads, writes}.
export function spent(steps, budget) {
  const sums = [0, 0, 0];
  let n = 0;
  while (budget && n < steps.length && sums[0] + steps[n].cost[0] <= budget) {
    steps[n].cost.forEach((v, i) => (sums[i] += v));
    n += 1;
  }
  const [operations, reads, writes] = sums;
  return { done: steps.slice(0, n), last: steps[n - 1] ?? null, operations, reads, writes };
}
