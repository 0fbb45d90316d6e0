// Play, step, speed and a scrubber over the moments of a figure.
import { control, h, iconButton, select, unique, wantsMotion } from "./page.js";

// `moments()` is how many there are, `now()` the index of the one shown, `go(index)` shows another; `words(index)` names
// one.  While it plays, `played` is the number of moments shown so far, and Infinity otherwise.
export function timeline({ moments, now, go, words, onstop = () => {} }) {
  const SPEEDS = [["0.5", "\u00bd\u00d7"], ["1", "1\u00d7"], ["2", "2\u00d7"], ["4", "4\u00d7"]];
  let timer = null;
  let speed = 1;
  const line = { played: Infinity, get playing() { return timer !== null; } };

  const move = (by) => {
    stop();
    const n = moments();
    go((now() + by + n) % n, { steps: true });
  };
  function play() {
    if (timer !== null) return stop();
    line.played = 1;
    timer = 0;
    go(0, { steps: true });
    tick();
  }
  function tick() {
    const pause = Math.max(90, Math.min(900, 11000 / moments())) / speed;
    timer = setTimeout(() => {
      if (line.played >= moments()) return stop();
      line.played += 1;
      go(line.played - 1, { steps: true });
      tick();
    }, pause);
  }
  function stop() {
    if (timer === null) return;
    clearTimeout(timer);
    timer = null;
    line.played = Infinity;
    onstop();
  }

  const playButton = iconButton("play", "Play", play);
  const scrubber = control("input", { type: "range", min: 0, step: 1, id: unique("scrub"), "aria-label": "Position" });
  scrubber.addEventListener("input", () => {
    stop();
    go(Number(scrubber.value), {});
  });
  const pace = select("Speed", SPEEDS, (value) => (speed = Number(value)));
  pace.show("1");
  return Object.assign(line, {
    el: h(
      "div",
      { class: "pr-timeline" },
      iconButton("back", "Back", () => move(-1)).el,
      playButton.el,
      iconButton("next", "Next", () => move(1)).el,
      scrubber,
      pace.el,
    ),
    stop,
    // How long a flight may take, in milliseconds.
    flight: () => (wantsMotion() ? Math.min(450, 700 / speed, 8000 / moments()) : 0),
    draw() {
      scrubber.max = moments() - 1;
      scrubber.value = now();
      scrubber.setAttribute("aria-valuetext", words(now()));
      playButton.become(timer === null ? "play" : "stop", timer === null ? "Play" : "Stop");
    },
  });
}
