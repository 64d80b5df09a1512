// The token, requests with it, and the socket that is opened again when it closes.

const STORED = "humanseg-token";
const LONGEST_PAUSE = 5000;

let token = "";

// Takes the token from the address, or from this tab's memory. Returns whether there is one.
export async function findToken() {
  const given = new URLSearchParams(location.hash.slice(1));
  token = given.get("token") ?? sessionStorage.getItem(STORED) ?? "";
  if (given.has("once")) {
    const answer = await fetch("/api/token", { method: "POST", headers: { "X-Ticket": given.get("once") } });
    if (answer.ok) token = (await answer.json()).token;
  }
  if (given.has("once") || given.has("token")) history.replaceState(null, "", "/");
  if (token) sessionStorage.setItem(STORED, token);
  return token !== "";
}

export function headers() {
  return { Authorization: `Bearer ${token}` };
}

// A request with the token. Throws an Error whose message is for people.
export async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { ...options, headers: headers() });
  } catch {
    throw new Error("humanseg does not answer.");
  }
  if (answer.ok) return answer;
  throw new Error(await errorOf(answer));
}

async function errorOf(answer) {
  try {
    return (await answer.json()).error;
  } catch {
    return `humanseg answered ${answer.status}.`;
  }
}

export function sentence(text) {
  const ended = /[.!?…]$/.test(text) ? text : `${text}.`;
  // Names of files and cameras stay as they are.
  return /^[a-z]+[ ,]/.test(ended) ? ended.charAt(0).toUpperCase() + ended.slice(1) : ended;
}

// Sends "hello", "live", "files", "picture", "open", "lost" and "refused" events.
export class Connection extends EventTarget {
  #socket = null;
  #waiting = new Map();
  #count = 0;
  #pause = 500;
  #isOver = false;

  open() {
    this.#socket = new WebSocket(`ws://${location.host}/api/events`, ["humanseg", `token.${token}`]);
    this.#socket.binaryType = "arraybuffer";
    this.#socket.addEventListener("message", (event) => this.#take(event.data));
    this.#socket.addEventListener("open", () => {
      this.#pause = 500;
      this.#tell("open");
    });
    this.#socket.addEventListener("close", () => this.#lose());
  }

  // The page is left alone from now on.
  end() {
    this.#isOver = true;
    this.#socket?.close();
  }

  send(content) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(content));
  }

  // Carries out a command; resolves to { ok, text, look }.
  command(line) {
    if (this.#socket?.readyState !== WebSocket.OPEN) {
      return Promise.resolve({ ok: false, text: "humanseg does not answer" });
    }
    const id = ++this.#count;
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      this.send({ command: line, id });
    });
  }

  #take(data) {
    if (typeof data !== "string") {
      this.#tell("picture", { number: new DataView(data).getUint32(0), jpeg: data.slice(4) });
      return;
    }
    const message = JSON.parse(data);
    if (message.kind === "reply") {
      this.#waiting.get(message.id)?.(message);
      this.#waiting.delete(message.id);
    } else {
      this.#tell(message.kind, message);
    }
  }

  async #lose() {
    for (const resolve of this.#waiting.values()) resolve({ ok: false, text: "humanseg does not answer" });
    this.#waiting.clear();
    if (this.#isOver) return;
    this.#tell("lost");
    try {
      // The socket does not tell why it was refused; a request does.
      const answer = await fetch("/api/profiles", { headers: headers() });
      if (answer.status === 403) return this.#tell("refused");
    } catch {
      // Not there; it may come back.
    }
    setTimeout(() => this.open(), this.#pause);
    this.#pause = Math.min(LONGEST_PAUSE, this.#pause * 2);
  }

  #tell(kind, detail = null) {
    this.dispatchEvent(new CustomEvent(kind, { detail }));
  }
}
