/* The rounds: what either party sends in each, and for which layer. */
const roundsHost = document.getElementById("rounds-plot"), roundsTold = document.getElementById("rounds-told");
const roundsSlider = document.getElementById("rounds-slider");
/* Of every round the layer that sends most in it. */
const layerOfRound = report.rounds.map((round) => {
  const byLayer = new Map();
  for (const i of round.operations) {
    const o = report.share_operations[i], layer = o.operation < 0 ? 0 : report.operations[o.operation].layer;
    byLayer.set(layer, (byLayer.get(layer) || 0) + online(o) / o.rounds);
  }
  return [...byLayer].reduce((a, b) => b[1] > a[1] ? b : a)[0];
});
function tellRound(index) {
  const round = report.rounds[index], kinds = new Map();
  for (const i of round.operations) {
    const o = report.share_operations[i];
    const place = o.operation < 0 ? "" : `${report.layers[report.operations[o.operation].layer].label} \u203a ${report.operations[o.operation].kind}: `;
    kinds.set(place + o.kind, (kinds.get(place + o.kind) || 0) + 1);
  }
  const parts = [...kinds].map(([kind, times]) => times > 1 ? `${kind} \u00d7${times}` : kind);
  tell(roundsTold, `Round ${index + 1} of ${report.rounds.length}`, `${sizes(round.bytes)}; ${parts.slice(0, 6).join(", ")}${parts.length > 6 ? `, and ${parts.length - 6} more` : ""}`);
  roundsSlider.value = index;
}
if (report.rounds.length) {
  const most = Math.max(...report.rounds.map(online)), count = report.rounds.length;
  const height = (bytes) => Math.sqrt(bytes / most);
  plot(roundsHost, {
    height: 180, label: "Bytes sent in each round",
    x: { low: 0, high: count, ticks: [...new Set([1, Math.round(count / 4), Math.round(count / 2), Math.round(3 * count / 4), count])].filter((n) => n >= 1).map((n) => n - 0.5), name: (tick) => String(tick + 0.5) },
    y: { low: 0, high: 1, ticks: [] },
    xs: report.rounds.map((_, i) => i + 0.5),
    lines: [],
    tell: tellRound,
    extra: (svg, x, top, deep) => {
      const floor = top + deep - 22, room = deep - 24;
      for (const share of [1, 0.25, 0.05]) {
        const y = floor - room * Math.sqrt(share);
        draw(svg, "line", { class: "grid", x1: x(0), x2: x(count), y1: y, y2: y });
        draw(svg, "text", { x: x(0) - 6, y: y + 4, "text-anchor": "end" }, size(most * share));
      }
      const wide = x(1) - x(0), gap = wide > 4 ? 1 : 0;
      report.rounds.forEach((round, i) => {
        const total = online(round), tall = room * height(total), first = tall * round.bytes[0] / total;
        draw(svg, "rect", { class: "bar party0", x: x(i), y: floor - first, width: wide - gap, height: first });
        draw(svg, "rect", { class: "bar party1", x: x(i), y: floor - tall, width: wide - gap, height: tall - first });
      });
      let start = 0, odd = false;
      for (let i = 1; i <= count; i++) {
        if (i < count && layerOfRound[i] === layerOfRound[start]) continue;
        const text = report.layers[layerOfRound[start]].label, left = x(start), right = x(i);
        draw(svg, "rect", { class: "layer" + (odd ? " odd" : ""), x: left, y: floor + 3, width: right - left, height: 18 });
        if (text.length * 7 < right - left) draw(svg, "text", { x: (left + right) / 2, y: floor + 16, "text-anchor": "middle" }, text);
        start = i;
        odd = !odd;
      }
    },
  });
  roundsSlider.max = count - 1;
  roundsSlider.addEventListener("input", () => roundsHost.show(Number(roundsSlider.value)));
  document.querySelectorAll("[data-step]").forEach((b) => b.addEventListener("click", () => roundsHost.show(Number(roundsSlider.value) + Number(b.dataset.step))));
  tellRound(report.rounds.findIndex((round) => online(round) === most));
}
