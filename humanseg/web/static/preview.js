// The live picture: drawn as it comes; the server sends no more than the page has drawn.

export class Preview {
  #canvas = document.getElementById("preview");
  #curtain = document.getElementById("curtain");
  #connection;
  #hasPicture = false;

  constructor(connection) {
    this.#connection = connection;
    connection.addEventListener("picture", (event) => this.#draw(event.detail));
  }

  async #draw({ number, jpeg }) {
    try {
      const bitmap = await createImageBitmap(new Blob([jpeg], { type: "image/jpeg" }));
      if (this.#canvas.width !== bitmap.width || this.#canvas.height !== bitmap.height) {
        this.#canvas.width = bitmap.width;
        this.#canvas.height = bitmap.height;
      }
      this.#canvas.getContext("2d").drawImage(bitmap, 0, 0);
      bitmap.close();
      this.#canvas.dataset.picture = number;
      if (!this.#hasPicture) {
        this.#hasPicture = true;
        this.cover("");
      }
    } finally {
      this.#connection.send({ seen: number });
    }
  }

  // Lays a text over the picture; an empty one uncovers it.
  cover(text) {
    const shown = text || (this.#hasPicture ? "" : "Waiting for the first picture…");
    if (this.#curtain.textContent !== shown) this.#curtain.textContent = shown;
    this.#curtain.hidden = !shown;
  }

  // Forgets that there was a picture, after the connection was lost.
  reset() {
    this.#hasPicture = false;
  }
}
