// The table of legal moves beside the board: reflex, search and truth in a row each.

import { escaped, shown } from "./drawing.js";

const AT_FIRST = 24;
const body = () => document.querySelector("#moves tbody");
const percent = (share) => `${(100 * share).toFixed(share < 0.0995 ? 1 : 0)}%`;

let everything = false;

export function showAll(position, play) {
  everything = true;
  list(position, play);
}

// One row a move, empty yet; few of them where there are many.
export function list(position, play) {
  const moves = everything ? position.legal : position.legal.slice(0, AT_FIRST);
  body().innerHTML = moves.map(({ action, name }) =>
    `<tr data-action="${action}"><td><button type="button" data-action="${action}">${escaped(name)}</button></td>`
    + `<td class="pct reflex"><span></span><i></i></td><td class="pct search"><span></span><i></i></td>`
    + `<td class="q"></td><td class="visits"></td><td class="exact"></td></tr>`).join("");
  for (const button of body().querySelectorAll("button")) {
    button.addEventListener("click", () => play(Number(button.dataset.action)));
  }
  const more = document.getElementById("all");
  more.hidden = moves.length === position.legal.length;
  more.textContent = `Show all ${position.legal.length} moves`;
}

function share(cell, part) {
  cell.firstChild.textContent = percent(part);
  cell.lastChild.style.transform = `scaleX(${part})`;
}

// Fills in what is known of the moves; rows stay where they are, so that nothing jumps under a finger.
export function fill(answer, exact, reveal) {
  const rows = new Map([...body().children].map((row) => [Number(row.dataset.action), row]));
  for (const move of answer ? answer.moves : []) {
    const row = rows.get(move.action);
    if (!row) continue;
    row.classList.toggle("best", reveal && move.action === answer.action);
    const [, reflex, search, q, visits] = row.children;
    for (const cell of [reflex, search]) cell.style.visibility = reveal ? "" : "hidden";
    share(reflex, move.prior);
    share(search, move.weight);
    q.innerHTML = reveal && move.visits ? shown(move.qvalue) + (move.proven ? ' <span class="tick" title="proven">✓<span class="hidden"> proven</span></span>' : "") : "";
    visits.textContent = reveal && move.visits ? move.visits : "";
  }
  for (const move of exact ? exact.moves : []) {
    const row = rows.get(move.action);
    if (!row) continue;
    const cell = row.children[5];
    cell.className = `exact ${move.optimal ? "good" : "bad"}`;
    cell.textContent = reveal ? shown(move.value) + (move.optimal ? " ★" : "") : "";
  }
}
