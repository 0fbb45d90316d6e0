// Numbers as readers write and read them, and the scale on which a figure shows them.

export const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
const signed = (text) => text.replace("-", "\u2212");

export function number(x, digits = 3) {
  if (!Number.isFinite(x)) return Number.isNaN(x) ? "NaN" : x < 0 ? "\u2212\u221e" : "\u221e";
  const rounded = Number(x.toPrecision(digits));
  return signed(String(Number.isInteger(x) && Math.abs(x) < 1e6 ? x : rounded));
}

export const equals = (x) => (number(x) === number(x, 12) ? `= ${number(x)}` : `\u2248 ${number(x)}`);
export const inCell = (x) =>
  number(Math.abs(x) < 100 ? Math.round(x * 100) / 100 + 0 : x).replace(/^(\u2212?)0\./, "$1.");
export const at = ([r, c]) => `(${r}, ${c})`;
export const count = (n, thing) => `${n} ${thing}${n === 1 ? "" : "s"}`;
export const percent = (x) => (Number.isFinite(x) ? `${number(100 * x, 2)} %` : "not defined");

export function list(items, most = 16) {
  if (items.length <= most) return items;
  return [...items.slice(0, most - 1), `\u2026 ${items.length - most + 1} more`];
}

// A number as people type it; NaN if it is none.
export const parse = (text) => (text.trim() ? Number(text.trim().replace(",", ".").replace("\u2212", "-")) : NaN);

// Rows of numbers as people type them; null if they are no map of at most `largest` rows and columns.
export function parseMap(text, largest) {
  const lines = text.split("\n").filter((line) => line.trim());
  const map = lines.map((line) => line.trim().split(/[\s;]+/).map(parse));
  const fits = (n) => n >= 1 && n <= largest;
  const ok = fits(map.length) && fits(map[0].length) && map.every((row) => row.length === map[0].length);
  return ok && map.flat().every(Number.isFinite) ? map : null;
}

// The one scale of all panels that show the same quantity: a number -> its share of the largest, \u22121 to 1.
export function scaleOf(...maps) {
  const most = maps.flat(2).reduce((m, v) => (Number.isFinite(v) ? Math.max(m, Math.abs(v)) : m), 0) || 1;
  return (x) => (Number.isFinite(x) ? Math.max(-1, Math.min(1, x / most)) : Math.sign(x) || 0);
}

// `count` numbers between 0 and 1, the same for the same seed: what MurmurHash3's last step makes of 1 + count * seed, 2 + count * seed, ...
export function uniforms(count, seed) {
  return Float64Array.from({ length: count }, (_, i) => {
    let mixed = Math.imul(1 + i + count * seed, 0x9e3779b1);
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
    return (((mixed ^ (mixed >>> 16)) >>> 0) + 0.5) / 2 ** 32;
  });
}

// `count` normal numbers with mean 0 and standard deviation 1: Box and Muller's of `uniforms`.
export function normals(count, seed) {
  const [first, second] = [uniforms(count, 2 * seed), uniforms(count, 2 * seed + 1)];
  return first.map((u, i) => Math.sqrt(-2 * Math.log(u)) * Math.cos(2 * Math.PI * second[i]));
}
