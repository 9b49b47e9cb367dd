/* A graph in rows of boxes from the top down; long edges run in lanes on the right. */
const LANE = 9, CORNER = 5;
const graphs = new ResizeObserver((entries) => entries.forEach(({ target }) => target.paint()));
/* `face` makes the box of a node. Returns the boxes. */
function drawGraph(host, graph, face) {
  host.replaceChildren();
  host.classList.add("graph");
  host.style.paddingRight = graph.lanes ? graph.lanes * LANE + 6 + "px" : "";
  const lines = draw(host, "svg", { class: "lines", "aria-hidden": "true" }), boxes = [];
  graph.rows.forEach((row) => {
    const element = make("div", "row");
    for (const node of row) element.append(boxes[node] = face(graph.nodes[node], node));
    host.append(element);
  });
  host.boxes = boxes;
  host.paint = () => paintEdges(host, lines, graph, boxes);
  graphs.observe(host);
  host.paint();
  return boxes;
}
function paintEdges(host, lines, graph, boxes) {
  lines.replaceChildren();
  const base = host.getBoundingClientRect();
  const at = (box) => {
    const { left, right, top, bottom } = box.getBoundingClientRect();
    return { left: left - base.left, right: right - base.left, top: top - base.top, bottom: bottom - base.top };
  };
  const inner = host.clientWidth - (graph.lanes ? graph.lanes * LANE + 6 : 0);
  for (const [from, to, lane] of graph.edges) {
    const a = at(boxes[from]), b = at(boxes[to]);
    const active = [boxes[from], boxes[to]].some((box) => box.getAttribute("aria-current") === "true") ? " active" : "";
    const part = lane < 0 ? 0.5 : 0.78, end = b.top - 1;
    const x1 = a.left + part * (a.right - a.left), x2 = b.left + part * (b.right - b.left);
    if (lane < 0) {
      const middle = (a.bottom + end) / 2;
      draw(lines, "path", { class: active, d: `M${x1} ${a.bottom}C${x1} ${middle} ${x2} ${middle} ${x2} ${end}` });
    } else {
      const side = inner + (lane + 0.5) * LANE + 3, out = a.bottom + 7 + lane, back = b.top - 10 - lane, r = CORNER;
      draw(lines, "path", { class: "long" + active, d: `M${x1} ${a.bottom}V${out - r}Q${x1} ${out} ${x1 + r} ${out}H${side - r}Q${side} ${out} ${side} ${out + r}V${back - r}Q${side} ${back} ${side - r} ${back}H${x2 + r}Q${x2} ${back} ${x2} ${back + r}V${end}` });
    }
    draw(lines, "path", { class: "tip" + (lane < 0 ? "" : " long") + active, d: `M${x2} ${end + 1}l-3.5 -6h7z` });
  }
}
/* Arrows move between boxes; Escape calls `back`. */
function walkable(host, back) {
  host.addEventListener("keydown", (event) => {
    const box = event.target.closest(".box");
    if (event.key === "Escape" && back) return back();
    if (!box || !event.key.startsWith("Arrow")) return;
    const rows = [...host.querySelectorAll(".row")].map((row) => [...row.querySelectorAll("button.box")]).filter((row) => row.length);
    const row = rows.findIndex((r) => r.includes(box)), place = rows[row].indexOf(box);
    const next = { ArrowUp: rows[row - 1], ArrowDown: rows[row + 1] }[event.key];
    const target = event.key === "ArrowLeft" ? rows[row][place - 1] : event.key === "ArrowRight" ? rows[row][place + 1] : next && next[Math.min(place, next.length - 1)];
    if (target) target.focus();
    event.preventDefault();
  });
}
