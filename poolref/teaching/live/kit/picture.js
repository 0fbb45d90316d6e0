// Pictures: those that come with a figure, and the reader's own, which never leave the reader's machine.
import { button, control, h, select } from "./page.js";
import { pooled } from "./pooling.js";

// Bytes in base64 -> rows of numbers from 0 to 1.
export function unpacked({ columns, bytes }) {
  const values = Array.from(atob(bytes), (character) => character.charCodeAt(0) / 255);
  return Array.from({ length: values.length / columns }, (_, r) => values.slice(r * columns, (r + 1) * columns));
}

// A photograph brought to any size by adaptive pooling; the digit on a sheet of that size, in its own.  `before` is which
// part of the rows and columns that the digit leaves free lie before it.
export function resized({ picture, height, width }, source, before) {
  if (picture !== "digit") return pooled(source, { kind: "adaptive", output_size: [height, width] }, { name: "average" });
  const [top, left] = [height - source.length, width - source[0].length].map((free) => Math.floor(free * before));
  return Array.from({ length: height }, (_, r) => Array.from({ length: width }, (_, c) => source[r - top]?.[c - left] ?? 0));
}

// The square in the middle of an image, a video or a canvas, in grey, as rows of `size` numbers from 0 to 1.
function grey(source, wide, high, size) {
  const canvas = h("canvas", { width: size, height: size });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const side = Math.min(wide, high);
  context.imageSmoothingQuality = "high";
  context.drawImage(source, (wide - side) / 2, (high - side) / 2, side, side, 0, 0, size, size);
  const { data } = context.getImageData(0, 0, size, size);
  const value = (i) => (0.299 * data[i] + 0.587 * data[i + 1] + 0.114 * data[i + 2]) / 255;
  return Array.from({ length: size }, (_, r) =>
    Array.from({ length: size }, (_, c) => Math.round(255 * value(4 * (r * size + c))) / 255),
  );
}

// A menu of pictures, the reader's own file and the camera among them.  `onchange` hears a name, or rows of numbers.
export function pictureMenu(text, names, size, onchange, refuse) {
  const hasCamera = Boolean(globalThis.navigator?.mediaDevices?.getUserMedia);
  const file = control("input", { type: "file", accept: "image/*", hidden: true, "aria-label": "A picture of your own" });
  const view = h("div", { class: "pr-camera", hidden: true });
  const options = [...names.map((name) => [name, name]), ["own", "my own picture \u2026"]];
  if (hasCamera) options.push(["webcam", "the camera \u2026"]); // "camera" is a photograph
  let shown = names[0];
  const menu = select(text, options, (value) => {
    if (value !== "own" && value !== "webcam") return onchange(value);
    menu.show(shown);
    if (value === "own") file.click();
    else film();
  });

  file.addEventListener("change", async () => {
    const [chosen] = file.files;
    file.value = "";
    if (!chosen) return;
    try {
      const image = await createImageBitmap(chosen);
      onchange(grey(image, image.width, image.height, size));
    } catch {
      refuse(`"${chosen.name}" is not a picture that this browser can read.`);
    }
  });

  async function film() {
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
      const video = h("video", { autoplay: true, playsinline: true, "aria-label": "What the camera sees" });
      video.muted = true;
      video.srcObject = stream;
      const stop = () => {
        for (const track of stream.getTracks()) track.stop();
        view.replaceChildren();
        view.hidden = true;
      };
      const take = button("Take it", () => {
        if (!video.videoWidth) return;
        onchange(grey(video, video.videoWidth, video.videoHeight, size));
        stop();
      });
      view.replaceChildren(video, take, button("Cancel", stop));
      view.hidden = false;
    } catch {
      refuse("The camera cannot be used here: the browser or its owner has refused.");
    }
  }

  return {
    el: h("div", {}, menu.el, file, view),
    show(value) {
      shown = typeof value === "string" ? value : "own";
      menu.show(shown);
    },
  };
}
