import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";
import { nodeAt } from "./outputs.js";
import { together } from "./report.js";

// A large workflow opens so small that no word on it can be read. Then a message says what its saving nodes say.

const READABLE = 0.6; // of the canvas's zoom, from which on words are drawn
const SAVERS = ["LDU_SaveProtected", "LDU_ProtectFolder"];
const DEMO = "The demo model shows how it works; it does not protect against Stable Diffusion.";
const SHOWN = 30000; // milliseconds

let said = [];
let message;
api.addEventListener("execution_start", () => (said = []));
api.addEventListener("executed", ({ detail }) => {
  if (SAVERS.includes(nodeAt(detail.node)?.type)) said.push(...(detail.output?.text ?? []));
});
api.addEventListener("execution_success", () => {
  if (!said.length || app.canvas.ds.scale >= READABLE) return;
  const demo = app.rootGraph.nodes.some((node) => node.type === "LDU_LoadDemoCheckpoint");
  const { toast } = app.extensionManager;
  if (message) toast.remove(message); // that of the run before
  message = {
    severity: demo ? "warn" : "info",
    summary: "Saved in the output folder",
    detail: together([...(demo ? [DEMO] : []), ...said]),
    life: SHOWN,
  };
  toast.add(message);
});
