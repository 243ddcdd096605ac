// What the page says in sentences.

import { shown } from "./drawing.js";

export const player = (number, single) => (single ? "You" : `Player ${number + 1}`);

export function moveText(move) {
  return move.name + (move.outcome === null ? "" : ` (outcome ${move.outcome})`);
}

export function lineText(line) {
  return line.map((move) => moveText(move)).join(", ") || "nothing";
}

// Whether the network agrees with its own look ahead; the span of values says what is much.
export function coherenceText(found, [low, high]) {
  const [first, second] = found.residuals, share = Math.abs(first) / (high - low);
  const verdict = share < 0.02 ? "The network agrees with itself here" : share < 0.1 ? "The network is a little out of tune with itself here" : "The network contradicts itself here";
  const ahead = second === undefined ? "" : `, two moves ahead ${shown(found.value - second)}`;
  return `${verdict}: it says ${shown(found.value)} at a glance, one move ahead ${shown(found.value - first)}${ahead} (residual ${shown(first)}).`;
}

export function whyText(found) {
  return [
    `It was worth ${shown(found.move_value)}; the best move, ${found.best_line[0].name}, was worth ${shown(found.value)}. It gives away ${shown(found.regret).replace("+", "")}.`,
    `After it, perfect play goes on: ${lineText(found.line.slice(1))}.`,
    `Instead: ${lineText(found.best_line)}.`,
  ];
}

export function answerText(answer) {
  const spent = `${answer.simulations.toLocaleString("en")} simulation${answer.simulations === 1 ? "" : "s"}`;
  if (answer.proven) return `proven after ${spent}`;
  return answer.simulations ? spent : "reflex alone";
}

export function stoppedText(answer) {
  if (answer.proven) return answerText(answer);
  return answer.simulations ? `stopped after ${answerText(answer)}` : "stopped at the reflex alone";
}

export const sentence = (words) => words[0].toUpperCase() + words.slice(1) + (words.endsWith(".") ? "" : ".");
