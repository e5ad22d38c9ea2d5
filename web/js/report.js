import { app } from "../../../scripts/app.js";
import { ComfyWidgets } from "../../../scripts/widgets.js";

// A node of this pack that has something to say after it ran says it on itself.
app.registerExtension({
  name: "ldu.report",
  beforeRegisterNodeDef(nodeType, nodeData) {
    if (!nodeData.name.startsWith("LDU_")) return;
    const onExecuted = nodeType.prototype.onExecuted;
    nodeType.prototype.onExecuted = function (output) {
      onExecuted?.apply(this, arguments);
      const text = output?.text?.join("\n");
      if (text) show(this, text);
    };
  },
});

function show(node, text) {
  let widget = node.widgets?.find((each) => each.name === "said");
  if (!widget) {
    widget = ComfyWidgets.STRING(node, "said", ["STRING", { multiline: true }], app).widget;
    widget.serialize = false; // neither into the workflow nor into the prompt
    widget.options.serialize = false;
    if (widget.inputEl) widget.inputEl.readOnly = true;
  }
  widget.value = text;
}
