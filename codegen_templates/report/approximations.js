/* The chosen approximations: their curves beside the exact functions. */
const EXTRA = 0.12; // of the functions' height, above and below
function xsOf(curve) {
  const count = curve.exact.length;
  return curve.exact.map((_, i) => curve.logarithmic ? curve.low * (curve.high / curve.low) ** (i / (count - 1)) : curve.low + (curve.high - curve.low) * i / (count - 1));
}
function figure(curve) {
  const element = make("figure"), above = make("div"), below = make("div"), told = make("div", "told soft");
  element.append(make("figcaption", "", curve.title), above, make("div", "axis-name", curve.logarithmic ? "relative error" : "error"), below, make("div", "axis-name", curve.argument), told);
  const xs = xsOf(curve), errors = curve.error.map(Math.abs);
  const ys = curve.exact.map((value, i) => curve.logarithmic ? value * (1 + curve.error[i]) : value + curve.error[i]);
  const inside = (x) => x >= curve.domain[0] && x <= curve.domain[1];
  const seen = curve.exact.filter((value, i) => inside(xs[i]) && Number.isFinite(value));
  const least = Math.min(...seen), most = Math.max(...seen), room = (most - least || 1) * EXTRA;
  const bands = [curve.calibrated.map((x) => Math.min(curve.high, Math.max(curve.low, x)))];
  const edges = curve.domain.filter((x) => x > curve.low && x < curve.high);
  const x = { low: curve.low, high: curve.high, logarithmic: curve.logarithmic };
  const show = (i, where) => {
    tell(told, (where || "") + `x = ${number(xs[i])}`, `exact ${number(curve.exact[i])}, approximated ${number(ys[i])}, ${curve.logarithmic ? "relative " : ""}error ${number(curve.error[i])}${inside(xs[i]) ? "" : ", outside the domain"}`);
  };
  plot(above, {
    height: 190, label: `${curve.title}: exact and approximated`, x, bands, edges, xs, tell: (i) => show(i),
    y: curve.logarithmic ? { low: least / 2, high: most * 2, logarithmic: true, most: 4 } : { low: least - room, high: most + room },
    lines: [{ className: "under party1", ys: curve.exact }, { className: "party0", ys }],
  });
  const positive = errors.filter((e, i) => e > 0 && inside(xs[i]));
  const top = Math.max(curve.bound, ...positive, 1e-12), floor = 10 ** Math.max(Math.floor(Math.log10(top)) - 5, Math.floor(Math.log10(Math.min(...positive, top))));
  plot(below, {
    height: 130, label: `${curve.title}: error`, x, bands, edges, xs, tell: (i) => show(i), bounds: curve.bound ? [curve.bound] : [],
    y: { low: floor, high: 10 ** Math.ceil(Math.log10(top) + 0.3), logarithmic: true, most: 3 },
    lines: [{ className: "dealt", ys: errors.map((e) => Math.max(e, floor / 10)) }],
  });
  const met = xs.map((_, i) => i).filter((i) => inside(xs[i]) && xs[i] >= curve.calibrated[0] && xs[i] <= curve.calibrated[1]);
  if (met.length) {
    const largest = met.reduce((worst, i) => errors[i] > errors[worst] ? i : worst);
    show(largest, errors[largest] > 0 ? "Largest error in calibration, " : "Exact in calibration; at ");
  }
  return element;
}
function drawCard(card) {
  const element = document.getElementById("card-" + card), select = element.querySelector("select");
  const variant = report.approximations.cards[card].variants[select ? select.selectedIndex : 0];
  element.classList.add(variant.curves.length > 1 ? "several" : "single");
  element.querySelector(".curves").replaceChildren(...variant.curves.map(figure));
  element.querySelectorAll("[data-variant]").forEach((part) => { part.hidden = Number(part.dataset.variant) !== (select ? select.selectedIndex : 0); });
}
/* Goes to what computes a site. */
function showApproximation(place) {
  const card = report.approximations.cards.findIndex((c) => c.variants.some((v) => v.sites.includes(place)));
  const element = document.getElementById("card-" + card), select = element.querySelector("select");
  if (select) {
    select.selectedIndex = report.approximations.cards[card].variants.findIndex((v) => v.sites.includes(place));
    drawCard(card);
  }
  element.scrollIntoView({ block: "start" });
  element.focus({ preventScroll: true });
}
(report.approximations ? report.approximations.cards : []).forEach((_, card) => {
  const select = document.querySelector(`#card-${card} select`);
  if (select) select.addEventListener("change", () => drawCard(card));
  drawCard(card);
});
