import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";
import { MARGIN, whenThereIsOutput, fit } from "./outputs.js";

// A node of this pack that has something to say after it ran says it on itself, in a box as tall as its text.

const NAME = "said";
const STYLE = {
  boxSizing: "border-box",
  width: "100%",
  height: "100%",
  padding: "5px 8px",
  borderRadius: "4px",
  font: "12px/1.4 Inter, Arial, sans-serif",
  whiteSpace: "pre-wrap",
  overflowWrap: "anywhere",
  userSelect: "text",
  color: "var(--input-text)",
  background: "var(--comfy-input-bg)",
};

whenThereIsOutput("ldu.report", (type) => type.startsWith("LDU_"), say);

// While a node is at work.
api.addEventListener("ldu.say", ({ detail }) => {
  const node = find(detail.node, detail.type);
  if (node) say(node, detail);
});

// Why a node refused what it was given stands on it until the next run. (The front end has it in a log, under a path.)
const refusing = [];
api.addEventListener("execution_error", ({ detail }) => {
  const ours = detail.exception_type.includes(".ldu.errors.") || detail.exception_type === "ExecutionBlocked";
  const node = ours && find(detail.node_id, detail.node_type);
  if (!node) return;
  say(node, { text: [detail.exception_message.trim()] });
  refusing.push(node);
});
api.addEventListener("execution_start", () => {
  for (const node of refusing.splice(0)) fallSilent(node);
});

// Node 7 inside the subgraph of node 3 is "3:7". The graph in view need not be the one that runs: a node of another kind
// that has this number in it is not meant.
function find(place, type) {
  let graph = app.rootGraph;
  let node;
  for (const id of String(place).split(":")) {
    node = graph?.getNodeById(id);
    graph = node?.subgraph;
  }
  return node?.type === type ? node : undefined;
}

function say(node, output) {
  if (!output?.text) return;
  const text = together(output.text);
  if (!text) return fallSilent(node); // what it said of an earlier run holds no more
  const widget = boxOf(node) ?? addBox(node);
  widget.value = text;
  fit(node);
}

function boxOf(node) {
  return node.widgets?.find((each) => each.name === NAME);
}

function fallSilent(node) {
  const box = boxOf(node);
  if (box) node.removeWidget(box);
}

// A node that worked on a list has one text for each item: what a later one says again is left out, so that what holds
// for all comes last.
export function together(texts) {
  const said = new Set();
  const news = [...texts].reverse().map((text) => {
    const lines = text.split("\n").filter((line) => !said.has(line));
    lines.filter(Boolean).forEach((line) => said.add(line));
    return lines.join("\n");
  });
  return news.reverse().filter((text) => text.trim()).join("\n");
}

function addBox(node) {
  const box = document.createElement("div");
  box.className = "ldu-said";
  Object.assign(box.style, STYLE);
  box.addEventListener("wheel", (event) => app.canvas.processMouseWheel(event));
  let height = 0;
  const measure = () => (height = heightOf(box, node.size[0] - 2 * MARGIN));
  const widget = node.addDOMWidget(NAME, "ldu_said", box, {
    serialize: false, // not into the prompt
    getValue: () => box.textContent,
    setValue: (text) => {
      box.textContent = text;
      measure();
    },
    getMinHeight: () => height,
    getMaxHeight: () => height,
    afterResize: measure,
  });
  widget.serialize = false; // nor into the workflow
  asTallAsItsText(widget);
  return widget;
}

// Nodes 2.0 lets a box that has a say in the layout take a share of the room that a picture below it wants.
function asTallAsItsText(widget) {
  const { computeLayoutSize } = widget;
  Object.defineProperty(widget, "computeLayoutSize", {
    get: () => (LiteGraph.vueNodesMode ? undefined : computeLayoutSize),
  });
}

// Measured on a copy, for the box itself may be off the screen.
function heightOf(box, width) {
  const copy = box.cloneNode(true);
  Object.assign(copy.style, { position: "absolute", visibility: "hidden", width: `${width}px`, height: "auto" });
  document.body.append(copy);
  const height = copy.offsetHeight;
  copy.remove();
  return height + 2 * MARGIN;
}
