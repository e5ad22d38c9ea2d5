import { api } from "../../../scripts/api.js";
import { MARGIN, whenThereIsOutput, fit } from "./outputs.js";
import { translated } from "./translate.js";
import { notches } from "./wheel.js";

// Compare shows before and after with a divider that follows the pointer, or their difference. The wheel zooms to
// single pixels, dragging moves, a double click goes back. (The stock Compare Images draws in one of the front end's
// two kinds of nodes only, and has neither zoom nor difference.)

const NAME = "compare";
const HEIGHT = 220; // units; more if the node is taller
const FARTHEST = 32; // times
const STEP = 1.25; // times for each notch of the wheel

whenThereIsOutput("ldu.compare", (type) => type === "LDU_Compare", show);

function show(node, output) {
  if (!output?.before?.length) return;
  const widget = node.widgets?.find((each) => each.name === NAME) ?? addBox(node);
  widget.box.give(output);
  fit(node);
}

function addBox(node) {
  const box = makeBox();
  const options = { serialize: false, getMinHeight: () => HEIGHT };
  const widget = node.addDOMWidget(NAME, "ldu_compare", box.element, options);
  widget.serialize = false;
  widget.box = box;
  return widget;
}

function make(tag, style, parent) {
  const element = document.createElement(tag);
  Object.assign(element.style, style);
  parent?.append(element);
  return element;
}

function makeBox() {
  const column = { display: "flex", flexDirection: "column", gap: "4px" };
  const lowest = `${HEIGHT - 2 * MARGIN}px`; // Nodes 2.0 makes a box no higher than what is in it
  const element = make("div", { ...column, height: "100%", width: "100%", minHeight: lowest });
  element.className = "ldu-compare";
  const row = { display: "flex", gap: "6px", alignItems: "center", font: "12px Inter, Arial, sans-serif" };
  const bar = make("div", row, element);
  const frame = { position: "relative", flex: "1", minHeight: "0", overflow: "hidden", borderRadius: "4px" };
  const look = { background: "var(--comfy-input-bg)", cursor: "col-resize", outline: "none" };
  const view = make("div", { ...frame, ...look }, element);
  view.tabIndex = -1;
  view.dataset.captureWheel = "true"; // Nodes 2.0 leaves the wheel to what has focus
  view.className = "view";
  view.title = translated("buttons", "Wheel: zoom. Drag: move. Double click: whole picture.");
  const plane = make("div", { position: "absolute", inset: "0", transformOrigin: "0 0" }, view);
  const whole = { position: "absolute", inset: "0", width: "100%", height: "100%", objectFit: "contain" };
  const kinds = ["before", "after", "difference"];
  const pictures = Object.fromEntries(kinds.map((kind) => [kind, make("img", whole, plane)]));
  for (const [kind, picture] of Object.entries(pictures)) Object.assign(picture, { className: kind, draggable: false });
  const line = { position: "absolute", top: "0", bottom: "0", width: "2px", background: "#fff", pointerEvents: "none" };
  const divider = make("div", { ...line, boxShadow: "0 0 3px #000" }, view);
  const state = { mode: "slider", number: 0, files: {}, at: 0.5, zoom: 1, x: 0, y: 0 };
  const draw = () => drawBox(state, { view, plane, pictures, divider, buttons, turn, zoomed });

  const buttons = {
    slider: addButton(bar, translated("buttons", "before | after")),
    difference: addButton(bar, translated("buttons", "difference")),
  };
  for (const [mode, button] of Object.entries(buttons)) button.onclick = () => draw(Object.assign(state, { mode }));
  const turn = addButton(bar, "");
  turn.onclick = () => draw(Object.assign(state, { number: (state.number + 1) % state.files.before.length }));
  const zoomed = make("span", { marginLeft: "auto", color: "var(--input-text)" }, bar);
  listen(view, state, draw);
  new ResizeObserver(draw).observe(view);
  return { element, give: (files) => draw(Object.assign(state, { files, number: 0 })) };
}

function addButton(bar, text) {
  const button = make("button", { padding: "1px 8px", borderRadius: "4px", cursor: "pointer" }, bar);
  button.textContent = text;
  return button;
}

function listen(view, state, draw) {
  const place = (event) => {
    const box = view.getBoundingClientRect(); // on the screen, where the graph may be scaled
    const scale = view.clientWidth / box.width;
    return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
  };
  view.addEventListener("wheel", (event) => {
    event.preventDefault();
    event.stopPropagation();
    const [x, y] = place(event);
    const zoom = Math.min(FARTHEST, Math.max(1, state.zoom * STEP ** -notches(event)));
    const grown = zoom / state.zoom; // about the pointer
    move(view, Object.assign(state, { zoom, x: x - grown * (x - state.x), y: y - grown * (y - state.y) }));
    draw();
  });
  view.addEventListener("pointerdown", (event) => {
    event.stopPropagation(); // else the node would move
    view.focus({ preventScroll: true });
    view.setPointerCapture(event.pointerId);
  });
  view.addEventListener("pointermove", (event) => {
    const scale = view.clientWidth / view.getBoundingClientRect().width;
    if (event.buttons & 1 && state.zoom > 1) {
      state.x += event.movementX * scale;
      state.y += event.movementY * scale;
      move(view, state);
    } else {
      state.at = Math.min(1, Math.max(0, place(event)[0] / view.clientWidth));
    }
    draw();
  });
  view.addEventListener("dblclick", () => draw(Object.assign(state, { zoom: 1, x: 0, y: 0 })));
}

// Keep the picture's plane over the whole view.
function move(view, state) {
  state.x = Math.min(0, Math.max(view.clientWidth * (1 - state.zoom), state.x));
  state.y = Math.min(0, Math.max(view.clientHeight * (1 - state.zoom), state.y));
}

function drawBox(state, { view, plane, pictures, divider, buttons, turn, zoomed }) {
  const slides = state.mode === "slider";
  for (const [kind, picture] of Object.entries(pictures)) {
    const file = state.files[kind]?.[state.number];
    const address = file ? api.apiURL(`/view?${new URLSearchParams(file)}`) : "";
    if (picture.getAttribute("src") !== address) picture.src = address;
    picture.style.display = (kind === "difference") === slides ? "none" : "";
    picture.style.imageRendering = state.zoom > 3 ? "pixelated" : "";
  }
  const edge = state.at * view.clientWidth;
  plane.style.transform = `translate(${state.x}px, ${state.y}px) scale(${state.zoom})`;
  pictures.after.style.clipPath = `inset(0 0 0 ${(edge - state.x) / state.zoom}px)`;
  divider.style.left = `${edge - 1}px`;
  divider.style.display = slides ? "" : "none";
  for (const [mode, button] of Object.entries(buttons)) button.style.opacity = mode === state.mode ? "1" : "0.55";
  const count = state.files.before?.length ?? 0;
  turn.style.display = count > 1 ? "" : "none";
  turn.textContent = `${state.number + 1} / ${count} ›`;
  zoomed.textContent = `${state.zoom.toFixed(1)} ×`;
}
