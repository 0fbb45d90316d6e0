// What every live figure has: a state with undo, redo, reset, before and a link; controls; words; full screen; a
// prediction asked for first; and the two ways to come to life, on a page (`wake`) and in Jupyter (`widget`).
//
// A figure is {title, build(fig), problem?(state, data), settle?(state, data), local?}.  `build` fills fig.stage (and
// fig.side with controls) and returns a function that draws fig.state.  `problem` says what is wrong with a state, in the
// reader's words, "" if nothing is; `settle` returns the state with what depends on other parts brought into range;
// `local` names the parts of a state that a link leaves out.
import { same } from "./numbers.js";
import { button, check, control, h, iconButton, select, slider, unique } from "./page.js";
import { timeline } from "./timeline.js";

// All figures on the page, in the order in which they came to life, whichever copy of this module made them.
const awake = () => ((globalThis.poolref ??= {}).awake ??= []);

const fitsInALink = (value) => JSON.stringify(value).length < 1500;

function live(kind, definition, { el, data, initial, label, told, hosted }) {
  const settle = (state) => (definition.settle ? definition.settle({ ...state }, data) : { ...state });
  const problem = (state) => definition.problem?.(state, data) ?? "";
  let shown = settle(initial); // the last state that can be shown
  let wanted = shown; // what the controls say
  let trouble = "";
  let refusal = ""; // what was wrong with what the reader typed
  let past = [];
  let future = [];
  let joining = null; // the control whose changes make one step back
  let looksBack = false;
  const controls = [];
  const lines = [];

  const current = () => (looksBack ? past.at(-1) : shown);

  function refresh() {
    draw();
    for (const { name, show, el: field, when } of controls) {
      show((looksBack ? current() : wanted)[name]);
      const idle = when ? !when(current()) : false;
      field.classList.toggle("pr-idle", idle);
      for (const input of field.querySelectorAll("input, select")) input.disabled = idle;
    }
    for (const line of lines) line.draw();
    // aria-disabled: a button that is disabled under the reader's finger would lose the focus.
    for (const [tool, idle] of [[undo, !past.length], [redo, !future.length], [before, !past.length]]) {
      tool.el.setAttribute("aria-disabled", idle);
    }
    before.el.setAttribute("aria-pressed", looksBack);
    el.classList.toggle("pr-stale", trouble !== "");
    el.classList.toggle("pr-looks-back", looksBack);
    const words = trouble || refusal;
    if (message.textContent !== words) message.textContent = words;
  }

  // `patch` becomes part of the state.  `record: false` is for what is no step back (which cell is chosen); changes with
  // the same `join` within two seconds are one step.
  function set(patch, { record = true, join = null } = {}) {
    looksBack = false;
    refusal = "";
    wanted = { ...wanted, ...patch };
    trouble = problem(wanted);
    const candidate = trouble ? { ...shown, ...patch } : wanted;
    if (trouble && problem(candidate)) return refresh();
    const next = settle(candidate);
    if (record && !same(next, shown)) {
      const joins = join && joining?.name === join && Date.now() - joining.when < 2000;
      if (!joins) past = [...past.slice(-99), shown];
      future = [];
      joining = join && { name: join, when: Date.now() };
    }
    shown = next;
    if (!trouble) wanted = next;
    refresh();
    if (!trouble) told(shown);
  }

  function travel(from, to) {
    if (!from.length) return;
    const goal = from.pop();
    to.push(shown);
    looksBack = false;
    joining = null;
    [trouble, refusal] = ["", ""];
    shown = wanted = goal;
    refresh();
    told(shown);
  }

  // --- the frame around a figure

  const undo = iconButton("undo", "Undo", () => travel(past, future));
  const redo = iconButton("redo", "Redo", () => travel(future, past));
  const reset = iconButton("reset", "Start again", () => {
    fig.pointed = null;
    set(initial);
  });
  const before = iconButton("before", "Look at the state before", () => {
    looksBack = !looksBack && past.length > 0;
    refresh();
  });
  const link = iconButton("link", "Copy a link to this state", copyLink);
  const full = iconButton("full", "Full screen", toggleFull);
  const tools = h("div", { class: "pr-tools" }, undo.el, redo.el, reset.el, before.el, link.el, full.el);
  const heading = h("p", { class: "pr-name" }, label ?? definition.title);
  const message = h("p", { class: "pr-message", role: "status" });
  const stage = h("div", { class: "pr-stage" });
  const side = h("div", { class: "pr-side" });
  const foot = h("div", { class: "pr-foot" });
  const sentence = h("p", { class: "pr-sentence", "aria-live": "polite" });
  const note = h("p", { class: "pr-note" });
  link.el.hidden = hosted;

  function toggleFull() {
    const filled = el.classList.contains("pr-full");
    if (filled && document.fullscreenElement === el) document.exitFullscreen();
    else if (!filled && el.requestFullscreen) el.requestFullscreen().catch(() => {});
    fill(!filled);
  }
  function fill(on) {
    el.classList.toggle("pr-full", on);
    full.become("full", on ? "Leave full screen" : "Full screen");
    refresh();
  }
  const onFullscreen = () => document.fullscreenElement !== el && el.classList.contains("pr-full") && fill(false);

  // The fragment of the page's address that restores a state: #live-explorer-1&stride=1.
  const place = () => `live-${kind}-${1 + awake().filter((f) => f.kind === kind).findIndex((f) => f.el === el)}`;
  function fragment() {
    const entries = Object.entries(shown).filter(
      ([name, value]) => !definition.local?.includes(name) && !same(value, initial[name]) && fitsInALink(value),
    );
    return [place(), ...entries.map(([name, value]) => `${name}=${encodeURIComponent(JSON.stringify(value))}`)].join("&");
  }
  async function copyLink() {
    history.replaceState(null, "", `#${fragment()}`);
    try {
      await navigator.clipboard.writeText(location.href);
      fig.refuse("The link to this state is copied; it also stands in the address line.");
    } catch {
      fig.refuse("The link to this state stands in the address line.");
    }
  }
  function follow() {
    const [name, ...entries] = location.hash.slice(1).split("&");
    if (hosted || name !== place()) return;
    try {
      const patch = Object.fromEntries(
        entries.map((entry) => {
          const [trait, value] = [entry.slice(0, entry.indexOf("=")), entry.slice(entry.indexOf("=") + 1)];
          return [trait, JSON.parse(decodeURIComponent(value))];
        }),
      );
      fig.show(patch);
      const here = () => el.scrollIntoView({ block: "start" });
      here();
      addEventListener("load", here, { once: true }); // what loads later moves the figure
    } catch {
      fig.refuse("The link holds a state that this figure does not know.");
    }
  }

  el.addEventListener("keydown", (event) => {
    const typing = event.target.matches("textarea, input[type=text], input[type=number]");
    const undoes = (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z";
    if (undoes && !typing) {
      event.preventDefault();
      event.shiftKey ? travel(future, past) : travel(past, future);
    }
    if (event.key === "Escape" && el.classList.contains("pr-full") && !typing) fill(false);
    if (typing || undoes) event.stopPropagation(); // notebooks have commands on single keys
  });

  // --- what a figure is given

  const bind = (name, made, when) => {
    controls.push({ name, show: made.show, el: made.el, when });
    return made;
  };
  const heard = (name) => (value) => {
    for (const line of lines) line.stop();
    set({ [name]: value }, { join: name });
  };
  const fig = {
    el,
    data,
    stage,
    side,
    foot,
    set,
    pointed: null, // what the reader points at: a figure's own, no part of the state, forgotten with it
    get state() {
      return current();
    },
    // What the controls say: differs from the state while that cannot be shown.
    get wanted() {
      return looksBack ? current() : wanted;
    },
    // The state before the last step, to show what has changed; null if there is none.
    get previous() {
      return looksBack ? null : (past.at(-1) ?? null);
    },
    get veiled() {
      return el.classList.contains("pr-veiled");
    },
    select: (name, text, options, { when, ...attributes } = {}) =>
      bind(name, select(text, options, heard(name), attributes), when),
    slider: (name, text, { when, ...range }) => bind(name, slider(text, range, heard(name)), when),
    check: (name, text, { when } = {}) => bind(name, check(text, heard(name)), when),
    bind,
    timeline(moments) {
      const line = timeline({ ...moments, onstop: refresh });
      lines.push(line);
      return line;
    },
    // Say in words what the figure shows: a text, or pieces of text of which some are {text, from} with a cell.
    say(pieces, { quietly = false } = {}) {
      const parts = [pieces].flat();
      sentence.setAttribute("aria-live", quietly ? "off" : "polite"); // while playing it would never stop talking
      const text = parts.map((part) => part.text ?? part).join("");
      if (sentence.textContent === text) return;
      sentence.replaceChildren(
        ...parts.map((part) => (part.text === undefined ? part : h("span", { class: "pr-number", "data-from": part.from }, part.text))),
      );
    },
    sentence,
    redraw: () => refresh(), // after a change that is no part of the state, such as where the reader points
    note: (text) => note.textContent !== text && (note.textContent = text),
    // Say what is wrong with what a reader has typed, opened or asked for; the next change takes it away.
    refuse(words) {
      refusal = words;
      refresh();
    },
    // Show the state in which the figure began, with some of it replaced.
    show(patch) {
      for (const line of lines) line.stop();
      const known = Object.entries(patch).every(([name, value]) => name in initial && sameKind(value, initial[name]));
      if (!known || problem({ ...initial, ...patch })) return fig.refuse("The figure cannot show that state.");
      fig.pointed = null;
      set({ ...initial, ...patch });
    },
  };

  // --- predict first

  function ask({ question, choices, answer, why }) {
    const name = unique("choice");
    const labels = choices.map((choice, i) =>
      h("label", {}, control("input", { type: "radio", name, value: i, onchange: () => (go.disabled = false) }), h("span", {}, choice)),
    );
    const go = button("Show me", () => {
      const chosen = Number(form.querySelector("input:checked").value);
      el.classList.remove("pr-veiled");
      const verdict = chosen === answer ? "As you predicted. " : `You predicted "${choices[chosen]}"; it is "${choices[answer]}". `;
      const told = h("p", { class: `pr-verdict ${chosen === answer ? "pr-was-right" : ""}`, tabindex: -1 }, verdict, why);
      form.replaceWith(told);
      refresh();
      told.focus();
    });
    go.disabled = true;
    const form = h("fieldset", { class: "pr-predict" }, h("legend", {}, `Predict: ${question}`), ...labels, go);
    el.classList.add("pr-veiled");
    return form;
  }

  el.classList.add("poolref", "poolref-live", `pr-figure-${kind}`);
  el.setAttribute("role", "group");
  el.setAttribute("aria-label", label ?? definition.title);
  const draw = definition.build(fig) ?? (() => {});
  el.replaceChildren(
    h("div", { class: "pr-bar" }, heading, tools),
    ...(data.predict ? [ask(data.predict)] : []),
    h("div", { class: "pr-body" }, h("div", { class: "pr-main" }, stage, message, foot, sentence, note), ...(side.children.length ? [side] : [])),
  );
  const entry = { kind, el, show: fig.show, state: current };
  awake().push(entry);
  document.addEventListener("fullscreenchange", onFullscreen);
  const sized = new ResizeObserver(() => refresh());
  sized.observe(stage);
  const stopThemes = onTheme(refresh);
  refresh();

  return {
    follow,
    // A state from elsewhere: Python, another view of the same widget.
    hear(state) {
      if (same(state, wanted)) return;
      wanted = shown = settle(state);
      trouble = "";
      refresh();
    },
    close() {
      for (const line of lines) line.stop();
      awake().splice(awake().indexOf(entry), 1);
      document.removeEventListener("fullscreenchange", onFullscreen);
      sized.disconnect();
      stopThemes();
    },
  };
}

const sameKind = (a, b) => a === null || b === null || typeof a === typeof b || Array.isArray(a) || Array.isArray(b);

// Canvases keep the colours they were drawn in: draw again when the page turns light or dark, or to paper.
function onTheme(redraw) {
  const wishes = ["(prefers-color-scheme: dark)", "print"].map((query) => matchMedia(query));
  for (const wish of wishes) wish.addEventListener("change", redraw);
  const seen = new MutationObserver(redraw);
  const attributeFilter = ["data-theme", "theme", "data-jp-theme-light", "data-vscode-theme-kind"];
  for (const el of [document.documentElement, document.body]) seen.observe(el, { attributes: true, attributeFilter });
  return () => {
    for (const wish of wishes) wish.removeEventListener("change", redraw);
    seen.disconnect();
  };
}

// A button of `try_this` sets the nearest figure above it, of its kind.
function hearTries() {
  if (globalThis.poolref.hearsTries) return;
  globalThis.poolref.hearsTries = true;
  document.documentElement.classList.add("poolref-awake");
  document.addEventListener("click", ({ target }) => {
    const pressed = target.closest?.("[data-poolref-try]");
    if (!pressed) return;
    const { figure, state } = JSON.parse(pressed.dataset.poolrefTry);
    const above = awake().filter(
      (f) => (f.kind === figure || f.el.id === figure) && f.el.compareDocumentPosition(pressed) & Node.DOCUMENT_POSITION_FOLLOWING,
    );
    const chosen = above.at(-1);
    if (!chosen) return;
    chosen.show(state);
    chosen.el.querySelector(".pr-stage").scrollIntoView({ block: "nearest", behavior: "auto" });
    chosen.el.classList.remove("pr-set");
    void chosen.el.offsetWidth; // so that the animation runs again
    chosen.el.classList.add("pr-set");
  });
}

// --- the two ways to come to life ---------------------------------------------------------------------------------

// On a page: every element that carries a figure of this kind, with its state as JSON.
export function wake(kind, definition) {
  for (const el of document.querySelectorAll(`[data-poolref-live="${kind}"]:not([data-awake])`)) {
    const { state, data, label } = JSON.parse(el.dataset.poolrefState);
    el.dataset.awake = "true";
    const made = live(kind, definition, { el, data, initial: state, label, told: () => {}, hosted: false });
    made.follow();
    addEventListener("hashchange", made.follow);
  }
  hearTries();
}

// In Jupyter: the state is in the model, whose other side is Python.
export function widget(kind, definition, { model, el }) {
  const names = model.get("state_names");
  const stateOf = () => Object.fromEntries(names.map((name) => [name, model.get(name)]));
  let sending = false;
  function told(state) {
    sending = true;
    for (const name of names) if (!same(model.get(name), state[name])) model.set(name, state[name]);
    sending = false;
    model.save_changes();
  }
  const root = h("div");
  el.append(root);
  const made = live(kind, definition, { el: root, data: model.get("data"), initial: stateOf(), label: model.get("label"), told, hosted: true });
  const hear = () => sending || made.hear(stateOf());
  for (const name of names) model.on(`change:${name}`, hear);
  hearTries();
  return () => {
    for (const name of names) model.off(`change:${name}`, hear);
    made.close();
  };
}
