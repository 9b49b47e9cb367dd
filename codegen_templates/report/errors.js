/* Errors on a logarithmic scale, by layer or by operation. */
const ERRORS = [["max", "secure", "party0"], ["simulated", "in the clear", "party1"], ["approximated", "without rounding", "dealt"], ["exact", "floating point", "good"]];
function drawErrors() {
  const told = document.getElementById("errors-told"), byLayer = picked("errors-by") === "layers";
  const outputs = report.errors.outputs.map((o) => ({ ...o, label: "output " + o.label }));
  const rows = byLayer ? [...report.errors.layers, ...outputs] : report.errors.operations.map((o) => ({ ...o, label: `${o.layer} \u203a ${o.kind}` }));
  const values = rows.flatMap((row) => ERRORS.map(([quantity]) => row[quantity])).filter((value) => value > 0);
  const low = 10 ** Math.floor(Math.log10(Math.min(1, ...values))), high = 10 ** Math.ceil(Math.log10(Math.max(...values, low * 10)));
  const fresh = make("div");
  document.getElementById("errors-plot").replaceChildren(fresh);
  plot(fresh, {
    height: 240, label: "Largest differences to onnxruntime, on a logarithmic scale",
    x: { low: -0.5, high: rows.length - 0.5, ticks: rows.map((_, i) => i), name: (i) => rows[i].label },
    y: { low, high, logarithmic: true },
    xs: rows.map((_, i) => i),
    lines: ERRORS.map(([quantity, , className]) => ({ className, ys: rows.map((row) => Math.max(row[quantity], low)), points: rows.length < 60 })),
    tell: (i) => tell(told, rows[i].label, ERRORS.map(([quantity, text]) => `${number(rows[i][quantity])} ${text}`).join(", ")),
  });
  fresh.show(rows.length - 1);
}
if (report.errors) {
  document.getElementById("errors-tools").addEventListener("change", drawErrors);
  drawErrors();
}
