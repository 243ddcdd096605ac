// Games of chance and belief drawn as what they are: arms, a bankroll, a test, a race.

const rect = (x, y, w, h, more = "") => `<rect x="${x}" y="${y}" width="${w}" height="${h}" ${more}/>`;
const text = (x, y, words, kind = "", anchor = "middle") =>
  `<text x="${x}" y="${y}" text-anchor="${anchor}" class="${kind}">${words}</text>`;
const path = (points) => points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");

// The density of Beta(a, b) as a curve in a box; scaled to its own height.
function betaCurve(a, b, x, y, w, h, kind = "") {
  const points = [];
  for (let i = 0; i <= 60; i++) {
    const p = Math.min(0.995, Math.max(0.005, i / 60));
    points.push([i / 60, (a - 1) * Math.log(p) + (b - 1) * Math.log(1 - p)]);
  }
  const most = Math.max(...points.map(([, level]) => level));
  const drawn = points.map(([p, level]) => [x + p * w, y + h - 0.95 * h * Math.exp(level - most)]);
  const mean = x + w * a / (a + b);
  return `<path d="${path([[x, y + h], ...drawn, [x + w, y + h]])}Z" class="under ${kind}"/>`
    + `<path d="${path(drawn)}" class="curve ${kind}"/>`
    + `<path d="M${mean} ${y}V${y + h}" class="axis" stroke-dasharray="3 3"/>`
    + `<path d="M${x} ${y + h}H${x + w}" class="axis"/>`;
}

export function bandit(position, agent) {
  const { arms, horizon, alpha, beta } = agent.settings, { successes, failures } = position.fields;
  const per = Math.min(arms, 4), w = 560 / per, h = 250, rows = Math.ceil(arms / per);
  const left = horizon - [...successes, ...failures].reduce((sum, n) => sum + n, 0);
  let shapes = text(280, 18, `${left} of ${horizon} pulls left, ${successes.reduce((a, b) => a + b, 0)} successes`);
  shapes += rect(20, 28, 520, 7, 'rx="3" class="wood"') + rect(20, 28, 520 * left / horizon, 7, 'rx="3" class="first"');
  const targets = [];
  for (let arm = 0; arm < arms; arm++) {
    const x = (arm % per) * w, y = 46 + Math.floor(arm / per) * (h + 8);
    const a = alpha + successes[arm], b = beta + failures[arm];
    shapes += rect(x + 6, y, w - 12, h, 'rx="14" class="wood"') + text(x + w / 2, y + 24, `Arm ${arm}`);
    shapes += betaCurve(a, b, x + 22, y + 40, w - 44, 110);
    shapes += text(x + w / 2, y + 168, `mean ${(a / (a + b)).toFixed(3)}`);
    shapes += text(x + w / 2, y + 185, `${successes[arm]} successes, ${failures[arm]} failures`, "small");
    if (position.legal.some(({ action }) => action === arm)) {
      targets.push({ action: arm, x: x + w / 2, y: y + 227, hit: rect(x + 6, y, w - 12, h, 'rx="14" class="hit"') });
    }
  }
  return { width: 560, height: 50 + rows * (h + 8), shapes, targets };
}

// The bets as a strip of narrow fields above an axis; marks become bars on it.
function betStrip(position, y, names) {
  const legal = position.legal, w = 520 / Math.max(1, legal.length);
  let shapes = text(20, y - 8, "bet", "small", "start") + `<path d="M20 ${y + 90}H540" class="axis"/>`;
  for (const share of [0, 0.25, 0.5, 0.75, 1]) {
    const place = Math.round(share * (legal.length - 1));
    if (legal.length) shapes += text(20 + (place + 0.5) * w, y + 106, names(legal[place].name), "small");
  }
  const targets = legal.map(({ action }, place) => ({
    action, x: 20 + (place + 0.5) * w, y: y + 90, bar: { width: Math.max(1, w * 0.8), height: 86 },
    hit: rect(20 + place * w, y, w, 92, 'class="hit"'),
  }));
  return { shapes, targets };
}

function bankroll(history, cap, unit, rounds, y, h) {
  const most = Math.max(...history.map(({ wealth }) => wealth * unit), 1);
  const top = Math.min(cap, most * 1.25);
  const points = history.map(({ wealth }, i) => [50 + 480 * i / Math.max(rounds, 1), y + h - h * Math.min(1, wealth * unit / top)]);
  const [x, last] = points.at(-1);
  return `<path d="M50 ${y}V${y + h}H530" class="axis"/>`
    + text(44, y + 10, `$${Math.round(top)}`, "small", "end") + text(44, y + h, "$0", "small", "end")
    + `<path d="${path([[points[0][0], y + h], ...points, [x, y + h]])}Z" class="under"/>`
    + `<path d="${path(points)}" class="curve"/><circle cx="${x}" cy="${last}" r="5" class="first"/>`;
}

export function kelly(position, agent) {
  const { unit, cap, rounds, win_prob } = agent.settings, { wealth, rounds: left } = position.fields;
  let shapes = text(280, 18, `$${wealth * unit} of at most $${cap}, ${left} of ${rounds} rounds left`);
  shapes += text(280, 36, `the coin wins in ${Math.round(100 * win_prob)} of 100`, "small");
  shapes += bankroll(position.history, cap, unit, Math.min(rounds, Math.max(20, position.history.length)), 50, 190);
  const strip = betStrip(position, 280, (name) => name.replace("bet ", ""));
  return { width: 560, height: 400, shapes: shapes + strip.shapes, targets: strip.targets };
}

export function kellyBeta(position, agent) {
  const { unit, cap, rounds, alpha, beta } = agent.settings, { wealth, wins, losses } = position.fields;
  let shapes = text(280, 18, `$${wealth * unit} of at most $${cap}, ${rounds - wins - losses} of ${rounds} rounds left`);
  shapes += bankroll(position.history, cap, unit, rounds, 34, 130);
  shapes += text(44, 200, "belief", "small", "end") + betaCurve(alpha + wins, beta + losses, 50, 184, 480, 70);
  const mean = (alpha + wins) / (alpha + beta + wins + losses);
  shapes += text(280, 272, `${wins} wins, ${losses} losses, mean ${mean.toFixed(3)}`, "small");
  const strip = betStrip(position, 296, (name) => name.replace("bet ", ""));
  return { width: 560, height: 412, shapes: shapes + strip.shapes, targets: strip.targets };
}

export function sequentialTest(position, agent) {
  const { first, second, cost, prior } = agent.settings, { looks, heads, decided } = position.fields;
  const most = agent.settings.max_looks, span = Math.max(10, Math.min(most, Math.ceil(looks * 1.3)));
  const y0 = 150, step = 480 / span, rise = Math.min(14, 190 / span);
  const points = position.history.filter((at) => !at.decided).map((at) => [50 + at.looks * step, y0 - (2 * at.heads - at.looks) * rise]);
  const odds = Math.log(prior[1] / prior[0]) + heads * Math.log(second / first) + (looks - heads) * Math.log((1 - second) / (1 - first));
  const belief = 1 / (1 + Math.exp(-odds));
  let shapes = text(280, 18, `${heads} heads in ${looks} of at most ${most} throws${decided ? ", decided" : ""}; a look costs ${cost}`);
  shapes += `<path d="M50 40V260M50 ${y0}H530" class="axis"/>` + text(44, y0 + 4, "0", "small", "end");
  shapes += text(44, 50, "heads", "small", "end") + text(44, 258, "tails", "small", "end") + text(530, y0 + 16, "looks", "small", "end");
  shapes += `<path d="${path(points)}" class="curve"/><circle cx="${points.at(-1)[0]}" cy="${points.at(-1)[1]}" r="5" class="first"/>`;
  shapes += rect(50, 278, 480, 20, 'rx="10" class="second"') + rect(50, 278, 480 * belief, 20, 'rx="10" class="first"');
  shapes += text(50, 314, `coin of ${second}: ${(100 * belief).toFixed(1)} %`, "small", "start");
  shapes += text(530, 314, `coin of ${first}: ${(100 - 100 * belief).toFixed(1)} %`, "small", "end");
  return buttons(position, shapes, 334, 400);
}

// Few moves as large fields in a row.
function buttons(position, before, y, height) {
  const w = 520 / Math.max(1, position.legal.length);
  let shapes = before;
  const targets = position.legal.map(({ action, name }, place) => {
    const x = 20 + place * w;
    shapes += rect(x + 5, y, w - 10, 56, 'rx="12" class="wood"') + text(x + w / 2, y + 25, name);
    return { action, x: x + w / 2, y: y + 42, hit: rect(x + 5, y, w - 10, 56, 'rx="12" class="hit"') };
  });
  return { width: 560, height, shapes, targets };
}

export function pig(position, agent) {
  const goal = agent.settings.goal, { mine, theirs, turn } = position.fields;
  const points = position.player === 0 ? [mine, theirs] : [theirs, mine];
  let shapes = text(280, 22, `to ${goal} points`);
  points.forEach((score, who) => {
    const y = 60 + who * 76, moving = who === position.player && !position.over;
    shapes += text(20, y - 8, `Player ${who + 1}: ${score}${moving ? ` + ${turn} in this turn` : ""}`, "", "start");
    shapes += rect(20, y, 520, 26, 'rx="13" class="wood"');
    if (moving) shapes += rect(20, y, 520 * Math.min(1, (score + turn) / goal), 26, `rx="13" class="${who ? "second" : "first"}" fill-opacity=".4"`);
    shapes += rect(20, y, 520 * Math.min(1, score / goal), 26, `rx="13" class="${who ? "second" : "first"}"`);
  });
  if (position.moves.length) {
    const [action, outcome] = position.moves.slice(-2);
    shapes += text(280, 212, action === 1 ? `the die shows ${outcome + 1}` : "held", "small");
  }
  return buttons(position, shapes, 236, 310);
}
