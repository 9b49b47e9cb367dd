/* The model: layers, the operations of the open layer, and what the open operation became. */
const panes = Object.fromEntries(["layers", "operations", "details"].map((name) => [name, document.getElementById("pane-" + name)]));
const sitesOf = new Map(), mixtureOf = new Map(), errorOf = new Map();
(report.approximations ? report.approximations.sites : []).forEach((site, i) => sitesOf.set(site.operation, [...(sitesOf.get(site.operation) || []), i]));
(report.experts ? report.experts.layers : []).forEach((layer) => mixtureOf.set(layer.operation, layer));
(report.errors ? report.errors.operations : []).forEach((error) => errorOf.set(error.operation, error));
let openLayer = -1, openOperation = -1, folded = true, protocolsOpen = false;

function online(entry) { return entry.bytes[0] + entry.bytes[1]; }
function sent(entry) { return online(entry) ? size(online(entry)) : "local"; }
function sizes(bytes) { return `${size(bytes[0])} from party 0, ${size(bytes[1])} from party 1`; }
function times(count, what) { return `${count} ${what}${count === 1 ? "" : "s"}`; }
function shape(dimensions) { return "[" + dimensions.join(", ") + "]"; }
function named(layers) {
  const [first, last] = [layers[0], layers[layers.length - 1]].map((i) => report.layers[i].label);
  return layers.length === 1 ? first : layers.length === 2 ? `${first}, ${last}` : `${first} to ${last}`;
}
function box(tag, title, note, className) {
  const element = make(tag, "box " + (className || ""));
  if (tag === "button") element.type = "button";
  element.append(make("b", "", title));
  if (note) element.append(make("span", "", note));
  element.title = note ? `${title}: ${note}` : title;
  return element;
}
/* A stripe as long as the bytes, in both parties' colours. */
function weigh(element, bytes, most) {
  const stripe = make("div", "weight");
  bytes.forEach((part, party) => {
    const bar = make("i", "party" + party);
    bar.style.width = 100 * part / (most || 1) + "%";
    stripe.append(bar);
  });
  stripe.style.width = "100%";
  element.append(stripe);
}

function drawLayers() {
  const graph = report.graph.layers[folded ? "folded" : "whole"];
  const most = Math.max(...report.layers.map(online));
  drawGraph(panes.layers.querySelector(".graph"), graph, (node) => {
    const entries = node.layers.map((i) => report.layers[i]);
    const single = entries.length === 1, bytes = entries.map(online);
    const low = size(Math.min(...bytes)), high = size(Math.max(...bytes));
    const cost = single ? `${sent(entries[0])}, ${times(entries[0].rounds, "round")}` : `${entries.length} equal layers, ${low === high ? low : low + " to " + high} each`;
    const element = box("button", named(node.layers), cost, single ? "" : "folded");
    weigh(element, entries[0].bytes, most);
    element.layers = node.layers;
    element.addEventListener("click", () => {
      if (!single) unfold(false);
      enter(node.layers[0]);
    });
    return element;
  });
  markLayers();
}
function markLayers() {
  const host = panes.layers.querySelector(".graph");
  for (const element of host.boxes) {
    const current = element.layers.includes(openLayer);
    element.setAttribute("aria-current", current);
    element.setAttribute("aria-expanded", current);
  }
  host.paint();
}
const foldButton = document.getElementById("fold");
function unfold(fold) {
  folded = fold;
  foldButton.textContent = folded ? "Show every layer" : "Fold equal layers";
  foldButton.setAttribute("aria-pressed", !folded);
  drawLayers();
}
foldButton.addEventListener("click", () => unfold(!folded));
foldButton.hidden = report.graph.layers.folded.nodes.length === report.graph.layers.whole.nodes.length;

function enter(layer, operation) {
  openLayer = layer;
  const graph = report.graph.operations[layer], inside = report.operations.filter((o) => o.layer === layer);
  const most = Math.max(...inside.map(online));
  panes.operations.querySelector("h3").textContent = report.layers[layer].label;
  drawGraph(panes.operations.querySelector(".graph"), graph, (node) => {
    if (node.operation === undefined) {
      if (node.output !== undefined) return box("div", "output " + node.output, "", "stub");
      const layers = node.from || node.to;
      const stub = box("button", (node.from ? "from " : "to ") + (layers.length > 2 ? layers.length + " layers" : named(layers)), "", "stub");
      stub.title = layers.map((i) => report.layers[i].label).join(", ");
      stub.addEventListener("click", () => { unfoldTo(layers[0]); enter(layers[0]); focusCurrent(panes.layers); });
      return stub;
    }
    const entry = report.operations[node.operation];
    const element = box("button", (sitesOf.has(node.operation) ? "\u2248 " : "") + (entry.kind === "input" ? "input " + entry.name.replace(/^local\./, "") : entry.kind), sent(entry));
    weigh(element, entry.bytes, most);
    element.operation = node.operation;
    element.addEventListener("click", () => look(node.operation, true));
    return element;
  });
  markLayers();
  const first = graph.nodes.map((n) => n.operation).filter((i) => i !== undefined);
  const heaviest = first.reduce((best, i) => online(report.operations[i]) > online(report.operations[best]) ? i : best, first[0]);
  if (operation === undefined) operation = first.find((i) => report.operations[i].kind === "softmax");
  look(operation === undefined ? heaviest : operation);
}
function unfoldTo(layer) {
  const shown = report.graph.layers.folded.nodes.some((node) => node.layers.length === 1 && node.layers[0] === layer);
  if (folded && !shown) unfold(false);
}
function focusCurrent(pane) {
  const current = pane.querySelector("[aria-current=true]");
  if (current) current.focus({ preventScroll: true });
}
/* Below each other, a pane that opens comes into view. */
function reveal(pane) {
  if (pane.getBoundingClientRect().left < panes.layers.getBoundingClientRect().right) pane.scrollIntoView({ block: "start" });
}

function look(operation, pressed) {
  openOperation = operation;
  const host = panes.operations.querySelector(".graph");
  host.boxes.forEach((element) => element.operation !== undefined && element.setAttribute("aria-current", element.operation === operation));
  host.paint();
  panes.details.replaceChildren(...(operation === undefined ? [] : details(operation)));
  panes.details.querySelectorAll(".graph").forEach((graph) => graph.paint());
  if (pressed) reveal(panes.details);
}
function facts(pairs) {
  const list = make("dl");
  for (const [name, value] of pairs) {
    if (value === "" || value === undefined) continue;
    const shown = make("dd");
    shown.append(...(Array.isArray(value) ? value : [value]));
    list.append(make("dt", "", name), shown);
  }
  return list;
}
function details(operation) {
  const entry = report.operations[operation], error = errorOf.get(operation);
  const parts = [make("h3", "", `${report.layers[entry.layer].label} \u203a ${entry.kind}`)];
  parts.push(facts([
    ["Result", shape(entry.shape)],
    ["ONNX", entry.onnx_nodes.flatMap((node, i) => [i ? ", " : "", make("code", "", node)])],
    ["Online", online(entry) ? sizes(entry.bytes) : "nothing is sent"],
    ["Rounds", entry.rounds ? String(entry.rounds) : ""],
    [report.two_party ? "Offline" : "Dealt", entry.offline_bytes ? size(entry.offline_bytes) : ""],
    ["Products", entry.multiplications ? entry.multiplications.toLocaleString("en") : ""],
    ["Error", error ? `${number(error.max)} secure, ${number(error.approximated)} without rounding` : ""],
    ...(sitesOf.get(operation) || []).map((place) => ["Computed by", chosenLink(place)]),
  ]));
  const mixture = mixtureOf.get(operation);
  if (mixture) {
    const host = make("div");
    parts.push(make("h4", "", `${mixture.experts} experts, top ${mixture.top_k}, computed by ${mixture.chosen.name}`), host);
    drawGraph(host, mixture.parts, (node) => node.kind ? box("div", node.kind, shape(node.shape)) : box("div", "from " + node.reads, "", "stub"));
  }
  parts.push(protocolTable(entry));
  return parts;
}
function chosenLink(place) {
  const site = report.approximations.sites[place], button = make("button", "", `\u2248 ${site.name}`);
  button.type = "button";
  button.addEventListener("click", () => showApproximation(place));
  return [button, make("div", "soft", `${site.kind}: rms error ${number(site.rms_error)}` + (site.runner_up ? `; ${site.runner_up.name} lost: ${site.runner_up.why_not}` : ""))];
}
function protocolTable(entry) {
  const list = make("details"), table = make("table", "small"), head = make("tr");
  const operations = entry.share_operations.map((i) => report.share_operations[i]);
  list.append(make("summary", "", operations.length === 1 ? "The protocol operation it became" : `The ${operations.length} protocol operations it became`));
  for (const [title, className] of [["Operation", ""], ["Round", "n"], ["Online", "n"], ["Offline", "n"]]) head.append(make("th", className, title));
  table.append(head);
  for (const o of operations) {
    const row = make("tr"), first = make("td", "name");
    first.append(make("div", "", `${o.kind} %${o.name}`), make("div", "soft", `${o.sharing.replace("_", " ")}${o.ring > 1 ? `, ${o.ring} bits, ${o.fraction} fraction` : ""}, ${shape(o.shape)}`));
    const rounds = o.rounds === 0 ? "\u2013" : o.rounds === 1 ? String(o.round + 1) : `${o.round + 1}\u2013${o.round + o.rounds}`;
    row.append(first, make("td", "n", rounds), make("td", "n", online(o) ? size(online(o)) : "\u2013"), make("td", "n", o.offline_bytes ? size(o.offline_bytes) : "\u2013"));
    table.append(row);
  }
  const frame = make("div", "scroll tall");
  frame.tabIndex = 0;
  frame.setAttribute("role", "region");
  frame.setAttribute("aria-label", "Protocol operations");
  frame.append(table);
  list.append(frame);
  list.open = protocolsOpen;
  list.addEventListener("toggle", () => { protocolsOpen = list.open; });
  return list;
}
walkable(panes.layers);
walkable(panes.operations, () => focusCurrent(panes.layers));
panes.details.addEventListener("keydown", (event) => { if (event.key === "Escape") focusCurrent(panes.operations); });
panes.layers.addEventListener("click", (event) => event.target.closest(".box") && reveal(panes.operations));
drawLayers();
const shownFirst = report.operations.find((o) => o.kind === "softmax") || report.operations.reduce((a, b) => online(b) > online(a) ? b : a);
enter(shownFirst.layer, report.operations.indexOf(shownFirst));
