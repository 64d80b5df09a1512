// The tiles to choose a background from: blur, colours, pictures, one's own.

import { ask, sentence } from "./connection.js";
import { complain, say } from "./messages.js";

const PICTURES = "image/png,image/jpeg,image/webp";

function element(name, classes = "", properties = {}) {
  const made = document.createElement(name);
  if (classes) made.className = classes;
  return Object.assign(made, properties);
}

export class Gallery extends EventTarget {
  #box = document.getElementById("gallery");
  #hint = document.getElementById("gallery-hint");
  #choose;
  #facts;
  #chosen = "";
  #isBuilt = false;
  #pictures = [];
  #addresses = new Map();

  // choose(word) sets a background and resolves to whether that worked.
  constructor(facts, choose) {
    super();
    this.#facts = facts;
    this.#choose = choose;
    this.#hint.textContent = `PNG, JPEG or WebP, up to ${facts.limits.picture_bytes / 1e6} MB.`;
    const row = document.getElementById("gallery-row");
    acceptDrops(row, (files) => this.#add(files));
  }

  get pictures() {
    return this.#pictures;
  }

  async load() {
    try {
      this.#pictures = (await (await ask("/api/backgrounds")).json()).backgrounds;
    } catch (error) {
      complain(error.message);
    }
    this.#build();
    this.dispatchEvent(new Event("change"));
  }

  // Marks what stands behind the people now.
  mark(word) {
    if (word === this.#chosen) return;
    this.#chosen = word;
    if (!this.#isBuilt) return;
    const isKnown = [...this.#box.querySelectorAll("input[type=radio]")].some((radio) => radio.value === word);
    if (!isKnown && !word.startsWith("#")) this.load();
    else this.#check();
  }

  #check() {
    let isMarked = false;
    for (const radio of this.#box.querySelectorAll("input[type=radio]")) {
      radio.checked = radio.value === this.#chosen;
      isMarked ||= radio.checked;
    }
    const own = this.#box.querySelector(".own-color");
    own.classList.toggle("is-chosen", !isMarked && this.#chosen.startsWith("#"));
    if (!isMarked && this.#chosen.startsWith("#")) this.#paintOwn(this.#chosen);
  }

  #build() {
    const focused = document.activeElement?.value;
    const tiles = [
      this.#tile("blur", "Blur", element("span", "face is-blur")),
      ...this.#facts.colors.map((color) => this.#colorTile(color)),
      this.#ownColorTile(),
      ...this.#pictures.map((picture) => this.#pictureTile(picture)),
      this.#addTile(),
    ];
    this.#box.querySelectorAll(".holder").forEach((tile) => tile.remove());
    this.#box.append(...tiles);
    this.#isBuilt = true;
    this.#check();
    if (focused) [...this.#box.querySelectorAll("input[type=radio]")].find((radio) => radio.value === focused)?.focus();
  }

  #tile(word, label, face) {
    const holder = element("div", "holder");
    const tile = element("label", "tile", { title: label });
    const radio = element("input", "", { type: "radio", name: "background", value: word });
    radio.addEventListener("change", () => this.#choose(word));
    face.setAttribute("aria-hidden", "true");
    tile.append(radio, face, element("span", "name", { textContent: label }));
    holder.append(tile);
    return holder;
  }

  #colorTile(color) {
    const face = element("span", "face");
    face.style.background = color.value;
    return this.#tile(color.word, color.word.charAt(0).toUpperCase() + color.word.slice(1), face);
  }

  #ownColorTile() {
    const holder = element("div", "holder");
    const tile = element("label", "tile own-color");
    const field = element("input", "", { type: "color", value: "#3b6ea5" });
    field.setAttribute("aria-label", "Another colour");
    field.addEventListener("change", () => {
      this.#paintOwn(field.value);
      this.#choose(field.value);
    });
    const face = element("span", "face is-dashed", { textContent: "…" });
    tile.append(field, face, element("span", "name", { textContent: "Colour…" }));
    holder.append(tile);
    return holder;
  }

  #paintOwn(color) {
    const face = this.#box.querySelector(".own-color .face");
    face.style.background = color;
    face.textContent = "";
    this.#box.querySelector(".own-color input").value = color;
  }

  #pictureTile(picture) {
    const face = element("span", "face");
    this.#showThumbnail(picture.word, face);
    const holder = this.#tile(picture.word, picture.label, face);
    if (picture.is_own) {
      const remove = element("button", "", { type: "button", textContent: "×", title: `Remove ${picture.label}` });
      remove.setAttribute("aria-label", `Remove ${picture.label}`);
      remove.addEventListener("click", () => this.#remove(picture));
      holder.append(remove);
    }
    return holder;
  }

  async #showThumbnail(word, face) {
    try {
      if (!this.#addresses.has(word)) {
        const answer = await ask(`/api/thumbnail?background=${encodeURIComponent(word)}`);
        this.#addresses.set(word, URL.createObjectURL(await answer.blob()));
      }
      face.replaceChildren(element("img", "", { src: this.#addresses.get(word), alt: "" }));
    } catch {
      face.textContent = "?"; // choosing it tells what is wrong
    }
  }

  #addTile() {
    const holder = element("div", "holder");
    const tile = element("label", "tile");
    const field = element("input", "", { type: "file", id: "add-picture", accept: PICTURES });
    field.setAttribute("aria-label", "Add a picture");
    field.addEventListener("change", async () => {
      await this.#add(field.files);
      field.value = "";
    });
    tile.append(field, element("span", "face is-dashed", { textContent: "+" }), element("span", "name", { textContent: "Add…" }));
    holder.append(tile);
    return holder;
  }

  async #add(files) {
    const [file] = files;
    if (!file) return;
    if (file.size > this.#facts.limits.picture_bytes) {
      const most = this.#facts.limits.picture_bytes / 1e6;
      complain(`${file.name} has ${Math.round(file.size / 1e6)} MB, more than the ${most} MB of a background.`);
      return;
    }
    try {
      const answer = await ask(`/api/backgrounds?name=${encodeURIComponent(file.name)}`, { method: "POST", body: file });
      const added = await answer.json();
      await this.load();
      await this.#choose(added.word);
    } catch (error) {
      complain(sentence(error.message));
    }
  }

  async #remove(picture) {
    if (picture.word === this.#chosen && !(await this.#choose("blur"))) return;
    try {
      await ask(`/api/backgrounds?background=${encodeURIComponent(picture.word)}`, { method: "DELETE" });
      URL.revokeObjectURL(this.#addresses.get(picture.word));
      this.#addresses.delete(picture.word);
      say(`${picture.label} was removed`);
    } catch (error) {
      complain(error.message);
    }
    await this.load();
    document.getElementById("add-picture").focus();
  }
}

// Has files dropped on an element given to a function.
export function acceptDrops(target, take) {
  const stop = (event) => {
    event.preventDefault();
    target.classList.toggle("is-target", event.type === "dragover");
  };
  target.addEventListener("dragover", stop);
  target.addEventListener("dragleave", stop);
  target.addEventListener("drop", (event) => {
    stop(event);
    take(event.dataTransfer.files);
  });
}
