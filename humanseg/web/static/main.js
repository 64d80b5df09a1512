// Begins: finds the token, opens the socket, and shows what there is.

import { Connection, ask, findToken } from "./connection.js";
import { FilesPage } from "./files.js";
import { LivePage } from "./live.js";
import { complain } from "./messages.js";

const STATES = {
  live: "Camera is on",
  opening: "Opening the camera…",
  lost: "Camera is not there",
  idle: "Camera is off",
  ended: "Video has ended",
};

const get = (id) => document.getElementById(id);
const connection = new Connection();
let hasLive = false;
let isQuitting = false;

function showState(state, text) {
  get("state").dataset.state = state;
  if (get("state-text").textContent !== text) get("state-text").textContent = text;
}

function showNotice(title, text) {
  for (const id of ["live", "files", "tabs", "quit"]) get(id).hidden = true;
  get("notice-title").textContent = title;
  get("notice-text").textContent = text;
  get("notice").hidden = false;
  showState("gone", "Not connected");
}

function refuse() {
  connection.end();
  showNotice("This address is not complete", "Open the address that humanseg printed in the terminal; it holds a key that changes with every start.");
}

function watch() {
  connection.send({ watch: hasLive && !get("live").hidden && document.visibilityState === "visible" });
}

function choose(name, { focus = false } = {}) {
  for (const each of ["live", "files"]) {
    const tab = get(`tab-${each}`);
    tab.setAttribute("aria-selected", String(each === name));
    tab.tabIndex = each === name ? 0 : -1;
    get(each).hidden = each !== name;
    if (focus && each === name) tab.focus();
  }
  document.querySelector(".skip").hidden = name !== "live";
  watch();
}

function bindTabs() {
  for (const name of ["live", "files"]) {
    get(`tab-${name}`).addEventListener("click", () => choose(name));
    get(`tab-${name}`).addEventListener("keydown", (event) => {
      if (["ArrowLeft", "ArrowRight", "Home", "End"].includes(event.key)) {
        event.preventDefault();
        choose(name === "live" ? "files" : "live", { focus: true });
      }
    });
  }
}

function bindQuit() {
  const dialog = get("quit-dialog");
  get("quit").addEventListener("click", () => {
    dialog.returnValue = "";
    dialog.showModal();
  });
  dialog.addEventListener("close", async () => {
    if (dialog.returnValue !== "quit") return;
    isQuitting = true;
    try {
      await ask("/api/quit", { method: "POST" });
      bidFarewell();
    } catch (error) {
      isQuitting = false;
      complain(error.message);
    }
  });
}

function bidFarewell() {
  connection.end();
  showNotice("humanseg has ended", "You can close this page.");
}

function begin(facts) {
  hasLive = facts.has_live;
  const files = new FilesPage(connection, facts);
  get("quit").hidden = false;
  get("quit-text").textContent = hasLive ? "The picture in your call stops." : "Videos that are not saved yet are deleted.";
  bindQuit();
  if (hasLive) {
    const live = new LivePage(connection, facts);
    live.gallery.addEventListener("change", () => files.loadEffects());
    get("tabs").hidden = false;
    bindTabs();
    connection.addEventListener("live", ({ detail: { status } }) => {
      showState(status.camera_state, STATES[status.camera_state] ?? status.camera_state ?? "");
    });
    choose("live");
  } else {
    document.querySelector(".skip").hidden = true;
    get("files").hidden = false;
    get("files").setAttribute("role", "region");
    get("files").setAttribute("aria-labelledby", "group-videos");
    showState("live", "Ready");
  }
}

let isBegun = false;
connection.addEventListener("hello", (event) => {
  if (!isBegun) begin(event.detail);
  else if (!hasLive) showState("live", "Ready");
  isBegun = true;
  watch();
});
connection.addEventListener("lost", () => {
  if (isQuitting) bidFarewell();
  else showState("gone", "Connection lost, trying again…");
});
connection.addEventListener("refused", refuse);
document.addEventListener("visibilitychange", watch);
// A file that misses its place must not be opened instead of this page.
for (const name of ["dragover", "drop"]) window.addEventListener(name, (event) => event.preventDefault());

if (await findToken()) connection.open();
else refuse();
