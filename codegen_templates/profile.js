const data = JSON.parse(document.getElementById("data").textContent);
const ROWS = ["run", "layer", "ONNX node", "operation", "activity"];
const SHOWN = 20; // rows of a table
const NAMED = 30, NARROW = 1; // pixels of a box that has its name on it, and of one that is drawn
const total = Math.max(1, data.parties[0].end, data.parties[1].end); // microseconds

function time(us) {
  return us >= 1e6 ? (us / 1e6).toFixed(2) + " s" : us >= 100 ? (us / 1e3).toFixed(us < 1e4 ? 2 : 1) + " ms" : us.toFixed(0) + " \u00b5s";
}
function percent(part, whole) { return (100 * part / (whole || 1)).toFixed(1) + " %"; }

/* Online time as a tree. A node's `split` has microseconds by activity; its key tells it from its siblings. */
function spanEnd(party, i) { return i + 1 < party.start.length ? party.start[i + 1] : party.end; }
function newNode(parent, key, label, about) {
  return { parent, key, label, about, depth: parent ? parent.depth + 1 : 0, children: new Map(), split: [0, 0, 0, 0], sent: 0, taken: 0 };
}
function child(parent, key, label, about) {
  if (!parent.children.has(key)) parent.children.set(key, newNode(parent, key, label, about));
  return parent.children.get(key);
}
function timeOf(node) { return node.split.reduce((sum, part) => sum + part, 0); }
function treeOf(party, index) {
  const root = newNode(null, "", "party " + index, "");
  data.layers.forEach((layer, place) => child(root, place, layer, ""));
  for (let i = 0; i < party.start.length; i++) {
    const [name, kind, source, rounds] = data.operations[party.operation[i]];
    const [model, nodes, layer] = data.sources[source];
    const activity = party.activity[i];
    const about = (rounds ? "; rounds: " + rounds : "") + (nodes ? "; ONNX: " + nodes : "");
    let node = child(root, layer);
    node = child(node, source, model, nodes ? "; ONNX: " + nodes : "");
    node = child(node, party.operation[i], kind + " %" + name, about);
    node = child(node, activity, data.activities[activity], about);
    for (; node; node = node.parent) {
      node.split[activity] += spanEnd(party, i) - party.start[i];
      if (data.activities[activity] === "send") node.sent += party.bytes[i];
      if (data.activities[activity] === "wait") node.taken += party.bytes[i];
    }
  }
  return root;
}
const trees = data.parties.map(treeOf);
const flames = [...document.querySelectorAll(".flame")];
let focusPath = [];

function drawFlames() { flames.forEach((_, party) => drawFlame(party)); }
function drawFlame(party) {
  const flame = flames[party], root = trees[party], width = flame.clientWidth;
  flame.replaceChildren();
  let focus = root;
  const above = [root];
  for (const key of focusPath) {
    if (!focus.children.has(key)) break;
    focus = focus.children.get(key);
    above.push(focus);
  }
  for (const node of above.slice(0, -1)) place(party, node, 0, width);
  const walk = (node, left, scale) => {
    place(party, node, left, timeOf(node) * scale);
    let rest = newNode(node, "rest", "", ""); // neighbours that are too narrow, drawn as one
    for (const next of node.children.values()) {
      const wide = timeOf(next) * scale;
      if (wide < NARROW) next.split.forEach((part, activity) => rest.split[activity] += part);
      const before = timeOf(rest) * scale;
      if (before && (wide >= NARROW || before >= NARROW)) {
        placeRest(party, rest, left - (wide < NARROW ? before - wide : before), before);
        rest = newNode(node, "rest", "", "");
      }
      if (wide >= NARROW) walk(next, left, scale);
      left += wide;
    }
  };
  walk(focus, 0, width / (timeOf(focus) || 1));
  flame.style.height = ROWS.length * rowHeight(flame) + "px";
  flame.firstChild.tabIndex = 0;
  describe(party, focus);
}
function rowHeight(flame) { return flame.firstChild ? flame.firstChild.offsetHeight : 30; }
function stripe(node) {
  let from = 0;
  const stops = node.split.map((part, activity) => {
    const start = from;
    from += 100 * part / (timeOf(node) || 1);
    return `var(--${data.activities[activity]}) ${start}% ${from}%`;
  });
  return `linear-gradient(to right, ${stops.join(", ")})`;
}
function place(party, node, left, width) {
  const leaf = node.depth === ROWS.length - 1, sum = timeOf(node);
  const box = make("div", "node" + (width < NAMED ? " thin" : "") + (leaf ? " leaf " + node.label : ""), width < NAMED ? "" : node.label);
  flames[party].append(box);
  box.style.left = left + "px";
  box.style.width = width + "px";
  box.style.top = node.depth * box.offsetHeight + "px";
  box.style.setProperty("--split", stripe(node));
  box.setAttribute("role", "treeitem");
  box.setAttribute("aria-level", node.depth + 1);
  box.setAttribute("aria-label", `${ROWS[node.depth]} ${node.label}, ${time(sum)}`);
  box.tabIndex = -1;
  box.node = node;
}
function placeRest(party, rest, left, width) {
  const box = make("div", "rest");
  flames[party].append(box);
  Object.assign(box.style, { left: left + "px", width: width + "px", top: rest.depth * rowHeight(flames[party]) + "px" });
  box.style.setProperty("--split", stripe(rest));
  box.node = rest.parent; // pressing it looks into the parent
}
function pathOf(node) { return node.parent ? [...pathOf(node.parent), node.key] : []; }
function describe(party, node) {
  const names = [];
  for (let n = node; n; n = n.parent) names.unshift(n.label);
  const parts = node.split.map((part, activity) => part ? `${data.activities[activity]} ${time(part)}` : "").filter(Boolean);
  const bytes = (node.sent ? `; sends ${size(node.sent)}` : "") + (node.taken ? `; takes ${size(node.taken)}` : "");
  tell(flames[party].nextElementSibling, names.join(" \u203a "),
    `${time(timeOf(node))}, ${percent(timeOf(node), data.parties[party].end)} of the party's online time (${parts.join(", ")})${bytes}${node.about || ""}`);
}
function look(party, node) {
  if (node.depth === ROWS.length - 1) return describe(party, node);
  focusPath = pathOf(node);
  drawFlames();
  const box = [...flames[party].querySelectorAll(".node")].find((b) => b.node === node);
  if (box) box.focus({ preventScroll: true });
}
function step(flame, box, key) {
  const boxes = [...flame.querySelectorAll(".node")];
  const row = boxes.filter((b) => b.node.depth === box.node.depth);
  const at = row.indexOf(box);
  if (key === "ArrowLeft") return row[at - 1];
  if (key === "ArrowRight") return row[at + 1];
  if (key === "ArrowUp") return boxes.find((b) => b.node === box.node.parent);
  return boxes.find((b) => b.node.parent === box.node);
}
flames.forEach((flame, party) => {
  flame.addEventListener("pointerover", (event) => event.target.node && describe(party, event.target.node));
  flame.addEventListener("focusin", (event) => event.target.node && describe(party, event.target.node));
  flame.addEventListener("click", (event) => event.target.node && look(party, event.target.node));
  flame.addEventListener("keydown", (event) => {
    const box = event.target;
    if (!box.node) return;
    if (event.key.startsWith("Arrow")) {
      const next = step(flame, box, event.key);
      if (next) {
        box.tabIndex = -1;
        next.tabIndex = 0;
        next.focus();
      }
    } else if (event.key === "Enter" || event.key === " ") look(party, box.node);
    else if (event.key === "Escape") {
      look(party, focusPath.slice(0, -1).reduce((node, part) => node.children.get(part) ?? node, trees[party]));
    } else return;
    event.preventDefault();
  });
});

/* The timeline: x in microseconds, party 0 from 10 to 45, messages between, party 1 from 75 to 110. */
const TRACKS = [10, 75], DEEP = 35, HEIGHT = 120;
const MOST_MESSAGES = 160, MOST_NUMBERS = 24, MOST_NAMES = 400; // drawn at one time
const timeline = document.querySelector(".timeline");
const axis = timeline.nextElementSibling, told = axis.nextElementSibling;
const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
svg.setAttribute("preserveAspectRatio", "none");
const view = { start: 0, width: total };

function addPath(className) {
  const group = document.createElementNS(svg.namespaceURI, "g");
  group.setAttribute("class", className);
  group.append(document.createElementNS(svg.namespaceURI, "path"));
  svg.append(group);
  return group.firstChild;
}
data.parties.forEach((party, index) => {
  data.activities.forEach((name, activity) => {
    let path = "";
    for (let i = 0; i < party.start.length; i++) {
      if (party.activity[i] !== activity) continue;
      const start = party.start[i];
      while (i + 1 < party.start.length && party.activity[i + 1] === activity) i++;
      const width = spanEnd(party, i) - start;
      if (width) path += `M${start} ${TRACKS[index]}h${width}v${DEEP}h${-width}z`;
    }
    addPath("track " + name).setAttribute("d", path);
  });
});
const edges = addPath(""), messages = addPath("");
edges.setAttribute("class", "edges");
messages.setAttribute("class", "messages");
timeline.append(svg);

/* For each tick and sender: [end of the sending, end of the wait for it, the tick]. */
function messageLines() {
  const lines = [];
  for (const sender of [0, 1]) {
    const ends = ["send", "wait"].map((name, side) => {
      const party = data.parties[side ? 1 - sender : sender], result = new Map();
      party.tick.forEach((tick, i) => {
        if (data.activities[party.activity[i]] === name) result.set(tick, spanEnd(party, i));
      });
      return result;
    });
    for (const [tick, sent] of ends[0]) lines.push([sender, sent, ends[1].get(tick) ?? sent, tick]);
  }
  return lines;
}
const lines = messageLines();

/* Where each layer sends or takes its first message, at party 1. */
function layerStarts() {
  const party = data.parties[1], starts = new Map();
  party.start.forEach((start, i) => {
    const layer = data.sources[data.operations[party.operation[i]][2]][2];
    if (party.tick[i] >= 0 && !starts.has(layer)) starts.set(layer, start);
  });
  return [...starts].sort((a, b) => a[1] - b[1]);
}
const starts = layerStarts();

function spanAt(party, at) { // the span in which a time lies
  let low = 0, high = party.start.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (party.start[middle] <= at) low = middle; else high = middle - 1;
  }
  return low;
}
function drawTimeline() {
  view.width = Math.min(total, Math.max(20, view.width));
  view.start = Math.min(total - view.width, Math.max(0, view.start));
  const end = view.start + view.width, pixels = timeline.clientWidth / view.width;
  svg.setAttribute("viewBox", `${view.start} 0 ${view.width} ${HEIGHT}`);
  timeline.querySelectorAll("span").forEach((element) => element.remove());
  let last = -Infinity;
  for (const [layer, start] of starts) {
    const x = (start - view.start) * pixels;
    if (x < Math.max(0, last) || start > end) continue;
    last = x + label("mark", x, 0, data.layers[layer]).offsetWidth;
  }
  let path = "";
  data.parties.forEach((party, index) => {
    const y = svg.clientHeight * TRACKS[index] / HEIGHT, deep = svg.clientHeight * DEEP / HEIGHT;
    label("who", 4, index ? y - 20 : y + deep + 2, "party " + index);
    const first = spanAt(party, view.start);
    let after = first;
    while (after < party.start.length && party.start[after] < end) after++;
    if (after - first > MOST_NAMES) return;
    for (let i = first; i < after; i++) {
      const x = Math.max(0, (party.start[i] - view.start) * pixels);
      const wide = Math.min(timeline.clientWidth, (spanEnd(party, i) - view.start) * pixels) - x;
      if (wide > 3) path += `M${party.start[i]} ${TRACKS[index]}v${DEEP}`;
      if (wide < NAMED) continue;
      const text = label("name", x, y, data.operations[party.operation[i]][1]);
      text.style.width = wide + "px";
      text.style.lineHeight = deep + "px";
    }
  });
  edges.setAttribute("d", path);
  const visible = lines.filter(([, sent, taken]) => taken >= view.start && sent <= end);
  if (visible.length <= MOST_NUMBERS) {
    for (const [, sent, , tick] of visible) {
      if (sent >= view.start) label("number", (sent - view.start) * pixels, svg.clientHeight / 2 - 9, tick + 1);
    }
  }
  messages.setAttribute("d", visible.length > MOST_MESSAGES ? "" : visible.map(([sender, sent, taken]) =>
    `M${sent} ${sender ? TRACKS[1] : TRACKS[0] + DEEP}L${taken} ${sender ? TRACKS[0] + DEEP : TRACKS[1]}`).join(""));
  axis.replaceChildren(...[0, 0.25, 0.5, 0.75, 1].map((part) => make("span", "", ((view.start + part * view.width) / 1e3).toFixed(1) + " ms")));
}
function label(className, x, y, text) {
  const element = make("span", className, text);
  element.style.left = x + "px";
  element.style.top = y + "px";
  timeline.append(element);
  return element;
}
function zoom(factor, at) { // 0: the whole run
  const fixed = view.start + at * view.width;
  view.width = factor ? view.width / factor : total;
  view.width = Math.min(total, Math.max(20, view.width));
  view.start = fixed - at * view.width;
  drawTimeline();
}
function move(part) {
  view.start += part * view.width;
  drawTimeline();
}
function inspect(event) {
  const box = timeline.getBoundingClientRect();
  const at = view.start + view.width * (event.clientX - box.left) / box.width;
  const index = event.clientY - box.top < box.height / 2 ? 0 : 1, party = data.parties[index];
  if (at < 0 || at > party.end) return;
  const i = spanAt(party, at);
  const [name, kind, source] = data.operations[party.operation[i]], [model, nodes, layer] = data.sources[source];
  const message = party.tick[i] < 0 ? "" : `; ${size(party.bytes[i])} in round ${party.tick[i] + 1}`;
  tell(told, `party ${index}, ${time(at)}`,
    `${data.activities[party.activity[i]]} for ${time(spanEnd(party, i) - party.start[i])}: ${kind} %${name} of ${model}, ${data.layers[layer]}${message}${nodes ? "; ONNX: " + nodes : ""}`);
}
document.querySelectorAll("[data-zoom]").forEach((b) => b.addEventListener("click", () => zoom(Number(b.dataset.zoom), 0.5)));
document.querySelectorAll("[data-move]").forEach((b) => b.addEventListener("click", () => move(Number(b.dataset.move))));
timeline.addEventListener("keydown", (event) => {
  const act = { "+": () => zoom(2, 0.5), "=": () => zoom(2, 0.5), "-": () => zoom(0.5, 0.5), ArrowLeft: () => move(-0.25), ArrowRight: () => move(0.25), Home: () => zoom(0, 0) }[event.key];
  if (!act) return;
  act();
  event.preventDefault();
});
timeline.addEventListener("wheel", (event) => {
  if (!event.ctrlKey) return;
  event.preventDefault();
  const box = timeline.getBoundingClientRect();
  zoom(event.deltaY < 0 ? 1.25 : 0.8, (event.clientX - box.left) / box.width);
}, { passive: false });
const pointers = new Map(); // one drags, two pinch
timeline.addEventListener("pointerdown", (event) => {
  pointers.set(event.pointerId, event.clientX);
  timeline.setPointerCapture(event.pointerId);
  inspect(event);
});
timeline.addEventListener("pointermove", (event) => {
  const before = pointers.get(event.pointerId);
  if (before === undefined) return inspect(event);
  const others = [...pointers].filter(([id]) => id !== event.pointerId);
  pointers.set(event.pointerId, event.clientX);
  const box = timeline.getBoundingClientRect();
  if (others.length) {
    const other = others[0][1], apart = Math.abs(event.clientX - other) / Math.max(8, Math.abs(before - other));
    zoom(apart || 1, (other - box.left) / box.width);
  } else move((before - event.clientX) / box.width);
});
for (const name of ["pointerup", "pointercancel"]) timeline.addEventListener(name, (event) => pointers.delete(event.pointerId));
timeline.addEventListener("dblclick", (event) => {
  const box = timeline.getBoundingClientRect();
  zoom(3, (event.clientX - box.left) / box.width);
});

/* Sortable tables: a column is [title, value of a row, how it is shown, class]; the first is a name. */
const shownTime = (us) => us ? time(us) : "\u2013", shownSize = (bytes) => bytes ? size(bytes) : "\u2013", shownCount = (n) => n || "\u2013";
function numbers(first) { // work, standstill, bytes, each of both parties
  return [["Work 0", shownTime], ["Work 1", shownTime], ["Standstill 0", shownTime], ["Standstill 1", shownTime]].map(
    ([title, show], i) => [title, (row) => row[first + i], show, "n"]);
}
const TABLES = {
  operations: {
    rows: data.operations, sort: 3,
    columns: [
      ["Operation", (row) => row[1] + " %" + row[0], String, "name"],
      ["Layer", (row) => data.layers[data.sources[row[2]][2]], String, "wide"],
      ["ONNX node", (row) => data.sources[row[2]][1], String, "name wide"],
      ["Together", (row) => row[6] + row[7] + row[8] + row[9], shownTime, "n"],
      ...numbers(6),
      ["Sent by 0", (row) => row[4], shownSize, "n"], ["Sent by 1", (row) => row[5], shownSize, "n"],
      ["Rounds", (row) => row[3], shownCount, "n"],
    ],
  },
  kinds: { rows: data.rows.kinds, sort: 2, columns: rowColumns("Kind") },
  layers: { rows: data.rows.layers, columns: rowColumns("Layer") },
};
function rowColumns(title) {
  return [
    [title, (row) => row[0], String, "name"], ["Operations", (row) => row[1], shownCount, "n wide"],
    ["Together", (row) => row[2] + row[3] + row[4] + row[5], shownTime, "n"],
    ["Share", (row) => (row[2] + row[3] + row[4] + row[5]) / (data.parties[0].end + data.parties[1].end || 1), (part) => percent(part, 1), "n"],
    ...numbers(2),
    ["Sent by 0", (row) => row[6], shownSize, "n"], ["Sent by 1", (row) => row[7], shownSize, "n"],
    ["Rounds", (row) => row[8], shownCount, "n"],
  ];
}
function drawTable(element, table) {
  const { rows, columns, sort, ascending } = table;
  const head = make("tr");
  columns.forEach(([title, , , className], place) => {
    const cell = make("th", className), button = make("button", "", title);
    button.type = "button";
    button.addEventListener("click", () => {
      table.ascending = place === table.sort ? !table.ascending : !className.startsWith("n ") && className !== "n";
      table.sort = place;
      drawTable(element, table);
      element.querySelectorAll("th button")[place].focus();
    });
    if (place === sort) cell.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    cell.append(button);
    head.append(cell);
  });
  const value = sort === undefined ? undefined : columns[sort][1];
  const sorted = value ? [...rows].sort((a, b) => (value(a) < value(b) ? -1 : value(a) > value(b) ? 1 : 0) * (ascending ? 1 : -1)) : rows;
  const body = sorted.slice(0, SHOWN).map((row) => {
    const line = make("tr");
    for (const [, get, show, className] of columns) line.append(make("td", className, show(get(row))));
    return line;
  });
  element.replaceChildren(head, ...body);
}
for (const element of document.querySelectorAll("[data-table]")) drawTable(element, TABLES[element.dataset.table]);

function draw() {
  drawFlames();
  drawTimeline();
}
let drawnWidth = 0;
new ResizeObserver(() => {
  if (timeline.clientWidth === drawnWidth || !timeline.clientWidth) return;
  drawnWidth = timeline.clientWidth;
  draw();
}).observe(timeline);
