import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";
import { together } from "./report.js";

// A large workflow opens so small that no word on it can be read. Then a message says after a run what matters most.

const SHOWN = 30000; // milliseconds
const [FIRST, LAST] = [8, 4]; // lines of a long message; what holds for all pictures comes last

let said = []; // of all nodes, those too that need not run again
let cached = new Set();
let news = false;
let message;

api.addEventListener("execution_start", () => {
  said = [];
  news = false;
  if (message) app.extensionManager.toast.remove(message);
  message = undefined;
});
api.addEventListener("execution_cached", ({ detail }) => (cached = new Set(detail.nodes)));
api.addEventListener("executed", ({ detail }) => {
  if (!detail.output?.ldu_aloud) return;
  said.push(...detail.output.ldu_aloud);
  news ||= !cached.has(detail.node);
});
api.addEventListener("execution_success", () => {
  if (!news || !app.canvas.low_quality) return;
  message = { severity: "info", summary: "LDU", detail: shortened(together(said)), life: SHOWN };
  app.extensionManager.toast.add(message);
});

function shortened(text) {
  const lines = text.split("\n");
  const left = lines.length - FIRST - LAST;
  if (left < 1) return text;
  return [...lines.slice(0, FIRST), `(${left} lines more on the node)`, ...lines.slice(-LAST)].join("\n");
}
