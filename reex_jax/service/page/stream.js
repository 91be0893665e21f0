// A stream of queries whose answers are known: recall before and after, counted as it goes.

import { $ } from "./view.js";

const WINDOW = 32, HEIGHT = 140, LEFT = 34, FLOOR = 116, TOP = 8;
const SVG = "http://www.w3.org/2000/svg";

export class Counts {
  constructor() { this.clear(); }

  clear() {
    this.was = []; // rank of each right answer, null beyond what was looked at
    this.now = [];
    this.learned = []; // how many queries there were when another batch had been learned
    this.batches = 0;
    this.show();
  }

  add(answer) {
    this.was.push(answer.truth.before);
    this.now.push(answer.truth.rank);
    if (answer.learned_batches > this.batches && this.now.length > 1) this.learned.push(this.now.length);
    this.batches = answer.learned_batches;
  }

  show() {
    for (const [name, ranks] of [["was", this.was], ["now", this.now]])
      for (const most of [1, 10]) $(`${name}-${most}`).textContent = percent(ranks, most);
    const n = this.now.length;
    $("counted").textContent = n ? `${n} quer${n === 1 ? "y" : "ies"} so far` : "No queries yet.";
    draw($("chart"), this);
  }
}

const hits = (ranks, most) => ranks.filter((rank) => rank !== null && rank < most).length;
const percent = (ranks, most) => (ranks.length ? `${((100 * hits(ranks, most)) / ranks.length).toFixed(0)} %` : "–");

function draw(chart, counts) {
  const width = Math.max(chart.clientWidth, 200); // so that nothing is stretched
  chart.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
  const total = Math.max(counts.now.length, 64);
  const x = (i) => LEFT + ((width - LEFT) * i) / total;
  const y = (v) => FLOOR - (FLOOR - TOP) * v;
  const nodes = [];
  for (const value of [0, 0.5, 1]) {
    nodes.push(node("line", { class: "grid", x1: LEFT, x2: width, y1: y(value), y2: y(value) }));
    nodes.push(node("text", { x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, `${100 * value}`));
  }
  nodes.push(node("text", { x: width, y: HEIGHT - 3, "text-anchor": "end" }, `${total} queries`));
  for (const at of counts.learned)
    nodes.push(node("line", { class: "tick", x1: x(at), x2: x(at), y1: FLOOR, y2: FLOOR + 7 }));
  for (const [name, ranks] of [["was", counts.was], ["now", counts.now]]) {
    const points = ranks.map((_, i) => {
      const part = ranks.slice(Math.max(0, i + 1 - WINDOW), i + 1);
      return `${x(i + 1).toFixed(1)} ${y(hits(part, 10) / part.length).toFixed(1)}`;
    });
    if (points.length > 1) nodes.push(node("path", { class: name, d: `M${points.join("L")}` }));
  }
  chart.replaceChildren(...nodes);
}

function node(tag, attributes, text = "") {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.textContent = text;
  return made;
}
