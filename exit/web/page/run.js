// What was recorded while an agent was trained, and what it was measured to do.

import { get } from "./api.js";
import { escaped } from "./drawing.js";
import { sentence } from "./words.js";

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
    + `<svg viewBox="-12 0 362 120" role="img" aria-label="${title} from ${label} at most to ${now}"><path d="M40 10V100H345" class="axis"/>`
    + `<path d="M${points.map(place).join("L")}" class="curve"/><text x="36" y="19" text-anchor="end" class="small">${label}</text>`
    + `<text x="345" y="114" text-anchor="end" class="small">iteration ${to}</text></svg></figure>`;
}

async function curves(agent, place) {
  const rows = await get(`/api/agents/${encodeURIComponent(agent.name)}/metrics`);
  const drawn = CURVES.map(([key, title, share]) => curve(rows, key, title, share)).join("");
  place.innerHTML = drawn || '<p class="small">No learning curves: this agent is a file, or its run has not reported yet.</p>';
}

// Regret against budget, evenly spaced, with the recommended one marked; `choose(budget)` sets the slider.
async function frontier(agent, place, choose) {
  try {
    const { budgets, recommended, positions } = await get(`/api/agents/${encodeURIComponent(agent.name)}/advice`);
    const most = Math.max(...budgets.map((row) => (row.interval || [0, row.mean_regret])[1])) || 1;
    const x = (i) => 40 + 300 * (i + 0.5) / budgets.length, y = (regret) => 100 - 85 * Math.max(0, regret) / most;
    const at = (i, regret) => `${x(i).toFixed(1)} ${y(regret).toFixed(1)}`;
    const chosen = budgets.findIndex((row) => row.budget === recommended.budget);
    const span = (row, side) => (row.interval || [row.mean_regret, row.mean_regret])[side];
    const band = [...budgets.map((row, i) => at(i, span(row, 1))), ...budgets.map((row, i) => at(i, span(row, 0))).reverse()];
    const every = Math.ceil(budgets.length / 8);
    const older = recommended.iteration === agent.step ? "" : `, of the agent after ${recommended.iteration.toLocaleString("en")} iterations, not of this one`;
    place.innerHTML = `<figure><figcaption class="small">What thinking buys: mean regret in ${positions.count.toLocaleString("en")} critical positions, by budget${older}</figcaption>`
      + `<svg viewBox="-12 0 362 132" role="img" aria-label="Mean regret from ${budgets[0].mean_regret.toPrecision(3)} at budget ${budgets[0].budget} to ${budgets.at(-1).mean_regret.toPrecision(3)} at ${budgets.at(-1).budget}; recommended is ${recommended.budget}">`
      + `<path d="M40 10V100H345" class="axis"/><path d="M${x(chosen).toFixed(1)} 10V100" class="chosen"/>`
      + `<path d="M${band.join("L")}Z" class="under"/><path d="M${budgets.map((row, i) => at(i, row.mean_regret)).join("L")}" class="curve"/>`
      + `<circle cx="${x(chosen).toFixed(1)}" cy="${y(budgets[chosen].mean_regret).toFixed(1)}" r="5" class="first"/>`
      + `<text x="36" y="19" text-anchor="end" class="small">${most.toPrecision(2)}</text>`
      + budgets.map((row, i) => (i % every ? "" : `<text x="${x(i).toFixed(1)}" y="116" text-anchor="middle" class="small">${row.budget}</text>`)).join("")
      + `<text x="345" y="130" text-anchor="end" class="small">simulations a move</text></svg></figure>`
      + `<p class="small"><b>Recommended budget: ${recommended.budget}.</b> ${escaped(recommended.why)}</p>`
      + `<button type="button">Set the slider there</button>`;
    place.querySelector("button").addEventListener("click", () => choose(recommended.budget));
  } catch (error) {
    if (error.name !== "Trouble") throw error;
    place.innerHTML = `<p class="small">${escaped(sentence(error.message))}</p>`;
  }
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
    html = `<p class="small">${escaped(sentence(error.message))}</p>`;
  }
  place.innerHTML = html;
  for (const button of place.querySelectorAll("button")) {
    button.addEventListener("click", () => set(shownOnes[button.dataset.place].line));
  }
}

// Shows an agent's run while the section is open; curves are drawn again as the run goes on.
export function follow(section, agent, set, choose, trouble) {
  clearInterval(timer);
  const [drawn, bought, measured] = ["#curves", "#frontier", "#bench"].map((id) => section.querySelector(id));
  const refresh = () => section.open && curves(agent, drawn).catch(trouble);
  if (!agent.is_run) {
    drawn.innerHTML = '<p class="small">This agent is one file, without a run directory; nothing was recorded with it.</p>';
    bought.textContent = measured.textContent = "";
    section.ontoggle = null;
    return;
  }
  const begin = () => { if (section.open) { refresh(); frontier(agent, bought, choose).catch(trouble); gallery(agent, measured, set); } };
  section.ontoggle = begin;
  timer = setInterval(() => { if (!document.hidden) refresh(); }, EVERY_MS);
  begin();
}
