import { app } from "../../../scripts/app.js";
import { spoken } from "./translate.js";

// A Primitive or a blueprint's widget of a shipped graph has no tooltip of its own: it gets that of the widget it feeds.

app.registerExtension({
  name: "ldu.tooltips",
  afterConfigureGraph() {
    for (const graph of [app.rootGraph, ...app.rootGraph.subgraphs.values()]) graph.nodes.forEach(explain);
  },
  nodeCreated(node) {
    if (node.isSubgraphNode?.()) setTimeout(() => explain(node)); // when it has its widgets
  },
});

function explain(node) {
  for (const widget of node.widgets ?? []) {
    const tooltip = fedBy(node, widget.name).map(tooltipOf).find(Boolean);
    if (tooltip) widget.tooltip ??= tooltip;
  }
}

// The inputs that a widget of a node decides, as [node, name of its input].
function fedBy(node, name) {
  if (node.isSubgraphNode?.()) return insideOf(node, name);
  if (!node.type.startsWith("Primitive") || name !== "value") return [];
  return ends(node.graph, node.outputs[0]?.links).flatMap(([fed, input]) =>
    fed.isSubgraphNode?.() ? insideOf(fed, input) : [[fed, input]],
  );
}

function insideOf({ subgraph }, name) {
  return ends(subgraph, subgraph.inputs.find((input) => input.name === name)?.linkIds);
}

function ends(graph, links) {
  const found = (links ?? []).map((id) => graph.getLink(id)).filter(Boolean);
  const nodes = found.map((link) => [graph.getNodeById(link.target_id), link.target_slot]);
  return nodes.filter(([node]) => node?.inputs).map(([node, slot]) => [node, node.inputs[slot].name]);
}

function tooltipOf([node, name]) {
  const { required, optional } = node.constructor.nodeData?.input ?? {};
  const inEnglish = { ...required, ...optional }[name]?.[1]?.tooltip;
  return node.type.startsWith("LDU_") ? (spoken().nodeDefs?.[node.type]?.inputs?.[name]?.tooltip ?? inEnglish) : inEnglish;
}
