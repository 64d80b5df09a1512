// The page of the running camera: every control sends a command, and shows what is true.

import { ask } from "./connection.js";
import { showFigures, showWarnings } from "./figures.js";
import { Gallery } from "./gallery.js";
import { complain, say } from "./messages.js";
import { Preview } from "./preview.js";

const PRESETS = { fast: "Fast, least work", balanced: "Balanced", best: "Best edges, most work" };
const PATIENCE = 6000;

const all = (selector) => [...document.querySelectorAll(selector)];

export class LivePage {
  #connection;
  #facts;
  #preview;
  #gallery;
  #look = null;
  #busy = new Map(); // control -> until when the state does not change it
  #waiting = new Map(); // slider -> value to send when the last one was answered

  constructor(connection, facts) {
    this.#connection = connection;
    this.#facts = facts;
    this.#preview = new Preview(connection);
    this.#gallery = new Gallery(facts, (word) => this.#do(`background ${word}`));
    this.#hideUnknown();
    all("[data-switch]").forEach((field) => this.#bindSwitch(field));
    all("input[data-number]").forEach((field) => this.#bindNumber(field));
    for (const name of ["view", "keep"]) {
      all(`input[name=${name}]`).forEach((radio) => {
        radio.addEventListener("change", () => this.#do(`${name} ${radio.value}`));
      });
    }
    this.#bindPreset();
    this.#bindDevices();
    this.#bindProfiles();
    document.getElementById("settings").addEventListener("submit", (event) => event.preventDefault());
    connection.addEventListener("live", (event) => this.#show(event.detail.status));
    connection.addEventListener("lost", () => {
      this.#preview.reset();
      this.#preview.cover("The connection to humanseg is lost. Trying again…");
    });
    this.#gallery.load();
  }

  get gallery() {
    return this.#gallery;
  }

  // Sends a command, tells what came of it, and shows the look that holds now.
  async #do(line, { quiet = false } = {}) {
    const reply = await this.#connection.command(line);
    if (!reply.ok) complain(reply.text);
    else if (!quiet) say(reply.text);
    if (reply.look) this.#showLook(reply.look);
    else if (this.#look) this.#showLook(this.#look);
    return reply.ok;
  }

  #hideUnknown() {
    for (const part of all("[data-command]")) {
      if (!this.#facts.commands.includes(part.dataset.command)) part.hidden = true;
    }
  }

  #bindSwitch(field) {
    field.addEventListener("change", () => this.#do(`${field.dataset.switch} ${field.checked ? "on" : "off"}`));
  }

  #bindNumber(field) {
    const [low, high] = this.#facts.ranges[field.dataset.number];
    field.min = low;
    field.max = high;
    field.addEventListener("input", () => {
      this.#tellNumber(field);
      this.#sendNumber(field);
    });
  }

  // One command is on its way for a slider; of what it passes meanwhile, only the last is sent.
  async #sendNumber(field) {
    const isSending = this.#waiting.has(field);
    this.#waiting.set(field, field.value);
    if (isSending) return;
    while (this.#waiting.get(field) !== null) {
      const value = this.#waiting.get(field);
      this.#waiting.set(field, null);
      await this.#do(`${field.dataset.number} ${value}`, { quiet: true });
    }
    this.#waiting.delete(field);
  }

  #tellNumber(field) {
    const value = Number(field.value);
    const unit = field.dataset.unit;
    const text = unit ? `${value}${unit}` : `${Math.round(value * 100)} %`;
    field.parentElement.querySelector("output").textContent = text;
    field.setAttribute("aria-valuetext", text);
  }

  #bindPreset() {
    const select = document.getElementById("preset");
    select.replaceChildren(...this.#facts.presets.map((name) => new Option(PRESETS[name] ?? name, name)));
    select.addEventListener("change", async () => {
      this.#busy.set(select, Date.now() + PATIENCE);
      if (!(await this.#do(`preset ${select.value}`))) this.#busy.delete(select);
    });
  }

  #bindDevices() {
    const camera = document.getElementById("camera");
    const other = document.getElementById("camera-other");
    const row = document.getElementById("camera-other-row");
    const use = async () => {
      if (other.value.trim() && (await this.#do(`camera ${other.value.trim()}`))) {
        row.hidden = true;
        other.value = "";
        this.#loadDevices();
      }
    };
    camera.addEventListener("change", async () => {
      row.hidden = camera.value !== "other";
      if (camera.value === "other") other.focus();
      else if (camera.value === "look") this.#loadDevices(true);
      else if (camera.value) {
        await this.#do(`camera ${camera.value}`);
        this.#loadDevices();
      }
    });
    document.getElementById("camera-use").addEventListener("click", use);
    other.addEventListener("keydown", (event) => { if (event.key === "Enter") use(); });
    const virtual = document.getElementById("virtual-camera");
    virtual.addEventListener("change", async () => {
      if (virtual.value) await this.#do(`virtual-camera ${virtual.value}`);
      this.#loadDevices();
    });
    this.#loadDevices(this.#facts.lists_devices_quietly);
  }

  // Elsewhere than on Linux, looking for cameras switches each on; so that is done on demand.
  async #loadDevices(isLooking = this.#facts.lists_devices_quietly) {
    let found = { cameras: [], virtual_cameras: [] };
    try {
      if (isLooking) found = await (await ask("/api/devices")).json();
    } catch (error) {
      complain(error.message);
    }
    const option = ({ word, name }) => new Option(`${name} (${word})`, word);
    const now = () => new Option("…", "");
    const look = isLooking ? [] : [new Option("Look for cameras", "look")];
    document.getElementById("camera").replaceChildren(now(), ...found.cameras.map(option), ...look, new Option("Another one…", "other"));
    document.getElementById("virtual-camera").replaceChildren(now(), ...found.virtual_cameras.map(option), new Option("None", "none"));
    this.#nameDevices();
  }

  // The first choice of each list is what is in use.
  #nameDevices(status = this.status) {
    if (!status) return;
    const camera = document.getElementById("camera").options[0];
    const virtual = document.getElementById("virtual-camera").options[0];
    if (camera) camera.text = withoutFolder(status.camera);
    if (virtual) virtual.text = status.virtual_camera ?? "None";
    // Long names are cut off.
    document.getElementById("camera").title = status.camera;
    document.getElementById("virtual-camera").title = status.virtual_camera ?? "";
  }

  #bindProfiles() {
    const select = document.getElementById("profile");
    const name = document.getElementById("profile-name");
    const save = async () => {
      const wanted = name.value.trim();
      if (!wanted) {
        complain("Give the profile a name first.");
        name.focus();
      } else if (await this.#do(`save ${wanted}`)) {
        name.value = "";
        this.#loadProfiles();
      }
    };
    select.addEventListener("change", async () => {
      if (select.value) await this.#do(`profile ${select.value}`);
    });
    document.getElementById("profile-save").addEventListener("click", save);
    name.addEventListener("keydown", (event) => { if (event.key === "Enter") save(); });
    this.#loadProfiles();
  }

  async #loadProfiles() {
    const select = document.getElementById("profile");
    let names = [];
    try {
      names = (await (await ask("/api/profiles")).json()).profiles;
    } catch (error) {
      complain(error.message);
    }
    select.replaceChildren(new Option(names.length ? "Choose…" : "None saved yet", ""), ...names.map((name) => new Option(name, name)));
    select.disabled = !names.length;
  }

  #show(status) {
    this.status = status;
    if (status.look) this.#showLook(status.look);
    if (status.camera_state === undefined) return;
    showFigures(status);
    showWarnings(status.warnings);
    this.#nameDevices(status);
    const seen = status.virtual_camera ? "This is what others see." : "Only you see this: there is no virtual camera.";
    if (document.getElementById("seen-by").textContent !== seen) document.getElementById("seen-by").textContent = seen;
    const preset = document.getElementById("preset");
    if (status.preset === preset.value || (this.#busy.get(preset) ?? 0) < Date.now()) {
      this.#busy.delete(preset);
      preset.value = status.preset;
    }
    this.#preview.cover(curtainOf(status));
  }

  #showLook(look) {
    this.#look = look;
    for (const field of all("[data-switch]")) field.checked = look[field.dataset.field];
    for (const field of all("input[data-number]")) {
      if (!this.#waiting.has(field) && !field.matches(":active")) {
        field.value = look[field.dataset.number];
        this.#tellNumber(field);
      }
    }
    for (const name of ["view", "keep"]) {
      for (const radio of all(`input[name=${name}]`)) radio.checked = radio.value === look[name];
    }
    this.#gallery.mark(look.background);
    const strength = document.querySelector("input[data-number=strength]");
    strength.disabled = look.background !== "blur";
    strength.closest(".row").classList.toggle("is-off", strength.disabled);
  }
}

// A film's name says enough; a device's path is its name.
function withoutFolder(name) {
  return name.replace(/^([A-Za-z]:)?[\\/](?!dev\/)([^\\/]*[\\/])*(?=[^\\/])/, "");
}

function curtainOf(status) {
  if (status.camera_state === "lost") return `The camera is not there. ${status.camera_problem ?? ""} Trying again…`;
  if (status.camera_state === "idle") return "The camera is off, because no program looks.";
  if (status.camera_state === "ended") return "The video has ended.";
  return "";
}
