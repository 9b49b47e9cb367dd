/* Costs as bars: by layer, by operation of the model, by protocol; split by party or by operation. */
const COLOURS = 6;
const costHost = document.getElementById("cost-bars"), costKey = document.getElementById("cost-key");
const quantities = {
  online: { of: online, show: size, parts: [["party0", "party 0 sends", (e) => e.bytes[0]], ["party1", "party 1 sends", (e) => e.bytes[1]]] },
  dealt: { of: (e) => e.offline_bytes, show: size, parts: [["dealt", report.two_party ? "sent to prepare a session, both directions" : "dealt ahead of time", (e) => e.offline_bytes]] },
  rounds: { of: (e) => e.rounds, show: String, parts: [["good", "rounds; one may carry messages of several rows, so they do not add up", (e) => e.rounds]] },
  products: { of: (e) => e.multiplications, show: (n) => n.toLocaleString("en"), parts: [["rest", "ring products, online", (e) => e.multiplications]] },
};
const groups = { layers: report.layers, kinds: report.kinds, share_kinds: report.share_kinds };
/* The kinds of operations that cost most of a quantity, and what each layer spends on them. */
function kindParts(quantity) {
  const heavy = [...report.kinds].filter(quantity.of).sort((a, b) => quantity.of(b) - quantity.of(a)).map((k) => k.label);
  const own = heavy.slice(0, COLOURS), rest = heavy.slice(COLOURS);
  const spent = report.layers.map(() => new Map());
  for (const o of report.operations) spent[o.layer].set(o.kind, (spent[o.layer].get(o.kind) || 0) + quantity.of(o));
  const value = (layer, kind) => spent[report.layers.indexOf(layer)].get(kind) || 0;
  const parts = own.map((kind, i) => ["op" + i, kind, (layer) => value(layer, kind)]);
  if (rest.length) parts.push(["rest", rest.length === 1 ? rest[0] : "other", (layer) => rest.reduce((sum, kind) => sum + value(layer, kind), 0)]);
  return parts;
}
function picked(name) { return document.querySelector(`input[name=${name}]:checked`).value; }
function drawCosts() {
  const quantity = quantities[picked("quantity")], group = picked("group");
  const byKind = group === "layers" && picked("split") === "operation" && picked("quantity") !== "rounds";
  document.getElementById("split").hidden = group !== "layers" || picked("quantity") === "rounds";
  const parts = byKind ? kindParts(quantity) : quantity.parts;
  const rows = groups[group].filter((e) => group === "layers" || quantity.of(e));
  const sorted = group === "layers" ? rows : [...rows].sort((a, b) => quantity.of(b) - quantity.of(a));
  const most = Math.max(1, ...rows.map(quantity.of));
  costKey.replaceChildren(...parts.map(([className, text]) => {
    const key = make("span", "key");
    key.append(make("span", "swatch " + className), text);
    return key;
  }));
  costHost.replaceChildren(...sorted.flatMap((entry) => {
    const track = make("div", "track");
    track.setAttribute("role", "img");
    const told = parts.map(([, text, part]) => [text, part(entry)]).filter(([, value]) => value).map(([text, value]) => `${text}: ${quantity.show(value)}`).join("; ");
    track.setAttribute("aria-label", `${entry.label}: ${told || "nothing"}`);
    track.title = told || "nothing";
    for (const [className, , part] of parts) {
      const bar = make("i", className);
      bar.style.width = 100 * part(entry) / most + "%";
      track.append(bar);
    }
    return [make("div", "label", entry.label), track, make("div", "value", quantity.of(entry) ? quantity.show(quantity.of(entry)) : "\u2013")];
  }));
}
document.getElementById("cost-tools").addEventListener("change", drawCosts);
drawCosts();
