// How it runs: four figures, and more for those who want them.

import { sentence } from "./connection.js";

const CAUSES = {
  camera: "not given by the camera",
  busy: "networks were busy",
  replaced: "a newer one was sent",
};
const STAGES = { infer: "networks", smooth: "steadying", refine: "edges", dress: "background", output: "output" };

const put = (id, text) => { document.getElementById(id).textContent = text; };
const milliseconds = (seconds) => (seconds === null ? "–" : `${Math.round(seconds * 1000)} ms`);

export function showFigures(status) {
  put("figure-rate", status.rate_out.toFixed(1));
  put("figure-delay-50", milliseconds(status.delay_p50));
  put("figure-delay-95", milliseconds(status.delay_p95));
  put("figure-cpu", `${Math.round(status.cores * 100)} %`);
  put("figure-drops", toldDrops(status.dropped));
  const rows = [
    ["Camera", status.camera],
    ["From the camera", `${status.rate_in.toFixed(1)} frames a second`],
    ["Virtual camera", status.virtual_camera ?? "None"],
    ["Sent again for want of a new one", String(status.repeated)],
    ["Time for a frame", Object.entries(status.stage_ms).map(([stage, ms]) => `${STAGES[stage] ?? stage} ${ms.toFixed(1)}`).join(", ") + " ms"],
    ["Memory", status.memory_bytes === null ? "–" : `${Math.round(status.memory_bytes / 1e6)} MB`],
    ["Networks", `${status.preset}, ${status.engine}`],
    ["Work for each frame", status.effort],
  ];
  const list = document.getElementById("figure-list");
  if (list.closest("details").open || !list.hasChildNodes()) list.replaceChildren(...rows.map(row));
}

function toldDrops(dropped) {
  const causes = Object.entries(dropped).filter(([, count]) => count);
  if (!causes.length) return "No frame was dropped.";
  return `Dropped frames: ${causes.map(([cause, count]) => `${count} (${CAUSES[cause] ?? cause})`).join(", ")}`;
}

function row([name, value]) {
  const line = document.createElement("div");
  const term = document.createElement("dt");
  const told = document.createElement("dd");
  term.textContent = name;
  told.textContent = value;
  line.append(term, told);
  return line;
}

export function showWarnings(warnings) {
  const list = document.getElementById("warnings");
  const text = warnings.join("\n");
  if (list.dataset.text === text) return;
  list.dataset.text = text;
  list.hidden = !warnings.length;
  list.replaceChildren(...warnings.map((warning) => {
    const item = document.createElement("li");
    item.textContent = sentence(warning);
    return item;
  }));
}
