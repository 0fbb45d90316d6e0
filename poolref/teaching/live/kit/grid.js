// A panel of numbers through which the arrow keys move.
import { parse } from "./numbers.js";
import { control, h, unique } from "./page.js";

// `onselect(index)` hears of the focus, `onedit(index, number)` of a new number, `refuse(words)` of one that is none,
// `ondrag(down, right)` of the drag of a cell that is lit, in cells, with `ondrag.start()` before it.
export function grid(kind, { onselect, onedit, ondrag, refuse }) {
  const title = h("p", { class: "pr-title", id: unique(kind) });
  const body = h("div", { role: "grid", class: "pr-grid", "data-grid": kind, "aria-labelledby": title.id });
  const frame = h("div", { class: "pr-frame", "aria-hidden": "true" });
  const el = h("section", { class: `pr-panel pr-${kind}` }, title, h("div", { class: "pr-scroll" }, body));
  const cells = new Map(); // "r,c" -> the element of a cell that can be chosen
  const ghosts = new Map(); // "r,c" -> the element of a cell of padding
  let shape = "";

  const indexOf = (target) => target.closest?.("[role=gridcell]")?.dataset.at.split(",").map(Number);
  const focus = (index) => cells.get(String(index))?.focus();

  // --- the pointer: a first touch chooses, a second edits, a drag moves the window
  let held = null;
  let wasActive = false;
  let dragged = false;
  body.addEventListener("pointerdown", (event) => {
    wasActive = document.activeElement === event.target.closest("[role=gridcell]");
    dragged = false;
    if (!ondrag || event.button || !event.target.closest(".pr-lit")) return;
    held = { x: event.clientX, y: event.clientY, side: event.target.closest(".pr-cell").offsetWidth };
    ondrag.start();
  });
  body.addEventListener("pointermove", (event) => {
    if (!held || event.target.matches("input")) return;
    const [down, right] = [event.clientY - held.y, event.clientX - held.x].map((way) => way / held.side);
    if (!dragged && Math.hypot(down, right) < 0.35) return;
    if (!dragged) body.setPointerCapture(event.pointerId);
    dragged = true;
    ondrag(down, right);
  });
  for (const end of ["pointerup", "pointercancel"]) body.addEventListener(end, () => (held = null));
  body.addEventListener("click", ({ target }) => {
    const index = indexOf(target);
    if (!index || dragged || target.matches("input")) return;
    if (wasActive && onedit) edit(index);
    else focus(index);
  });
  body.addEventListener("focusin", ({ target }) => target.matches("[role=gridcell]") && onselect?.(indexOf(target)));

  body.addEventListener("keydown", (event) => {
    const index = indexOf(event.target);
    if (!index || event.target.matches("input") || event.ctrlKey || event.metaKey || event.altKey) return;
    const [r, c] = index;
    const rowOf = [...cells.keys()].map((key) => key.split(",").map(Number)).filter(([row]) => row === r);
    const goal = {
      ArrowLeft: [r, c - 1],
      ArrowRight: [r, c + 1],
      ArrowUp: [r - 1, c],
      ArrowDown: [r + 1, c],
      Home: rowOf[0],
      End: rowOf.at(-1),
    }[event.key];
    if (goal) focus(goal);
    else if (onedit && (event.key === "Enter" || event.key === "F2")) edit(index);
    else if (onedit && /^[-.\d]$/.test(event.key)) edit(index, event.key);
    else return;
    event.preventDefault();
  });

  function edit(index, start) {
    const cell = cells.get(String(index));
    let done = false; // taking the input away blurs it
    const finish = (keep) => {
      if (done) return;
      done = true;
      const inside = cell.contains(document.activeElement);
      input.remove();
      if (inside) cell.focus();
      const value = parse(input.value);
      cell.textContent = cell.dataset.text;
      if (keep && Number.isFinite(value)) onedit(index, value);
      else if (keep) refuse(`Cell (${index.join(", ")}) must be a number, and "${input.value}" is none.`);
    };
    const input = control("input", {
      type: "text",
      inputmode: "decimal",
      "aria-label": `New value of cell (${index.join(", ")})`,
      onblur: () => finish(true),
      onkeydown: (event) => {
        if (event.key === "Enter" || event.key === "Escape") finish(event.key === "Enter");
      },
    });
    input.value = start ?? cell.dataset.value;
    cell.replaceChildren(input);
    input.focus();
    if (start === undefined) input.select();
  }

  function build(rows, columnsOf, isGhost) {
    cells.clear();
    ghosts.clear();
    const widest = rows.map(columnsOf).reduce((a, b) => (b.length > a.length ? b : a));
    const outside = (r, c) => isGhost(r, c);
    const head = h("div", { class: "pr-head", "aria-hidden": "true" }, h("span"));
    head.append(...widest.map((c) => h("span", {}, outside(rows.find((r) => r >= 0), c) ? "" : String(c))));
    const lines = rows.map((r) => {
      const columns = columnsOf(r);
      const line = h("div", columns.every((c) => outside(r, c)) ? { "aria-hidden": "true" } : { role: "row" });
      line.append(h("span", { class: "pr-side-index", "aria-hidden": "true" }, outside(r, columns.find((c) => c >= 0)) ? "" : String(r)));
      for (const c of columns) {
        const ghost = outside(r, c);
        const cell = ghost
          ? h("span", { class: "pr-cell pr-ghost", "aria-hidden": "true" })
          : control("div", { role: "gridcell", tabindex: -1, "data-at": `${r},${c}` });
        (ghost ? ghosts : cells).set(`${r},${c}`, cell);
        line.append(cell);
      }
      return line;
    });
    body.replaceChildren(head, ...lines, frame);
  }

  return {
    el,
    focus,
    cell: (index) => cells.get(String(index)),
    // `rows` are indices, which may begin below 0 (padding); `columns` too, or a function from a row to its own.
    // `look(r, c)` says how a cell looks: {text, label, value, classes, heat (\u22121 to 1), share (0 to 1), was}.
    draw({ heading, rows, columns, isGhost = () => false, look, entry, framed }) {
      title.textContent = heading;
      const columnsOf = typeof columns === "function" ? columns : () => columns;
      const newShape = JSON.stringify(rows.map((r) => [r, columnsOf(r).map((c) => [c, isGhost(r, c)])]));
      if (newShape !== shape) build(rows, columnsOf, isGhost);
      shape = newShape;
      for (const [key, cell] of [...cells, ...ghosts]) {
        const { text, label, classes = "", heat = 0, share = 0, value, was } = look(...key.split(",").map(Number));
        cell.dataset.text = text;
        cell.dataset.value = value;
        if (cell.querySelector("input")) continue; // being edited
        cell.textContent = text;
        cell.className = `pr-cell ${classes} ${heat < 0 ? "pr-negative" : ""} ${text.length > 4 ? "pr-longer" : text.length > 3 ? "pr-long" : ""}`;
        cell.style.setProperty("--heat", Math.abs(heat).toFixed(3));
        cell.style.setProperty("--share", Math.min(1, Math.max(0, share)).toFixed(3));
        if (was !== undefined) cell.append(h("span", { class: "pr-was" }, was));
        if (!cells.has(key)) continue;
        cell.setAttribute("aria-label", was === undefined ? label : `${label}, was ${was}`);
        cell.tabIndex = key === String(entry) ? 0 : -1;
      }
      frame.hidden = !framed;
      if (!framed) return;
      const [[top, bottom], [left, right]] = framed;
      frame.style.setProperty("--top", top - rows[0]);
      frame.style.setProperty("--left", left - columnsOf(rows[0])[0]);
      frame.style.setProperty("--high", bottom - top + 1);
      frame.style.setProperty("--wide", right - left + 1);
    },
  };
}

// Give all grids of a stage one size of cell: side by side if cells of at least 24 pixels fit, else one below the
// other.  `across` are the columns of the panels beside each other, `tall` the rows below each other.
export function fitCells(stage, across, tall, largest = 40) {
  const [side, gap] = stage.clientWidth < 480 ? [14, 10] : [18, 24]; // the row numbers beside a panel; between panels
  const room = (columns) => stage.clientWidth - columns.length * side - (columns.length - 1) * gap - 4;
  const total = (columns) => columns.reduce((a, b) => a + b, 0);
  const beside = Math.floor(room(across) / total(across));
  const stacked = beside < 24;
  const fit = stacked ? Math.floor(room([1]) / Math.max(...across)) : beside;
  const high = stage.closest(".pr-full") ? Math.floor((innerHeight - 290) / tall) : largest;
  stage.style.setProperty("--index", `${side}px`);
  stage.style.setProperty("--gap", `${gap}px`);
  stage.style.setProperty("--size", `${Math.max(20, Math.min(fit, high))}px`);
  stage.classList.toggle("pr-stacked", stacked);
}
