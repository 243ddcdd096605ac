// The page: one position, what an agent thinks of it, and who moves next.

import { get, post, stream } from "./api.js";
import { draw, escaped, mark, shown } from "./drawing.js";
import { BUDGETS, budgetOf, placeOf, read, write } from "./link.js";
import { fill, list, showAll } from "./moves.js";
import { follow } from "./run.js";
import { answerText, coherenceText, moveText, player, sentence, stoppedText, whyText } from "./words.js";

const $ = (id) => document.getElementById(id);
const PACE_MS = 350;

// What is shown; `answer` and `exact` are of `position`, null until they are known.
const now = { agents: [], agent: null, moves: [], seats: [], budget: "64", reveal: true, position: null, answer: null, exact: null, hint: false, paused: false, told: null };
let thinking = null;
let turn = 0;
// What was found of moves, by the moves up to and with them; null of those that give nothing away.
const mistakes = new Map();

// Added to what was said just before, which may not have been read out yet.
function say(sentence) {
  const line = document.createElement("p");
  line.textContent = sentence;
  $("live").append(line);
  while ($("live").children.length > 3) $("live").firstChild.remove();
}

const isSingle = () => now.position && now.position.played.every((move) => move.player === 0) && now.agent.single;
const seatToMove = () => now.seats[now.position.player];
const isYours = () => now.paused || seatToMove().who === "you";

function trouble(error) {
  if (error.name === "AbortError") return;
  $("trouble").textContent = error.message;
  $("trouble").hidden = false;
}

const guarded = (work) => (...given) => Promise.resolve(work(...given)).catch(trouble);

// Goes to a position; everything about the one before is dropped.
async function go(moves) {
  halt();
  const mine = ++turn;
  $("trouble").hidden = true;
  const position = await post("/api/position", { agent: now.agent.name, moves });
  if (mine === turn) arrive(position);
}

async function play(action) {
  if (now.position.over) return;
  halt();
  const mine = ++turn;
  const position = await post("/api/play", { agent: now.agent.name, moves: now.moves, action });
  if (mine !== turn) return;
  const move = position.played.at(-1);
  arrive(position);
  say(`${player(move.player, isSingle())} played ${moveText(move)}. ${position.verdict || ""}`);
}

function arrive(position) {
  const focused = document.activeElement, onBoard = $("board").contains(focused), inTable = $("moves").contains(focused);
  Object.assign(now, { position, moves: position.moves, answer: null, exact: null, hint: false });
  write(now);
  const chosen = guarded(play);
  draw($("board"), $("extra"), position, now.agent, chosen);
  list(position, chosen);
  if (!now.told) $("note").hidden = true;
  $("coherence").textContent = $("exact").textContent = "";
  $("moves-frame").hidden = position.over;
  showPlayed();
  $("turn").textContent = position.over ? position.verdict : isSingle() ? `Return so far ${shown(position.earned)}` : `${player(position.player)} to move`;
  refresh();
  if (onBoard) ($("board").querySelector(".target") || $("board")).focus();
  if (inTable) ($("moves").querySelector("tbody button") || $("board")).focus();
  if (!position.over) {
    learn(turn);
    consider(turn).catch(trouble);
  } else {
    $("state").textContent = "";
    $("value").textContent = position.verdict;
  }
}

// The truth about a position, and whether the network agrees with itself.
function learn(mine) {
  const where = { agent: now.agent.name, moves: now.moves };
  post("/api/exact", where).then((exact) => {
    if (mine !== turn) return;
    now.exact = exact;
    $("exact").textContent = `Exact values by ${exact.solver === "rules" ? "the game's rules" : exact.solver}; ★ is best play.`;
    refresh();
  }, (error) => { if (mine === turn) $("exact").textContent = sentence(error.message); });
  post("/api/coherence", where).then((found) => {
    if (mine === turn) $("coherence").textContent = coherenceText(found, now.agent.value_bounds);
  }, () => {});
}

// Thinks as long as the seat's budget says; a seat that is an agent's then moves.
async function consider(mine) {
  const seat = seatToMove();
  const [who, key] = isYours() ? [now.agent.name, now.budget] : [seat.who, seat.key === "slider" ? now.budget : seat.key];
  const [found] = await Promise.all([think(who, budgetOf(key).ask), isYours() ? null : new Promise((done) => setTimeout(done, PACE_MS))]);
  if (mine === turn && found && !isYours()) await play(now.answer.action);
}

// Streams answers; true once they end, also when stopped. A new thought takes the place of an older one.
async function think(who, ask) {
  halt();
  const mine = turn, mind = new AbortController();
  thinking = mind;
  $("stop").disabled = false;
  $("state").textContent = "thinking";
  try {
    await stream("/api/think", { agent: who, moves: now.moves, ...ask }, mind.signal, (event) => {
      if (mine !== turn || mind.signal.aborted) return;
      if (event.error) throw new Error(event.error);
      if (event.ahead) $("state").textContent = `waiting, ${event.ahead} served first`;
      if (event.preparing) $("state").textContent = "compiling the search, once";
      if (event.answer) { now.answer = event.answer; refresh(); }
    });
  } catch (error) {
    if (error.name !== "AbortError") throw error;
    if (!mind.stopped) return false;
  } finally {
    if (thinking === mind) { thinking = null; $("stop").disabled = true; }
  }
  if (mine !== turn || !now.answer) return false;
  $("state").textContent = (mind.stopped ? stoppedText : answerText)(now.answer);
  if (isYours() && now.reveal) say(`${nameOf(now.answer.action)} looks best, value ${shown(now.answer.value)}, ${answerText(now.answer)}`);
  return true;
}

function halt() {
  if (thinking) thinking.abort();
  thinking = null;
}

const nameOf = (action) => (now.position.legal.find((move) => move.action === action) || { name: "" }).name;

function refresh() {
  mark(now.answer, now.reveal ? now.exact : null, now);
  fill(now.answer, now.exact, now.reveal);
  if (now.answer && now.position && !now.position.over) showValue();
  $("longer").disabled = now.position.over || Boolean(now.answer && now.answer.proven);
  if (thinking && now.answer) $("state").textContent = `thinking: ${now.answer.simulations.toLocaleString("en")}`;
}

function showValue() {
  if (!now.reveal) { $("value").textContent = ""; return; }
  const { value, proven, lower, upper } = now.answer, [low, high] = now.agent.value_bounds;
  const sign = now.position.player && low < 0 ? -1 : 1;
  const share = (x) => 100 * Math.min(1, Math.max(0, ((sign > 0 ? x - low : high - x)) / (high - low)));
  const bounds = proven ? ", proven" : lower > low || upper < high ? `, proven to lie between ${shown(lower)} and ${shown(upper)}` : "";
  $("value").innerHTML = `Value to the player to move <b>${shown(value)}</b>${bounds}`
    + (now.exact ? `; exactly <b class="good">${shown(now.exact.value)}</b>` : "")
    + `<div class="meter${low < 0 ? "" : " single"}" aria-hidden="true">${now.exact ? '<i class="truth"></i>' : ""}<i></i></div>`;
  const pins = $("value").querySelectorAll("i");
  pins[pins.length - 1].style.left = `${share(value)}%`;
  if (now.exact) pins[0].style.left = `${share(now.exact.value)}%`;
}

const keyOf = (place) => now.moves.slice(0, (now.agent.chance ? 2 : 1) * (place + 1)).join(".");

// Says so where a move gave something away, also when the answer to it is played already.
async function judge(place) {
  const { agent, moves } = now, key = keyOf(place), move = now.position.played[place], from = (agent.chance ? 2 : 1) * place;
  if (mistakes.has(key)) return;
  mistakes.set(key, null);
  let found;
  try {
    found = await post("/api/why", { agent: agent.name, moves: moves.slice(0, from), action: moves[from] });
  } catch {
    mistakes.delete(key);
    return;
  }
  if (agent !== now.agent || !(found.regret > 1e-9)) return;
  const words = `${player(move.player, isSingle())}: ${move.name} was a mistake. It gives away ${shown(found.regret).replace("+", "")}.`;
  mistakes.set(key, { found, words });
  showMistakes();
  if (now.told === key) say(words);
}

// Marks the moves that gave something away; the note is of the newest since a person last moved.
function showMistakes() {
  const { played } = now.position, keys = played.map((_, i) => keyOf(i));
  keys.forEach((key, i) => $("played").children[i].firstElementChild.classList.toggle("wrong", Boolean(mistakes.get(key))));
  const yours = played.findLastIndex((move) => now.seats[move.player].who === "you");
  const told = keys.slice(yours < 0 ? -1 : yours).findLast((key) => mistakes.get(key)) || null;
  if (told === now.told) return;
  now.told = told;
  $("why").hidden = true;
  $("note").hidden = told === null;
  if (told === null) return;
  const { found, words } = mistakes.get(told);
  $("note").className = "note mistake";
  $("note").innerHTML = `${escaped(words)}<button type="button">Why?</button>`;
  $("note").firstElementChild.addEventListener("click", () => explain(found));
}

function explain(found) {
  $("why").innerHTML = whyText(found).map((line) => `<p>${escaped(line)}</p>`).join("");
  $("why").hidden = false;
  say(whyText(found)[0]);
}

function showPlayed() {
  const stride = now.agent.chance ? 2 : 1;
  $("played").innerHTML = now.position.played.map((move, i) =>
    `<li><button type="button" data-place="${i}" aria-label="move ${i + 1}, ${escaped(moveText(move))}: go back to after it">${i + 1}. ${escaped(moveText(move))}</button></li>`).join("");
  for (const button of $("played").querySelectorAll("button")) {
    button.addEventListener("click", guarded(() => { pauseAgents(true); return go(now.moves.slice(0, stride * (Number(button.dataset.place) + 1))); }));
  }
  $("played").scrollTop = $("played").scrollHeight;
  $("undo").disabled = !now.moves.length;
  showMistakes();
  const last = now.position.played.length - 1;
  for (let place = Math.max(0, last - 1); place <= last; place++) judge(place);
}

// Takes moves back to where a person was to move.
async function undo() {
  const stride = now.agent.chance ? 2 : 1, played = now.position.played;
  let keep = played.length - 1;
  while (keep > 0 && now.seats[played[keep].player].who !== "you") keep--;
  if (keep >= 0) await go(now.moves.slice(0, stride * keep));
}

function pauseAgents(paused) {
  now.paused = paused && now.seats.some(({ who }) => who !== "you");
  $("pause").textContent = now.paused ? "Go on" : "Pause";
  $("pause").hidden = !now.seats.some(({ who }) => who !== "you");
}

function showSeats() {
  const same = now.agents.filter(({ game }) => game === now.agent.game);
  const option = (value, words, chosen) => `<option value="${escaped(value)}"${value === chosen ? " selected" : ""}>${escaped(words)}</option>`;
  const shownSeats = now.agent.single ? now.seats.slice(0, 1) : now.seats;
  $("seats").innerHTML = shownSeats.map(({ who, key }, i) => `<div class="seat"><b>${now.agent.single ? "Player" : `Player ${i + 1}`}</b>`
    + `<select data-seat="${i}" data-part="who" aria-label="Who plays seat ${i + 1}">${option("you", "You", who)}${same.map(({ name }) => option(name, name, who)).join("")}</select>`
    + (who === "you" ? "" : `<select data-seat="${i}" data-part="key" aria-label="Budget of seat ${i + 1}">${option("slider", "budget of the slider", key)}${BUDGETS.map((b) => option(b.key, b.words, key)).join("")}</select>`)
    + "</div>").join("");
  for (const select of $("seats").querySelectorAll("select")) {
    select.addEventListener("change", guarded(() => { now.seats[select.dataset.seat][select.dataset.part] = select.value; return reseat(); }));
  }
  $("swap").hidden = now.agent.single;
  pauseAgents(now.paused);
}

async function reseat() {
  showSeats();
  await go(now.moves);
}

function showBudget() {
  const budget = budgetOf(now.budget);
  $("budget").max = BUDGETS.length - 1;
  $("budget").value = placeOf(budget.key);
  $("budget-text").textContent = budget.words;
  $("budget").setAttribute("aria-valuetext", budget.words);
}

// The slider's budget that is at least so many simulations.
function chooseBudget(simulations) {
  const enough = BUDGETS.filter(({ ask }) => ask.total !== undefined).find(({ ask }) => ask.total >= simulations);
  now.budget = (enough || BUDGETS.findLast(({ ask }) => ask.total !== undefined)).key;
  showBudget();
  write(now);
  say(`The budget is ${budgetOf(now.budget).words}`);
  return now.position.over || consider(turn);
}

// Another agent, or everything that a link says.
async function open(said) {
  Object.assign(now, said, { told: null });
  mistakes.clear();
  $("agent").value = now.agent.name;
  const { game, step, solver } = now.agent;
  $("about").textContent = `${game}, ${step.toLocaleString("en")} iterations of training${solver ? `, exact values by ${solver}` : ""}`;
  $("line-form").textContent = now.agent.chance ? "(action outcome action outcome ...)" : "(such as 3 3 4)";
  $("reveal").checked = now.reveal;
  showBudget();
  showSeats();
  follow($("run"), now.agent, guarded((line) => { pauseAgents(true); $("board").scrollIntoView({ block: "nearest" }); return go(line); }), guarded(chooseBudget), trouble);
  try {
    await go(now.moves);
  } catch (error) {
    if (!said.moves.length) throw error;
    // A link that leads nowhere still gives a board.
    await go([]);
    throw error;
  }
  if (said.unknown) throw new Error(`No agent of the name "${said.unknown}" is served here; this is ${now.agent.name}.`);
}

function listen() {
  const on = (id, event, work) => $(id).addEventListener(event, guarded(work));
  on("agent", "change", () => { location.hash = `#agent=${encodeURIComponent($("agent").value)}&budget=${now.budget}`; });
  on("undo", "click", undo);
  on("new", "click", () => { pauseAgents(false); return go([]); });
  on("hint", "click", () => { now.hint = true; refresh(); if (now.answer) say(`Hint: ${nameOf(now.answer.action)}`); noteHint(); });
  on("copy", "click", async () => { await navigator.clipboard.writeText(location.href); say("Link copied"); $("copy").textContent = "Copied"; setTimeout(() => { $("copy").textContent = "Copy link"; }, 1500); });
  on("stop", "click", () => { if (thinking) { thinking.stopped = true; thinking.abort(); } });
  on("longer", "click", () => now.position.over || think(now.agent.name, { more: Math.max(64, now.answer ? now.answer.simulations : 0) }));
  on("budget", "input", () => { now.budget = BUDGETS[$("budget").value].key; showBudget(); });
  on("budget", "change", () => { write(now); return now.position.over || consider(turn); });
  on("reveal", "change", () => { now.reveal = $("reveal").checked; write(now); refresh(); });
  on("all", "click", () => { showAll(now.position, guarded(play)); refresh(); });
  on("swap", "click", () => { now.seats.reverse(); return reseat(); });
  on("pause", "click", () => { pauseAgents(!now.paused); return go(now.moves); });
  on("set", "click", setUp);
  on("line", "keydown", (event) => (event.key === "Enter" ? setUp() : null));
  window.addEventListener("hashchange", guarded(() => open(read(now.agents))));
}

function noteHint() {
  if (!now.answer) return;
  now.told = null;
  $("why").hidden = true;
  $("note").className = "note";
  $("note").textContent = `The agent would play ${nameOf(now.answer.action)}.`;
  $("note").hidden = false;
}

async function setUp() {
  const words = $("line").value.split(/[\s,;.]+/).filter(Boolean);
  const wrong = words.find((word) => !/^\d{1,9}$/.test(word));
  if (wrong !== undefined) throw new Error(`"${wrong}" is no move; write whole numbers with spaces between.`);
  pauseAgents(true);
  await go(words.map(Number));
}

async function begin() {
  now.agents = await get("/api/agents");
  $("agent").innerHTML = now.agents.map(({ name }) => `<option>${escaped(name)}</option>`).join("");
  listen();
  await open(read(now.agents)).catch(trouble);
  document.documentElement.dataset.ready = "yes";
}

begin().catch(trouble);
