// What was recorded while an agent was trained, and what it was measured to do.

import { get } from "./api.js";
import { escaped } from "./drawing.js";

const CURVES = [["reflex_mistake_rate", "Mistakes of the reflex", true], ["search_mistake_rate", "Mistakes of search", true], ["policy_loss", "Policy loss", false]];
const EVERY_MS = 3000;

let timer = 0;

function curve(rows, key, title, share) {
  const points = rows.filter((row) => typeof row[key] === "number").map((row) => [row.iteration, row[key]]);
  if (points.length < 2) return "";
  const [from, to] = [points[0][0], points.at(-1)[0]], most = Math.max(...points.map(([, y]) => y)) || 1;
  const place = ([x, y]) => `${(40 + 300 * (x - from) / (to - from || 1)).toFixed(1)} ${(100 - 85 * y / most).toFixed(1)}`;
  const label = share ? `${(100 * most).toPrecision(3)}%` : most.toPrecision(3), last = points.at(-1)[1];
  const now = share ? `${(100 * last).toPrecision(3)}%` : last.toPrecision(3);
  return `<figure><figcaption class="small">${title}: ${now} after ${to} iterations</figcaption>`
    + `<svg viewBox="0 0 350 120" role="img" aria-label="${title} from ${label} at most to ${now}"><path d="M40 10V100H345" class="axis"/>`
    + `<path d="M${points.map(place).join("L")}" class="curve"/><text x="36" y="19" text-anchor="end" class="small">${label}</text>`
    + `<text x="345" y="114" text-anchor="end" class="small">iteration ${to}</text></svg></figure>`;
}

async function curves(agent, place) {
  const rows = await get(`/api/agents/${encodeURIComponent(agent.name)}/metrics`);
  const drawn = CURVES.map(([key, title, share]) => curve(rows, key, title, share)).join("");
  place.innerHTML = drawn || '<p class="small">No learning curves: this agent is a file, or its run has not reported yet.</p>';
}

async function gallery(agent, place, set) {
  const base = `/api/agents/${encodeURIComponent(agent.name)}`;
  let html = "", shownOnes = [];
  try {
    const bench = await get(`${base}/bench`);
    shownOnes = bench.wrong_at_every_budget.shown;
    html = `<p class="small">Wrong at every budget measured: ${bench.wrong_at_every_budget.count} positions. <a href="${base}/card" target="_blank">The bench card</a></p>`
      + `<div class="gallery">${shownOnes.map((each, i) => `<article><pre>${escaped(each.board)}</pre>`
        + (each.line ? `<button type="button" data-place="${i}">Put on the board</button>` : "the line to it is not known") + "</article>").join("")}</div>`;
  } catch (error) {
    html = `<p class="small">${escaped(error.message)}</p>`;
  }
  place.innerHTML = html;
  for (const button of place.querySelectorAll("button")) {
    button.addEventListener("click", () => set(shownOnes[button.dataset.place].line));
  }
}

// Shows an agent's run while the section is open; curves are drawn again as the run goes on.
export function follow(section, agent, set, trouble) {
  clearInterval(timer);
  const [drawn, measured] = [section.querySelector("#curves"), section.querySelector("#bench")];
  const refresh = () => section.open && curves(agent, drawn).catch(trouble);
  const begin = () => { if (section.open) { refresh(); gallery(agent, measured, set); } };
  section.ontoggle = begin;
  timer = setInterval(() => { if (!document.hidden) refresh(); }, EVERY_MS);
  begin();
}
