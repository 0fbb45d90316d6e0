// Small pieces of a page.

const SVG = "http://www.w3.org/2000/svg";

function filled(el, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) el.addEventListener(name.slice(2), value);
    else if (value !== false && value !== undefined) el.setAttribute(name, value === true ? "" : value);
  }
  el.append(...children);
  return el;
}

export const h = (tag, attributes = {}, ...children) => filled(document.createElement(tag), attributes, children);
export const s = (tag, attributes = {}, ...children) =>
  filled(document.createElementNS(SVG, tag), attributes, children);

// Something that takes the focus.  JupyterLab takes the arrow keys unless the focused element says otherwise.
export const control = (tag, attributes, ...children) =>
  h(tag, { "data-lm-suppress-shortcuts": "true", ...attributes }, ...children);

let made = 0; // for ids that stay apart when a page holds several figures, of several copies of this module
const token = Math.random().toString(36).slice(2, 8);
export const unique = (name) => `pr-${name}-${token}-${(made += 1)}`;

const ICONS = {
  undo: "M9 5L4 9.5L9 14M4.5 9.5H14a5 5 0 0 1 0 10H9",
  redo: "M15 5l5 4.500L15 14M19.500 9.500H10a5 5 0 0 0 0 10h5",
  reset: "M5 12a7 7 0 1 0 2.300-5.200M7.500 3v4h4",
  before: "M12 4v16M8 8L4 12l4 4M16 8l4 4-4 4",
  link: "M10 14a4 4 0 0 0 6 .5l3-3a4 4 0 0 0-6-6l-1.500 1.500M14 10a4 4 0 0 0-6-.5l-3 3a4 4 0 0 0 6 6l1.500-1.500",
  full: "M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5",
  play: "M8 5l11 7-11 7z",
  stop: "M7 6h10v12H7z",
  back: "M17 6l-8 6 8 6zM7 6v12",
  next: "M7 6l8 6-8 6zM17 6v12",
};

// A button with a picture; its words are its name and its hint.
export function iconButton(icon, words, onclick) {
  const path = s("path", { d: ICONS[icon] });
  const picture = s("svg", { viewBox: "0 0 24 24", "aria-hidden": "true", class: `pr-icon pr-icon-${icon}` }, path);
  const el = control("button", { type: "button", class: "pr-tool", title: words, "aria-label": words, onclick }, picture);
  return {
    el,
    become(newIcon, newWords) {
      path.setAttribute("d", ICONS[newIcon]);
      el.title = newWords;
      el.setAttribute("aria-label", newWords);
    },
  };
}

export const button = (text, onclick, attributes = {}) => control("button", { type: "button", onclick, ...attributes }, text);

// Controls: {el, show(value)}.  `onchange` hears the value the reader has set.

export function field(text, input, ...more) {
  input.id = unique("field");
  return h("div", { class: "pr-field" }, h("div", {}, h("label", { for: input.id }, text), ...more), input);
}

export function select(text, options, onchange, attributes = {}) {
  const input = control("select", { ...attributes, onchange: () => onchange(input.value) });
  const choices = (list) => input.replaceChildren(...list.map(([value, label]) => h("option", { value }, label)));
  choices(options);
  return { el: field(text, input), input, choices, show: (value) => (input.value = value) };
}

// A slider over numbers from `min` to `max`, or over a list of `values`.
export function slider(text, { min = 0, max, step = 1, values, words = String }, onchange) {
  const shown = h("output", { "aria-hidden": "true" });
  const range = values ? { min: 0, max: values.length - 1, step: 1 } : { min, max, step };
  const read = () => (values ? values[Number(input.value)] : Number(input.value));
  const input = control("input", { type: "range", ...range, oninput: () => onchange(read()) });
  const show = (value) => {
    if (values) input.value = values.reduce((best, v, i) => (Math.abs(v - value) < Math.abs(values[best] - value) ? i : best), 0);
    else {
      input.max = Math.max(max, value);
      input.value = value;
    }
    shown.value = words(value);
    if (values || words !== String) input.setAttribute("aria-valuetext", words(value));
  };
  return { el: field(text, input, " ", shown), input, show };
}

export function check(text, onchange) {
  const input = control("input", { type: "checkbox", onchange: () => onchange(input.checked) });
  const el = h("label", { class: "pr-check" }, input, text);
  return { el, input, show: (value) => (input.checked = value) };
}

// A choice of few, all in sight.
export function chips(legend, names, onchange) {
  const name = unique("chips");
  const inputs = names.map((value) => control("input", { type: "radio", name, value, onchange: () => onchange(value) }));
  const labels = inputs.map((input) => h("label", {}, input, h("span", {}, input.value)));
  const el = h("fieldset", { class: "pr-chips" }, h("legend", {}, legend), ...labels);
  return { el, show: (value) => inputs.forEach((input) => (input.checked = input.value === value)) };
}

// Controls that belong together, under a legend if there is a word for them.
export function group(legend, ...parts) {
  const els = parts.map((part) => part.el ?? part);
  if (!legend) return h("div", { class: "pr-group" }, ...els);
  return h("fieldset", { class: "pr-group" }, h("legend", {}, legend), ...els);
}

// --- motion ------------------------------------------------------------------------------------------------------

export const wantsMotion = () => !matchMedia("(prefers-reduced-motion: reduce)").matches;

// Let a copy of `text` fly from one element to another, over the figure `root`.
export function fly(root, from, to, text, { kind = "", ms = 450, delay = 0 } = {}) {
  if (!wantsMotion() || !from || !to) return;
  const [r, a, b] = [root, from, to].map((el) => el.getBoundingClientRect());
  const packet = h("span", { class: `pr-packet ${kind}`, "aria-hidden": "true" }, text);
  root.append(packet);
  const place = (box) =>
    `translate(${box.left + box.width / 2 - r.left + root.scrollLeft}px, ${box.top + box.height / 2 - r.top + root.scrollTop}px) translate(-50%, -50%)`;
  const flight = { duration: ms, delay, easing: "ease-in-out", fill: "backwards" };
  packet.animate([{ transform: place(a) }, { transform: place(b) }], flight).onfinish = () => packet.remove();
}
