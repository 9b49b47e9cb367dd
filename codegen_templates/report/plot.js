/* A plot of lines over numbered places or arguments, drawn in pixels: its text keeps its size on a phone. */
const SVG = "http://www.w3.org/2000/svg";
const PLOT = { left: 64, right: 8, top: 8, bottom: 20 };
function draw(parent, tag, attributes, text) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes || {})) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  parent.append(element);
  return element;
}
function number(value) { // 0.0123, 1.2e-7, 1,234
  const size = Math.abs(value);
  if (size >= 1e5 || (size < 1e-3 && size > 0)) return value.toExponential(1).replace(/\.0e/, "e").replace("e+", "e");
  return String(Number(value.toPrecision(3)));
}
function ticks(axis) {
  if (axis.logarithmic) {
    const first = Math.ceil(Math.log10(axis.low) - 1e-9), last = Math.floor(Math.log10(axis.high) + 1e-9);
    const step = Math.max(1, Math.ceil((last - first) / (axis.most || 5)));
    const found = [];
    for (let power = first; power <= last; power += step) found.push(10 ** power);
    if (found.length > 1) return found;
    return [1, 2, 5].flatMap((digit) => [-1, 0, 1].map((shift) => digit * 10 ** (first + shift))).filter((t) => t >= axis.low && t <= axis.high).sort((a, b) => a - b);
  }
  const width = axis.high - axis.low, rough = width / (axis.most || 5), power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
  const found = [];
  for (let tick = Math.ceil(axis.low / step - 1e-9) * step; tick <= axis.high + 1e-9 * width; tick += step) found.push(Math.abs(tick) < step / 1e6 ? 0 : tick);
  return found;
}
function along(axis, value) { // 0 to 1
  if (axis.logarithmic) return (Math.log10(Math.max(value, axis.low / 1e6)) - Math.log10(axis.low)) / (Math.log10(axis.high) - Math.log10(axis.low));
  return (value - axis.low) / (axis.high - axis.low);
}
/* spec: {height, label, x, y: {low, high, logarithmic, ticks, name}, xs, lines: [{className, ys, points}],
   bands: [[from, to]], edges: [x], bounds: [y], tell: (index) => text}. The cursor stands at one of xs. */
function plot(host, spec) {
  host.classList.add("plot");
  if (spec.tell) {
    host.tabIndex = 0;
    host.setAttribute("role", "application");
    host.setAttribute("aria-label", spec.label + "; arrows move the cursor");
  }
  let at = -1, cursor = null, places = [];
  function paint() {
    const width = Math.max(120, host.clientWidth), height = spec.height;
    const across = width - PLOT.left - PLOT.right, deep = height - PLOT.top - PLOT.bottom;
    const x = (value) => PLOT.left + across * along(spec.x, value);
    const y = (value) => PLOT.top + deep * (1 - Math.min(1.5, Math.max(-0.5, along(spec.y, value))));
    host.replaceChildren();
    const svg = draw(host, "svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img", "aria-label": spec.label });
    const clip = "clip" + (plot.count = (plot.count || 0) + 1);
    draw(draw(draw(svg, "defs"), "clipPath", { id: clip }), "rect", { x: PLOT.left, y: PLOT.top - 2, width: across, height: deep + 4 });
    for (const [from, to] of spec.bands || []) draw(svg, "rect", { class: "band", x: x(from), y: PLOT.top, width: Math.max(0, x(to) - x(from)), height: deep });
    for (const tick of spec.y.ticks || ticks(spec.y)) {
      draw(svg, "line", { class: "grid", x1: PLOT.left, x2: width - PLOT.right, y1: y(tick), y2: y(tick) });
      draw(svg, "text", { x: PLOT.left - 6, y: y(tick) + 4, "text-anchor": "end" }, number(tick));
    }
    const shown = spec.x.ticks || ticks({ ...spec.x, most: Math.max(2, Math.floor(across / 52)) });
    const labels = shown.map((tick) => {
      const text = spec.x.name ? spec.x.name(tick) : number(tick), half = text.length * 3.9;
      return { tick, text, half, middle: Math.min(width - half, Math.max(PLOT.left + (spec.x.name ? half : 0), x(tick))) };
    });
    const last = labels[labels.length - 1]; // is there in any case; others where there is room
    let free = 0;
    for (const label of labels) {
      draw(svg, "line", { class: "grid", x1: x(label.tick), x2: x(label.tick), y1: PLOT.top + deep, y2: PLOT.top + deep + 4 });
      if (label.middle - label.half < free || (label !== last && label.middle + label.half + 8 > last.middle - last.half)) continue;
      free = label.middle + label.half + 8;
      draw(svg, "text", { x: label.middle, y: height - 4, "text-anchor": "middle" }, label.text);
    }
    const inside = draw(svg, "g", { "clip-path": `url(#${clip})` });
    for (const edge of spec.edges || []) draw(inside, "line", { class: "edge", x1: x(edge), x2: x(edge), y1: PLOT.top, y2: PLOT.top + deep });
    for (const bound of spec.bounds || []) draw(inside, "line", { class: "bound", x1: PLOT.left, x2: width - PLOT.right, y1: y(bound), y2: y(bound) });
    places = spec.xs.map(x);
    for (const line of spec.lines) {
      const points = line.ys.map((value, i) => [places[i], y(value)]);
      draw(inside, "polyline", { class: "curve " + line.className, points: points.map(([a, b]) => a.toFixed(1) + "," + b.toFixed(1)).join(" ") });
      if (line.points) for (const [a, b] of points) draw(inside, "circle", { class: "point " + line.className, cx: a.toFixed(1), cy: b.toFixed(1), r: 3 });
    }
    if (spec.extra) spec.extra(svg, x, PLOT.top, deep);
    cursor = draw(svg, "line", { class: "cursor", x1: 0, x2: 0, y1: PLOT.top, y2: PLOT.top + deep, visibility: "hidden" });
    if (at >= 0) show(at); // where it stood before
  }
  function show(index) {
    at = Math.min(spec.xs.length - 1, Math.max(0, index));
    spec.tell(at);
    if (!cursor) return; // not drawn yet
    cursor.setAttribute("x1", places[at]);
    cursor.setAttribute("x2", places[at]);
    cursor.setAttribute("visibility", "visible");
  }
  if (spec.tell) {
    const nearest = (event) => {
      const left = event.clientX - host.getBoundingClientRect().left;
      show(places.reduce((best, place, i) => Math.abs(place - left) < Math.abs(places[best] - left) ? i : best, 0));
    };
    host.addEventListener("pointermove", nearest);
    host.addEventListener("pointerdown", nearest);
    host.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 }[event.key];
      const to = event.key === "Home" ? 0 : event.key === "End" ? places.length - 1 : step && Math.max(0, at) + step;
      if (to === undefined) return;
      show(to);
      event.preventDefault();
    });
  }
  let drawn = 0;
  new ResizeObserver(() => {
    if (host.clientWidth === drawn || !host.clientWidth) return;
    drawn = host.clientWidth;
    paint();
  }).observe(host);
  host.show = show;
}
