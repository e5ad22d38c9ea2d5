import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";

// The shipped graphs in the language of ComfyUI's settings. A text is replaced when the graph is opened, and only if it
// is, letter for letter, one that was shipped in any language: what somebody wrote or changed stays as it is.

const NOTES = ["Note", "MarkdownNote"];
const words = await served();
const english = originals(); // by kind, then by text in any language

app.registerExtension({
  name: "ldu.translate",
  setup() {
    app.rootGraph.events?.addEventListener("subgraph-created", ({ detail }) => translateInside(detail.data));
  },
  nodeCreated(node) {
    if (!node.isSubgraphNode?.()) return;
    const configured = node.onConfigure;
    node.onConfigure = function (...stored) { // read from a graph or from the node library, and not drawn yet
      configured?.apply(this, stored);
      relabel(this);
    };
  },
  beforeConfigureGraph(graph) {
    translateGraph(graph);
    for (const inside of graph.definitions?.subgraphs ?? []) translateInside(inside);
  },
});

// A text of this pack in the language of ComfyUI's settings; any other as it is.
export function translated(kind, text) {
  const original = english[kind]?.get(text);
  return original === undefined ? text : (spoken().ldu?.[kind]?.[original] ?? original);
}

// All words of this pack in the language of ComfyUI's settings.
export function spoken() {
  return words[app.extensionManager.setting.get("Comfy.Locale")] ?? {};
}

async function served() {
  const answer = await api.fetchApi("/i18n");
  return answer.ok ? answer.json() : {};
}

function originals() {
  const found = {};
  for (const { ldu } of Object.values(words)) {
    for (const [kind, texts] of Object.entries(ldu ?? {})) {
      found[kind] ??= new Map();
      for (const [original, text] of Object.entries(texts)) found[kind].set(text, original);
    }
  }
  return found;
}

function isOurs({ nodes }) {
  return !!nodes?.some(({ type }) => String(type).startsWith("LDU_"));
}

function translateGraph(graph) {
  if (!isOurs(graph)) return;
  for (const node of graph.nodes) {
    if (node.title) node.title = translated("titles", node.title);
    if (NOTES.includes(node.type)) node.widgets_values = node.widgets_values?.map((text) => translated("notes", text));
    for (const slot of slotsOf(node)) if (slot.label) slot.label = translated("slots", slot.label);
  }
  for (const group of graph.groups ?? []) group.title = translated("groups", group.title);
}

function translateInside(graph) {
  if (!isOurs(graph)) return;
  translateGraph(graph);
  if (graph.description) graph.description = translated("descriptions", graph.description);
  for (const slot of slotsOf(graph)) {
    const label = translated("slots", slot.label ?? slot.name);
    slot.label = label === slot.name ? undefined : label;
  }
}

// A blueprint brings labels of its own, or none, for what its inside has translated by now.
function relabel(node) {
  if (!isOurs(node.subgraph)) return;
  for (const side of ["inputs", "outputs"]) {
    for (const slot of node[side]) slot.label = labelIn(node.subgraph[side], slot);
  }
  for (const widget of node.widgets ?? []) {
    widget.setNodeId?.(node.id); // Nodes 2.0 keeps labels by node, and asks no text of several lines for its own
    widget.label = labelIn(node.subgraph.inputs, widget);
  }
}

function labelIn(slots, { name, label }) {
  const shipped = english.slots?.has(label ?? name);
  return (shipped && slots.find((slot) => slot.name === name)?.label) || label;
}

function slotsOf({ inputs, outputs }) {
  return [...(inputs ?? []), ...(outputs ?? [])];
}
