// Shows an answer: the query with its repair, and both rankings with what moved.

import { thumbnail } from "./api.js";

export const $ = (id) => document.getElementById(id);

export function make(tag, props = {}, ...children) {
  const node = Object.assign(document.createElement(tag), props);
  node.append(...children);
  return node;
}

export function say(text, bad = false) {
  const message = $("message");
  message.hidden = !text;
  message.textContent = text;
  message.classList.toggle("bad", bad);
}

export function showAnswer(answer, { uploaded, texts }) {
  showQuery(answer, uploaded);
  const truth = answer.truth?.position;
  const places = new Map(answer.results.map((hit, rank) => [hit.position, rank]));
  fill($("before"), answer.before, texts, truth, (hit) => gone(places, hit));
  fill($("after"), answer.results, texts, truth, moved);
  $("after-how").textContent = how(answer);
  $("found").hidden = false;
}

function how(answer) {
  const parts = [];
  if (answer.method !== "none") parts.push(`${answer.method}, ${answer.learned_batches} batches learned`);
  if (answer.calibration) parts.push("calibrated");
  if (answer.repair && answer.repair.weight > 0) parts.push("repaired");
  return parts.join(" · ") || "nothing switched on";
}

function showQuery(answer, uploaded) {
  const picture = $("picture");
  const source = answer.picture ?? uploaded;
  picture.hidden = !source;
  if (source) picture.src = source;
  const text = answer.repair?.text ?? answer.text;
  $("diff").hidden = !text;
  if (text) $("diff").replaceChildren(...difference(text, answer.repair?.repaired ?? text));
  const facts = [];
  if (answer.repair && answer.repair.repaired !== answer.repair.text) {
    if (answer.repair.confidence !== null) facts.push(chip("repair's confidence", share(answer.repair.confidence)));
    facts.push(chip("its weight", share(answer.repair.weight)));
  }
  facts.push(
    answer.confident ? chip("this query is", "confident", "sure") : chip("this query is", "ambiguous", "unsure"),
    chip("answered in", `${answer.timings_ms.total.toFixed(0)} ms`),
  );
  if (answer.truth) {
    const { before, rank, looked_at: most } = answer.truth;
    facts.push(chip("right answer", `${place(before, most)} → ${place(rank, most)}`));
  }
  $("facts").replaceChildren(...facts);
  $("query").hidden = false;
}

const share = (value) => `${Math.round(100 * value)} %`;
const place = (rank, most) => (rank === null ? `beyond ${most}` : `#${rank + 1}`);

function chip(name, value, kind = "") {
  return make("span", { className: `chip ${kind}` }, `${name} `, make("b", {}, value));
}

function fill(list, hits, texts, truth, move) {
  list.classList.toggle("texts", texts);
  list.replaceChildren(...(hits ?? []).map((hit, rank) => shown(hit, rank, texts, truth, move(hit, rank))));
}

function shown(hit, rank, texts, truth, move) {
  const right = hit.position === truth;
  const row = make("li", { className: right ? "hit right" : "hit", title: hit.id });
  row.append(make("span", { className: "rank" }, `${rank + 1}`));
  if (!texts) {
    const image = make("img", { alt: "", loading: "lazy", width: 56, height: 56 });
    thumbnail(image, hit.position);
    row.append(image);
  }
  row.append(make("p", {}, hit.caption || hit.id));
  const side = make("span", { className: "side" }, hit.score.toFixed(3));
  if (move) side.append(move);
  if (right) side.append(make("span", { className: "answer" }, "✓ right"));
  row.append(side);
  return row;
}

function moved(hit, rank) {
  if (hit.before === null) return arrow("up", "▲ new", "further behind before");
  if (hit.before > rank) return arrow("up", `▲ ${hit.before - rank}`, `was ${hit.before + 1}`);
  if (hit.before < rank) return arrow("down", `▼ ${rank - hit.before}`, `was ${hit.before + 1}`);
  return null;
}

function gone(places, hit) {
  return places.has(hit.position) ? null : arrow("down", "▼ out", "not among the results any more");
}

function arrow(way, text, title) {
  return make("span", { className: `move ${way}`, title }, text);
}

// Words that stand in one text only, by the longest common subsequence.
export function difference(before, after) {
  const a = before.split(/\s+/), b = after.split(/\s+/);
  const length = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i -= 1)
    for (let j = b.length - 1; j >= 0; j -= 1)
      length[i][j] = a[i] === b[j] ? length[i + 1][j + 1] + 1 : Math.max(length[i + 1][j], length[i][j + 1]);
  const nodes = [], old = [], fresh = [];
  const flush = () => { // each old word beside the one that stands for it
    while (old.length || fresh.length) {
      if (old.length) nodes.push(make("del", {}, old.shift()), " ");
      if (fresh.length) nodes.push(make("ins", {}, fresh.shift()), " ");
    }
  };
  let i = 0, j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) { flush(); nodes.push(a[i], " "); i += 1; j += 1; }
    else if (i < a.length && (j === b.length || length[i + 1][j] >= length[i][j + 1])) { old.push(a[i]); i += 1; }
    else { fresh.push(b[j]); j += 1; }
  }
  flush();
  return nodes;
}
