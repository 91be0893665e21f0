// The page: reads the controls, asks the service, shows what it says.

import { get, post, useToken } from "./api.js";
import { Counts } from "./stream.js";
import { $, make, say, showAnswer } from "./view.js";

const STREAM = 320, AT_ONCE = 4, TOGETHER = 32, SHOWN_MS = 900, PATIENCE_MS = 20000;
let index = null;
let last = null; // repeats the latest search, when a switch changes
let running = null; // stops the stream
let uploaded = null;

const counts = new Counts();
const kind = () => document.querySelector("input[name=kind]:checked").value;

function options() {
  return {
    k: 10,
    method: $("method").value,
    calibration: $("calibration").checked,
    repair: $("repair").checked,
    learn: $("learn").checked,
    compare: true,
  };
}

function noise(query) {
  const [modality, name] = $("noise").value.split(":");
  if (modality !== query) return null;
  return { kind: name, severity: Math.min(Number($("severity").value), index.noise[query][name]) };
}

async function ask(work, picture = null) {
  document.body.setAttribute("aria-busy", "true");
  try {
    const answer = await work();
    say("");
    showAnswer(answer, { uploaded: picture, texts: index.modality === "text" });
    return answer;
  } catch (error) {
    complain(error);
    return null;
  } finally {
    document.body.removeAttribute("aria-busy");
    refresh();
  }
}

function complain(error) {
  if (error.name === "AbortError") return;
  if (error.status === 401) $("token-form").hidden = false;
  const later = error.retry ? " Try again in a moment." : "";
  say(sentence(error.message) + later, true);
}

const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");

function searchText() {
  const text = $("text").value.trim();
  if (!text) {
    say("Say what you are looking for, or drop a picture.", true);
    $("text").focus();
    return;
  }
  last = () => ask(() => post("/v1/search", JSON.stringify({ ...options(), text, noise: noise("text") })));
  last();
}

function searchPicture(file) {
  if (!file) return;
  const most = index.limits.upload_mb;
  if (file.size > most * 1e6) {
    say(`That picture is larger than ${most} MB.`, true);
    return;
  }
  if (uploaded) URL.revokeObjectURL(uploaded);
  uploaded = URL.createObjectURL(file);
  last = () => {
    const query = new URLSearchParams(options());
    const damage = noise("image");
    if (damage) { query.set("noise", damage.kind); query.set("severity", damage.severity); }
    return ask(() => post(`/v1/search/image?${query}`, file, { type: "application/octet-stream" }), uploaded);
  };
  last();
}

function sample(number, signal) {
  const query = kind();
  const body = { ...options(), sample: { query, number }, noise: noise(query) };
  return post("/v1/search", JSON.stringify(body), { signal, tries: 20 });
}

async function tryOne() {
  const number = Math.floor(Math.random() * index.samples[kind()]);
  last = () => ask(() => sample(number));
  const answer = await last();
  if (answer) { counts.add(answer); counts.show(); }
}

async function runStream() {
  if (running) { running.abort(); return; }
  running = new AbortController();
  $("stream").textContent = "Stop";
  const order = shuffled(index.samples[kind()]).slice(0, STREAM);
  let shownAt = 0;
  const one = async (part) => {
    while (part.length && !running.signal.aborted) {
      const answer = await sample(part.pop(), running.signal);
      counts.add(answer);
      if (performance.now() - shownAt < SHOWN_MS) continue;
      shownAt = performance.now();
      counts.show();
      showAnswer(answer, { uploaded: null, texts: index.modality === "text" });
      refresh();
    }
  };
  try {
    say("");
    while (order.length && !running.signal.aborted) {
      const part = order.splice(-TOGETHER);
      await Promise.all(Array.from({ length: AT_ONCE }, () => one(part)));
      counts.show();
      if ($("learn").checked) await learned(running.signal);
    }
  } catch (error) {
    running.abort();
    complain(error);
  }
  running = null;
  $("stream").textContent = "Run a stream";
  counts.show();
  refresh();
}

// A page asks faster than anyone learns; what was learned is to be seen in the next queries.
async function learned(signal) {
  const end = performance.now() + PATIENCE_MS;
  while (performance.now() < end && !signal.aborted) {
    const state = await get("/v1/state");
    if (state.idle || !state.learning) return;
    await new Promise((resolve) => setTimeout(resolve, 150));
  }
}

function shuffled(count) {
  const order = Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i -= 1) {
    const j = Math.floor(Math.random() * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}

async function order(name, done) {
  try {
    await post(`/v1/state/${name}`, "");
    say(done);
  } catch (error) {
    complain(error);
  }
  refresh();
}

async function refresh() {
  try {
    const state = await get("/v1/state");
    const batches = state.lanes.reduce((sum, lane) => sum + lane.batches, 0);
    const restored = state.lanes.reduce((sum, lane) => sum + lane.restored, 0);
    const guard = restored ? `, put back to the source ${restored} times` : "";
    $("state").textContent = state.learning
      ? `Learned from ${batches} batches${guard}.${state.ready ? "" : " The learner is starting."}`
      : "This service does not learn.";
  } catch { /* the next action says what is wrong */ }
}

function fillChoices() {
  $("about").textContent = `${index.items.toLocaleString("en")} ${index.modality === "text" ? "texts" : "pictures"} · model ${index.model}`;
  $("method").replaceChildren(...index.methods.map((name) => make("option", { value: name }, name)));
  $("repair").disabled = !index.repair;
  $("learn").disabled = !index.learning;
  $("calibration").disabled = index.calibration === "off";
  $("demo").hidden = !index.samples;
  $("noises").hidden = !index.noise;
  for (const [modality, title] of [["image", "Pictures"], ["text", "Captions"]]) {
    if (!index.noise) break;
    const group = make("optgroup", { label: title });
    for (const name of Object.keys(index.noise[modality]))
      group.append(make("option", { value: `${modality}:${name}` }, name.replaceAll("_", " ")));
    $("noise").append(group);
  }
  if (index.samples) $("noise").value = "image:gaussian_noise";
}

// Noise that fits the queries of the stream.
function followKind() {
  const fits = { image: "image:gaussian_noise", text: "text:ocr" }[kind()];
  if (index.noise && !$("noise").value.startsWith(kind())) $("noise").value = fits;
  followNoise();
  counts.clear();
}

function followNoise() {
  const [modality, name] = $("noise").value.split(":");
  const most = name ? index.noise[modality][name] : 5;
  $("severity").max = most;
  $("severity").disabled = !name;
  $("severity-shown").textContent = $("severity").value;
  const radio = modality && document.querySelector(`input[name=kind][value=${modality}]`);
  if (radio && !radio.checked) { radio.checked = true; counts.clear(); }
}

function listen() {
  $("search").addEventListener("submit", (event) => { event.preventDefault(); searchText(); });
  $("file").addEventListener("change", () => { searchPicture($("file").files[0]); $("file").value = ""; });
  for (const id of ["method", "calibration", "repair"])
    $(id).addEventListener("change", () => { counts.clear(); if (last && !running) last(); });
  $("noise").addEventListener("change", () => { followNoise(); counts.clear(); if (last && !running) last(); });
  $("severity").addEventListener("input", followNoise);
  $("severity").addEventListener("change", () => { counts.clear(); if (last && !running) last(); });
  for (const radio of document.querySelectorAll("input[name=kind]")) radio.addEventListener("change", followKind);
  $("one").addEventListener("click", tryOne);
  $("stream").addEventListener("click", runStream);
  $("reset").addEventListener("click", async () => { counts.clear(); await order("reset", "Everything learned is forgotten: this is the source model again."); });
  $("save").addEventListener("click", () => order("save", "What was learned is on the disk."));
  $("token-form").addEventListener("submit", (event) => {
    event.preventDefault();
    useToken($("token").value);
    $("token-form").hidden = true;
    start();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && running) running.abort();
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) && event.target.type !== "checkbox";
    if (event.key === "/" && !typing) { event.preventDefault(); $("text").select(); }
  });
  window.addEventListener("resize", () => counts.show());
  for (const name of ["dragenter", "dragover"])
    document.addEventListener(name, (event) => { event.preventDefault(); $("drop").classList.add("over"); });
  for (const name of ["dragleave", "drop"])
    document.addEventListener(name, (event) => { event.preventDefault(); $("drop").classList.remove("over"); });
  document.addEventListener("drop", (event) => searchPicture(event.dataTransfer.files[0]));
  document.addEventListener("paste", (event) => searchPicture(event.clipboardData.files[0]));
}

async function start() {
  try {
    index = await get("/v1/index");
  } catch (error) {
    complain(error);
    return;
  }
  fillChoices();
  followNoise();
  counts.show();
  refresh();
  while (true) {
    try {
      await get("/ready");
      say("");
      return;
    } catch (error) {
      if (error.status !== 503) { complain(error); return; }
      say(`The service is starting (${error.message.replace("starting: ", "")}) …`);
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }
}

listen();
start();
