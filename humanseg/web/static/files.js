// The page for video files: hand in, follow, save.

import { ask, headers, sentence } from "./connection.js";
import { acceptDrops } from "./gallery.js";
import { complain, say } from "./messages.js";

const PRESETS = { fast: "Fast", balanced: "Balanced", best: "Best edges" };

const get = (id) => document.getElementById(id);

export class FilesPage {
  #facts;
  #items = new Map(); // key -> element
  #states = new Map();
  #uploads = 0;

  constructor(connection, facts) {
    this.#facts = facts;
    const { video_bytes: bytes, video_seconds: seconds } = facts.limits;
    get("file-limits").textContent = `MP4, MOV, MKV, WebM or AVI, up to ${bytes / 1e9} GB, ${seconds / 60} minutes and 4K`;
    get("file-note").hidden = !facts.has_live;
    get("file-preset").replaceChildren(...facts.presets.map((name) => new Option(PRESETS[name] ?? name, name)));
    get("file-preset").value = "balanced";
    get("file-effect").addEventListener("change", () => this.#showStrength());
    get("file-strength").addEventListener("input", () => this.#showStrength());
    get("file-input").addEventListener("change", () => {
      this.#take(get("file-input").files);
      get("file-input").value = "";
    });
    acceptDrops(get("drop"), (files) => this.#take(files));
    connection.addEventListener("files", (event) => this.#show(event.detail.jobs));
    this.loadEffects();
  }

  async loadEffects() {
    const select = get("file-effect");
    const before = select.value;
    let pictures = [];
    try {
      pictures = (await (await ask("/api/backgrounds")).json()).backgrounds;
    } catch (error) {
      complain(error.message);
    }
    const group = (label, options) => {
      const made = document.createElement("optgroup");
      made.label = label;
      made.append(...options);
      return made;
    };
    const named = ({ word }) => new Option(word.charAt(0).toUpperCase() + word.slice(1), `background:${word}`);
    select.replaceChildren(
      new Option("Blurred", "blur"),
      group("Colour", this.#facts.colors.map(named)),
      ...(pictures.length ? [group("Picture or video", pictures.map(({ word, label }) => new Option(label, `background:${word}`)))] : []),
      group("For editing", [new Option("Transparent (MOV, ProRes 4444)", "alpha"), new Option("Mask, people in white", "mask")]),
    );
    if ([...select.options].some((option) => option.value === before)) select.value = before;
    this.#showStrength();
  }

  #showStrength() {
    get("file-strength-row").hidden = get("file-effect").value !== "blur";
    const text = `${Math.round(get("file-strength").value * 100)} %`;
    get("file-strength-value").textContent = text;
    get("file-strength").setAttribute("aria-valuetext", text);
  }

  #wish() {
    const effect = get("file-effect").value;
    const wish = new URLSearchParams({ preset: get("file-preset").value });
    if (effect === "blur") wish.set("background", `blur:${get("file-strength").value}`);
    else if (effect.startsWith("background:")) wish.set("background", effect.slice("background:".length));
    else wish.set("output", effect);
    return wish;
  }

  async #take(files) {
    const wish = this.#wish();
    for (const file of files) await this.#upload(file, new URLSearchParams(wish));
  }

  // XMLHttpRequest, since fetch does not tell how much was sent.
  #upload(file, wish) {
    const most = this.#facts.limits.video_bytes;
    if (file.size > most) {
      complain(`${file.name} has ${(file.size / 1e9).toFixed(1)} GB, more than ${most / 1e9} GB.`);
      return Promise.resolve();
    }
    wish.set("name", file.name);
    const key = `upload-${++this.#uploads}`;
    const request = new XMLHttpRequest();
    const item = this.#item(key);
    const tell = (told, share) => fill(item, { name: file.name, state: "uploading", told, share });
    tell("Taking it in…", 0);
    setButtons(item, [["Cancel", () => request.abort()]]);
    return new Promise((resolve) => {
      request.upload.addEventListener("progress", (event) => tell("Taking it in…", event.loaded / event.total));
      request.addEventListener("loadend", () => {
        this.#items.delete(key);
        item.remove();
        get("jobs-empty").hidden = this.#items.size > 0;
        if (request.status === 0) say(`${file.name} was not taken in`);
        else if (request.status >= 400) this.#fail(file.name, request.responseText);
        resolve();
      });
      request.open("POST", `/api/files?${wish}`);
      for (const [name, value] of Object.entries(headers())) request.setRequestHeader(name, value);
      request.send(file);
    });
  }

  // A video that was refused stays in the list with the reason, until it is removed.
  #fail(name, answer) {
    let text = "humanseg does not answer";
    try {
      text = JSON.parse(answer).error;
    } catch {
      // Not JSON: the text above.
    }
    const key = `refused-${++this.#uploads}`;
    const item = this.#item(key);
    fill(item, { name, state: "failed", told: sentence(text), share: null });
    setButtons(item, [["Remove", () => {
      this.#items.delete(key);
      item.remove();
    }]]);
    complain(`${name} was not taken in`);
  }

  #item(key) {
    const item = document.createElement("li");
    item.className = "card job";
    for (const [tag, name] of [["span", "name"], ["span", "buttons"], ["span", "told"], ["progress", "share"]]) {
      item.append(Object.assign(document.createElement(tag), { className: name }));
    }
    get("jobs").append(item);
    this.#items.set(key, item);
    get("jobs-empty").hidden = true;
    return item;
  }

  #show(jobs) {
    const keys = new Set(jobs.map((job) => job.key));
    for (const [key, item] of this.#items) {
      if (!keys.has(key) && !/^(upload|refused)-/.test(key)) {
        this.#items.delete(key);
        item.remove();
      }
    }
    jobs.forEach((job) => this.#showJob(job));
    get("jobs-empty").hidden = this.#items.size > 0;
  }

  #showJob(job) {
    const item = this.#items.get(job.key) ?? this.#item(job.key);
    const share = job.state === "running" ? shareOf(job) : null;
    fill(item, { name: job.name, state: job.state, told: toldOf(job), share });
    if (this.#states.get(job.key) === job.state) return;
    const before = this.#states.get(job.key);
    this.#states.set(job.key, job.state);
    const act = (path, method) => ask(`/api/files/${job.key}${path}`, { method }).catch((error) => complain(error.message));
    const remove = ["Remove", () => act("", "DELETE")];
    if (job.state === "waiting" || job.state === "running") setButtons(item, [["Cancel", () => act("/cancel", "POST")]]);
    else if (job.state === "done") setButtons(item, [["Save", () => this.#save(job), "main"], remove]);
    else setButtons(item, [remove]);
    if (before && job.state === "done") say(`${job.name} is finished`);
    if (before && job.state === "failed") complain(`${job.name}: ${job.text}`);
  }

  async #save(job) {
    try {
      const { address } = await (await ask(`/api/files/${job.key}/ticket`, { method: "POST" })).json();
      Object.assign(document.createElement("a"), { href: address, download: job.result_name }).click();
    } catch (error) {
      complain(error.message);
    }
  }
}

function fill(item, { name, state, told, share }) {
  item.dataset.state = state;
  item.querySelector(".name").textContent = name;
  item.querySelector(".name").title = name;
  item.querySelector(".told").textContent = told;
  const bar = item.querySelector("progress");
  bar.hidden = share === null;
  bar.setAttribute("aria-label", `${name}: ${told}`);
  if (share === undefined) bar.removeAttribute("value");
  else if (share !== null) bar.value = share;
}

function setButtons(item, buttons) {
  const name = item.querySelector(".name").textContent;
  item.querySelector(".buttons").replaceChildren(...buttons.map(([label, act, classes = ""]) => {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: label, className: classes });
    button.setAttribute("aria-label", `${label} ${name}`);
    button.addEventListener("click", act);
    return button;
  }));
}

// From 0 to 1; undefined while it is not known, which the bar shows as moving.
function shareOf(job) {
  return job.promised && job.frames ? Math.min(1, job.frames / job.promised) : undefined;
}

function toldOf(job) {
  if (job.state === "waiting") return "Waiting for its turn";
  if (job.state === "cancelled") return "Cancelled";
  if (job.state === "failed") return sentence(job.text);
  if (job.state === "done") {
    const size = job.bytes < 1e6 ? `${Math.ceil(job.bytes / 1e3)} kB` : `${(job.bytes / 1e6).toFixed(1)} MB`;
    return `Finished: ${job.result_name}, ${size}${job.text ? `. ${sentence(job.text)}` : ""}`;
  }
  const share = shareOf(job);
  if (share === undefined) return job.frames ? `${job.frames} frames` : "Starting…";
  const left = job.seconds_left === null ? "" : `, ${duration(job.seconds_left)} left`;
  return `${Math.floor(share * 100)} %${left}`;
}

function duration(seconds) {
  if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
}
