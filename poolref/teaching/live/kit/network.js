// The small network of the course: convolutions, ReLU, pooling, a linear layer.  A browser test holds it to
// poolref.teaching.network.  Several maps are a list of maps.
import { blurred, pooled, REDUCERS, subsampled } from "./pooling.js";

// Little-endian float16 numbers in base64.
function halves(text) {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  return Array.from({ length: bytes.length / 2 }, (_, i) => {
    const bits = bytes[2 * i] + 256 * bytes[2 * i + 1];
    const [sign, exponent, fraction] = [bits & 0x8000 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
    return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024));
  });
}

// Nested lists of the shape given, in row-major order.
function shaped(values, [n, ...rest]) {
  if (!rest.length) return values;
  const size = values.length / n;
  return Array.from({ length: n }, (_, i) => shaped(values.slice(i * size, (i + 1) * size), rest));
}

// {shapes, float16}, as poolref.teaching.network.as_json writes it -> the weights by name.
export function weightsOf({ shapes, float16 }) {
  const values = halves(float16);
  let start = 0;
  return Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => {
      const size = shape.reduce((a, b) => a * b);
      return [name, shaped(values.slice(start, (start += size)), shape)];
    }),
  );
}

// What torch calls a convolution: maps, kernels[out][in] of k x k weights, a bias for each output map.
export function convolved(maps, kernels, biases, padding) {
  const k = kernels[0][0].length;
  const [rows, columns] = [maps[0].length + 2 * padding - k + 1, maps[0][0].length + 2 * padding - k + 1];
  return kernels.map((kernel, out) => {
    const result = Array.from({ length: rows }, () => new Array(columns).fill(biases[out]));
    kernel.forEach((weights, i) => {
      for (let u = 0; u < k; u += 1) {
        for (let v = 0; v < k; v += 1) {
          const weight = weights[u][v];
          for (let r = Math.max(0, padding - u); r < rows && r + u - padding < maps[i].length; r += 1) {
            const [line, target] = [maps[i][r + u - padding], result[r]];
            for (let c = Math.max(0, padding - v); c < columns && c + v - padding < line.length; c += 1) {
              target[c] += weight * line[c + v - padding];
            }
          }
        }
      }
    });
    return result;
  });
}

export const relu = (map) => map.map((row) => row.map((v) => Math.max(0, v)));

// A pooling of the network by its name: windows of 2x2, every operator with its own defaults; "none" pools nothing.
export function pooledBy(map, name) {
  if (name === "none") return map;
  if (name === "subsample") return subsampled(map, 2);
  if (name === "blur") return blurred(map, 3, 2);
  return pooled(map, { kind: "window", kernel_size: 2 }, { name });
}

// The poolings that `pooledBy` knows.
export const POOLINGS = [...Object.keys(REDUCERS), "subsample", "blur"];

// What every layer before the linear one makes of an image of any size, by the names of poolref.teaching.network.
export function layersOf(weights, image, [first, second]) {
  const layers = { image: [image] };
  layers.conv1 = convolved(layers.image, weights["conv1.weight"], weights["conv1.bias"], 1);
  layers.relu1 = layers.conv1.map(relu);
  layers.pool1 = layers.relu1.map((map) => pooledBy(map, first));
  layers.conv2 = convolved(layers.pool1, weights["conv2.weight"], weights["conv2.bias"], 1);
  layers.relu2 = layers.conv2.map(relu);
  layers.pool2 = layers.relu2.map((map) => pooledBy(map, second));
  return layers;
}

const dense = (features, weight, bias) =>
  weight.map((row, i) => row.reduce((sum, w, j) => sum + w * features[j], bias[i]));

// The same and the scores, null where the linear layer does not fit the numbers that arrive.
export function activations(weights, image, poolings) {
  const layers = layersOf(weights, image, poolings);
  const [cells, rows] = [layers.pool2.flat(2), weights["linear.weight"]];
  layers.scores = rows[0].length === cells.length ? dense(cells, rows, weights["linear.bias"]) : null;
  return layers;
}

// The scores of an image of any size under a global head, "average" or "max".
export function globalScores(weights, image, head) {
  const { relu2 } = layersOf(weights, image, ["max", "max"]);
  const features = relu2.map((map) => pooled(map, { kind: "whole" }, { name: head })[0][0]);
  return dense(features, weights[`${head}.weight`], weights[`${head}.bias`]);
}

// For each map, what each of its cells adds to the score of a class: all cells of a map add up to weight x pooled map.
// Under the average every cell adds its part, under the maximum the first winner adds all.
export function evidence(weights, maps, head, seen) {
  return maps.map((map, k) => {
    const weight = weights[`${head}.weight`][seen][k];
    const columns = map[0].length;
    const cells = map.flat();
    const winner = cells.indexOf(Math.max(...cells));
    const part = (v, c) => (head === "average" ? v / cells.length : c === winner ? v : 0);
    return map.map((row, r) => row.map((v, c) => weight * part(v, r * columns + c)));
  });
}
