// Short messages at the foot of the page, read out by screen readers.

import { sentence } from "./connection.js";

const SECONDS = { message: 4, problem: 9 };
const timers = {};

function show(id, text) {
  const box = document.getElementById(id);
  document.getElementById(id === "message" ? "problem" : "message").textContent = "";
  box.textContent = sentence(text);
  clearTimeout(timers[id]);
  timers[id] = setTimeout(() => { box.textContent = ""; }, SECONDS[id] * 1000);
}

export const say = (text) => show("message", text);
export const complain = (text) => show("problem", text);
