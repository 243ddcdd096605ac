// Boards with cells: each function draws a position and says where its moves are.
//
// A drawing is { width, height, shapes, targets }: markup in SVG, and for each action that can be clicked
// { action, x, y, hit }: where marks go, and the shape that takes clicks.

const rect = (x, y, w, h, more = "") => `<rect x="${x}" y="${y}" width="${w}" height="${h}" ${more}/>`;
const circle = (x, y, r, more = "") => `<circle cx="${x}" cy="${y}" r="${r}" ${more}/>`;
const text = (x, y, words, kind = "", anchor = "middle") =>
  `<text x="${x}" y="${y}" text-anchor="${anchor}" class="${kind}">${words}</text>`;

// Whose stone lies in a cell: 0 for the first player, 1 for the second, null for none.
function owner(position, row, column) {
  const [mine, theirs] = position.observation[row][column];
  return mine ? position.player : theirs ? 1 - position.player : null;
}

const lastAction = (position, chance) => position.moves.at(chance ? -2 : -1);

// A stone; the second player's has a ring, so that colour is not all that tells them apart.
function stone(x, y, r, who) {
  const ring = who ? circle(x, y, r * 0.55, 'fill="none" stroke="#fff" stroke-width="2.5" stroke-opacity=".85"') : "";
  return circle(x, y, r, `class="${who ? "second" : "first"}"`) + ring;
}

export function connectFour(position, agent) {
  const { rows, columns } = agent.settings, size = 60, edge = 14;
  const width = columns * size + 2 * edge, height = rows * size + 2 * edge + 18;
  const at = (row, column) => [edge + (column + 0.5) * size, edge + (rows - row - 0.5) * size];
  let shapes = rect(0, 0, width, rows * size + 2 * edge, 'rx="16" class="wood"');
  const heights = Array(columns).fill(0);
  for (let column = 0; column < columns; column++) {
    for (let row = 0; row < rows; row++) {
      const who = owner(position, row, column), [x, y] = at(row, column);
      shapes += who === null ? circle(x, y, size * 0.41, 'class="hole"') : stone(x, y, size * 0.41, who);
      if (who !== null) heights[column] = row + 1;
    }
    shapes += text(at(0, column)[0], height - 3, column, "small");
  }
  const last = lastAction(position, false);
  if (last !== undefined) shapes += circle(...at(heights[last] - 1, last), size * 0.44, 'class="last"');
  const targets = position.legal.map(({ action }) => {
    const [x, y] = at(heights[action], action);
    return { action, x, y, hit: rect(x - size / 2 + 2, edge / 2, size - 4, rows * size + edge, 'rx="10" class="hit"') };
  });
  return { width, height, shapes, targets };
}

function cross(x, y, r, kind) {
  return `<path d="M${x - r} ${y - r}L${x + r} ${y + r}M${x + r} ${y - r}L${x - r} ${y + r}" class="${kind}" stroke-width="9" stroke-linecap="round"/>`;
}

export function ticTacToe(position) {
  const size = 120;
  let shapes = "";
  for (const k of [1, 2]) {
    shapes += `<path d="M${k * size} 8V${3 * size - 8}M8 ${k * size}H${3 * size - 8}" class="grid" stroke-width="4" stroke-linecap="round"/>`;
  }
  for (let cell = 0; cell < 9; cell++) {
    const row = Math.floor(cell / 3), column = cell % 3, who = owner(position, row, column);
    const x = (column + 0.5) * size, y = (row + 0.5) * size;
    if (who === 0) shapes += cross(x, y, 32, "first-line");
    if (who === 1) shapes += circle(x, y, 34, 'class="second-line" fill="none" stroke-width="9"');
    if (cell === lastAction(position, false)) shapes += rect(x - 54, y - 54, 108, 108, 'rx="12" class="last"');
  }
  const targets = position.legal.map(({ action }) => {
    const column = action % 3, row = Math.floor(action / 3);
    return {
      action, x: (column + 0.5) * size, y: (row + 0.5) * size,
      hit: rect(column * size + 5, row * size + 5, size - 10, size - 10, 'rx="12" class="hit"'),
    };
  });
  return { width: 3 * size, height: 3 * size, shapes, targets };
}

export function othello(position, agent) {
  const n = agent.settings.size, size = Math.min(80, 480 / n), edge = 22;
  let shapes = rect(edge, edge, n * size, n * size, 'rx="6" class="felt"');
  for (let k = 0; k <= n; k++) {
    shapes += `<path d="M${edge + k * size} ${edge}V${edge + n * size}M${edge} ${edge + k * size}H${edge + n * size}" class="grid"/>`;
  }
  for (let cell = 0; cell < n * n; cell++) {
    const row = Math.floor(cell / n), column = cell % n, who = owner(position, row, column);
    const x = edge + (column + 0.5) * size, y = edge + (row + 0.5) * size;
    if (who !== null) shapes += stone(x, y, size * 0.4, who);
    if (cell === lastAction(position, false)) shapes += circle(x, y, size * 0.45, 'class="last"');
  }
  for (let k = 0; k < n; k++) {
    shapes += text(edge + (k + 0.5) * size, 15, String.fromCharCode(97 + k), "small");
    shapes += text(10, edge + (k + 0.5) * size + 4, k + 1, "small");
  }
  const targets = position.legal.filter(({ action }) => action < n * n).map(({ action }) => {
    const column = action % n, row = Math.floor(action / n);
    return {
      action, x: edge + (column + 0.5) * size, y: edge + (row + 0.5) * size,
      hit: rect(edge + column * size + 1, edge + row * size + 1, size - 2, size - 2, 'rx="6" class="hit"'),
    };
  });
  return { width: n * size + edge + 4, height: n * size + edge + 4, shapes, targets };
}

export function hex(position, agent) {
  const n = agent.settings.size, r = 300 / n, w = r * Math.sqrt(3);
  const at = (row, column) => [w * (0.5 + column + row / 2) + r, r * (1 + 1.5 * row) + r];
  const corners = (x, y, k) => [0, 1, 2, 3, 4, 5].map((i) => {
    const angle = Math.PI / 180 * (60 * i - 90);
    return `${(x + k * Math.cos(angle)).toFixed(1)},${(y + k * Math.sin(angle)).toFixed(1)}`;
  }).join(" ");
  const [left, top] = at(0, 0), [right, bottom] = at(n - 1, n - 1);
  const [farX, farY] = at(0, n - 1), [lowX, lowY] = at(n - 1, 0);
  let shapes = `<path d="M${left} ${top - r * 1.25}L${farX + w / 2} ${farY - r * 1.25}M${lowX - w / 2} ${lowY + r * 1.25}L${right} ${bottom + r * 1.25}" class="first-line" stroke-width="6" stroke-linecap="round"/>`;
  shapes += `<path d="M${left - w * 0.68} ${top}L${lowX - w * 0.68} ${lowY}M${farX + w * 0.68} ${farY}L${right + w * 0.68} ${bottom}" class="second-line" stroke-width="6" stroke-linecap="round"/>`;
  for (let cell = 0; cell < n * n; cell++) {
    const row = Math.floor(cell / n), column = cell % n, [x, y] = at(row, column);
    // Colours are sides here: after a swap a player has the other one.
    const [mine, theirs, first] = position.observation[row][column];
    const who = mine ? 1 - first : theirs ? first : null;
    shapes += `<polygon points="${corners(x, y, r * 0.97)}" class="wood grid-line"/>`;
    if (who !== null) shapes += stone(x, y, r * 0.62, who);
    if (cell === lastAction(position, false)) shapes += circle(x, y, r * 0.7, 'class="last"');
  }
  const targets = position.legal.filter(({ action }) => action < n * n).map(({ action }) => {
    const [x, y] = at(Math.floor(action / n), action % n);
    return { action, x, y, hit: `<polygon points="${corners(x, y, r * 0.9)}" class="hit"/>` };
  });
  return { width: right + w / 2 + r, height: bottom + 2 * r, shapes, targets };
}

export function nim(position, agent) {
  const heaps = agent.settings.heaps, now = position.fields.heaps, most = Math.max(...heaps), size = 46;
  const width = heaps.length * 120, height = most * size + 60;
  let shapes = "", before = 0;
  const targets = [];
  heaps.forEach((full, heap) => {
    const x = heap * 120 + 60;
    shapes += rect(x - 44, height - 34, 88, 8, 'rx="4" class="wood"');
    shapes += text(x, height - 8, `heap ${heap}: ${now[heap]}`, "small");
    for (let k = 0; k < now[heap]; k++) {
      const y = height - 34 - (k + 0.5) * size;
      shapes += rect(x - 36, y - 19, 72, 38, 'rx="19" class="first"');
      // A stone is taken with all that lie on it.
      const take = now[heap] - k;
      targets.push({ action: before + take - 1, x, y, hit: rect(x - 40, y - 22, 80, 44, 'rx="20" class="hit"') });
    }
    before += full;
  });
  return { width, height, shapes, targets };
}

export function game2048(position, agent) {
  const { rows, columns } = agent.settings, size = 92, edge = 44;
  const width = columns * size + 2 * edge, height = rows * size + 2 * edge;
  let shapes = rect(edge - 6, edge - 6, columns * size + 12, rows * size + 12, 'rx="12" class="wood"');
  position.fields.powers.forEach((power, cell) => {
    const x = edge + (cell % columns) * size, y = edge + Math.floor(cell / columns) * size;
    const shade = power ? `class="first" fill-opacity="${Math.min(1, 0.25 + power * 0.09)}"` : 'class="hole"';
    shapes += rect(x + 4, y + 4, size - 8, size - 8, `rx="10" ${shade}`);
    if (power) shapes += `<text x="${x + size / 2}" y="${y + size / 2 + 9}" text-anchor="middle" font-size="26">${2 ** power}</text>`;
  });
  const places = [[edge / 2 - 2, height / 2], [width / 2, edge / 2 - 2], [width - edge / 2 + 2, height / 2], [width / 2, height - edge / 2 + 2]];
  const targets = position.legal.map(({ action }) => {
    const [x, y] = places[action];
    shapes += `<text x="${x}" y="${y + 7}" text-anchor="middle" font-size="20">${"←↑→↓"[action]}</text>`;
    return { action, x, y, hit: circle(x, y, 19, 'class="hit"') };
  });
  return { width, height, shapes, targets };
}
