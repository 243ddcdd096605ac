// A position as a picture that can be clicked, and marks on it that move while it is thought about.

import { connectFour, game2048, hex, nim, othello, ticTacToe } from "./boards.js";
import { bandit, kelly, kellyBeta, pig, sequentialTest } from "./beliefs.js";

// By what a game's class is called: how it is drawn, and what that needs of the position.
const FAMILIES = {
  ConnectFour: [connectFour, "observation"],
  TicTacToe: [ticTacToe, "observation"],
  Othello: [othello, "observation"],
  Hex: [hex, "observation"],
  Nim: [nim, "fields"],
  Bandit: [bandit, "fields"],
  Kelly: [kelly, "fields"],
  KellyBeta: [kellyBeta, "fields"],
  SequentialTest: [sequentialTest, "fields"],
  Pig: [pig, "fields"],
  Game2048: [game2048, "fields"],
};

export const escaped = (words) => String(words).replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

let targets = new Map();

// Draws a position; `play(action)` is called for a move that is clicked. Moves without a place become buttons.
export function draw(board, extra, position, agent, play) {
  const [family, needs] = FAMILIES[agent.settings.type] || [];
  const drawn = family && position[needs] ? family(position, agent) : null;
  targets = new Map((drawn ? drawn.targets : []).map((target) => [target.action, target]));
  // Wide pictures need no square.
  board.style.aspectRatio = drawn ? Math.max(1.16, drawn.width / drawn.height) : "";
  if (drawn) {
    const names = new Map(position.legal.map(({ action, name }) => [action, name]));
    const groups = drawn.targets.map(({ action, hit }) =>
      `<g class="target" role="button" tabindex="0" data-action="${action}" aria-label="play ${escaped(names.get(action))}">${hit}</g>`);
    board.innerHTML = `<svg viewBox="0 0 ${drawn.width} ${drawn.height}" role="group" aria-label="${escaped(position.text)}">`
      + `${drawn.shapes}<g id="marks" aria-hidden="true"></g>${groups.join("")}</svg>`;
  } else {
    board.innerHTML = `<pre>${escaped(position.text)}</pre>`;
  }
  const placeless = drawn ? position.legal.filter(({ action }) => !targets.has(action)) : [];
  extra.innerHTML = placeless.map(({ action, name }) => `<button type="button" data-action="${action}">${escaped(name)}</button>`).join("");
  for (const each of [...board.querySelectorAll("[data-action]"), ...extra.children]) {
    each.addEventListener("click", () => play(Number(each.dataset.action)));
  }
  for (const each of board.querySelectorAll(".target")) each.addEventListener("keydown", pressed);
}

const DIRECTIONS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function pressed(event) {
  const here = event.currentTarget;
  if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    here.dispatchEvent(new MouseEvent("click"));
  } else if (event.key in DIRECTIONS) {
    event.preventDefault();
    const next = nearest(targets.get(Number(here.dataset.action)), DIRECTIONS[event.key]);
    if (next) document.querySelector(`.target[data-action="${next.action}"]`).focus();
  }
}

// The target that lies nearest in a direction.
function nearest(from, [dx, dy]) {
  let best = null, least = Infinity;
  for (const target of targets.values()) {
    const ahead = (target.x - from.x) * dx + (target.y - from.y) * dy;
    const aside = Math.abs((target.x - from.x) * dy) + Math.abs((target.y - from.y) * dx);
    if (ahead > 0.5 && ahead + 2 * aside < least) [best, least] = [target, ahead + 2 * aside];
  }
  return best;
}

// Marks of a search on the board: how much weight each move has, its exact value, a hint.
export function mark(answer, exact, { reveal, hint }) {
  const marks = document.getElementById("marks");
  if (!marks) return;
  const truth = new Map((exact ? exact.moves : []).map((move) => [move.action, move]));
  let shapes = "";
  for (const { action, weight } of answer ? answer.moves : []) {
    const target = targets.get(action);
    if (!target) continue;
    const best = action === answer.action;
    if (reveal) shapes += target.bar ? bar(target, weight, best) : disc(target, weight, best, truth.get(action));
    if (hint && best) shapes += `<circle cx="${target.x}" cy="${target.y - (target.bar ? 40 : 0)}" r="21" class="mark-hint"/>`;
  }
  marks.innerHTML = shapes;
}

function disc({ x, y }, weight, best, truth) {
  const r = 5 + 13 * Math.sqrt(weight);
  const ring = best ? `<circle cx="${x}" cy="${y}" r="${r + 3}" class="mark-best"/>` : "";
  const words = truth ? `<text x="${x}" y="${y - r - 7}" text-anchor="middle" class="value ${truth.optimal ? "good" : "bad"}">${shown(truth.value)}</text>` : "";
  return `<circle cx="${x}" cy="${y}" r="${r}" class="mark" fill-opacity="${(0.18 + 0.6 * weight).toFixed(2)}"/>${ring}${words}`;
}

function bar({ x, y, bar: { width, height } }, weight, best) {
  const tall = Math.max(best ? 3 : 0, weight * height);
  return `<rect x="${x - width / 2}" y="${y - tall}" width="${width}" height="${tall}" class="${best ? "second" : "mark"}"/>`;
}

export const shown = (value) => (value > 0 ? "+" : "") + Number(value.toPrecision(3));
