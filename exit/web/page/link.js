// The link that restores everything: agent, moves, budget and seats stand behind the # of the address.

export const BUDGETS = [
  { key: "0", words: "0, the reflex alone", ask: { total: 0 } },
  ...Array.from({ length: 13 }, (_, k) => 2 ** k).map((n) => ({
    key: String(n), words: n === 1 ? "1 simulation" : `${n.toLocaleString("en")} simulations`, ask: { total: n },
  })),
  ...[1, 3, 10].map((s) => ({ key: `${s}s`, words: s === 1 ? "1 second" : `${s} seconds`, ask: { seconds: s } })),
  { key: "auto", words: "auto: as long as it is worth it", ask: { auto: true } },
];

const DEFAULT = "64";
export const placeOf = (key) => BUDGETS.findIndex((budget) => budget.key === key);
export const budgetOf = (key) => BUDGETS[placeOf(key)] || BUDGETS[placeOf(DEFAULT)];

// What a link says, with what is usual where it says nothing or something unknown.
export function read(agents) {
  const said = new URLSearchParams(location.hash.slice(1));
  const asked = said.get("agent"), known = agents.find(({ name }) => name === asked), agent = known || agents[0];
  const numbers = (said.get("moves") || "").split(".").filter((word) => /^\d{1,9}$/.test(word)).map(Number);
  const players = new Set(["you", ...agents.filter(({ game }) => game === agent.game).map(({ name }) => name)]);
  const seats = [0, 1].map((seat) => {
    const [who, key] = (said.getAll("seat")[seat] || "").split("|");
    return { who: players.has(who) ? who : seat ? agent.name : "you", key: placeOf(key) >= 0 ? key : "slider" };
  });
  const budget = placeOf(said.get("budget")) >= 0 ? said.get("budget") : DEFAULT;
  const unknown = known ? null : asked;
  return { agent, unknown, moves: numbers, seats, budget, reveal: said.get("show") !== "0", paused: said.get("paused") === "1" };
}

export function write({ agent, moves, seats, budget, reveal, paused }) {
  const said = new URLSearchParams({ agent: agent.name, moves: moves.join("."), budget, show: reveal ? "1" : "0" });
  for (const { who, key } of seats) said.append("seat", `${who}|${key}`);
  if (paused) said.set("paused", "1");
  history.replaceState(null, "", `#${said}`);
}
