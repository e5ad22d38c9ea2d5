import { app } from "../../../scripts/app.js";

export const MARGIN = 10; // units that the front end leaves free on each side of a widget's box

// Have show(node, output) called for each node of a kind that has something to show: after it ran, when another tab
// or a finished job was opened, and when undo made the nodes anew.
export function whenThereIsOutput(name, isOfKind, show) {
  function again(outputs) {
    for (const [place, output] of Object.entries(outputs ?? {})) {
      const [id, subgraph] = place.split(":").reverse();
      const graph = subgraph ? app.rootGraph.subgraphs.get(subgraph) : app.rootGraph;
      const node = graph?.getNodeById(id);
      if (node && isOfKind(node.type)) show(node, output);
    }
  }
  app.registerExtension({
    name,
    beforeRegisterNodeDef(nodeType, nodeData) {
      if (!isOfKind(nodeData.name)) return;
      const onExecuted = nodeType.prototype.onExecuted;
      nodeType.prototype.onExecuted = function (output) {
        onExecuted?.apply(this, arguments);
        show(this, output);
      };
    },
    onNodeOutputsUpdated: again,
    afterConfigureGraph: () => again(app.nodeOutputs),
  });
}

// Make room on a node for its widgets, and draw it.
export function fit(node) {
  const [width, height] = node.size;
  node.setSize([width, Math.max(height, node.computeSize()[1])]);
  node.setDirtyCanvas(true, true);
}
