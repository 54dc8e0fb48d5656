"use strict";
const $ = (id) => document.getElementById(id);
const RAMP = [[0, 0, 4], [28, 16, 68], [79, 18, 123], [129, 37, 129], [181, 54, 122], [229, 80, 100], [251, 135, 97], [254, 194, 135], [252, 253, 191]];
const WORDS = { before: "Before", after: "After" };
let limits = { bytes: Infinity, seconds: Infinity };

/* Making elements: text is always text, never markup. */
function element(tag, attributes = {}, ...children) {
  const made = tag === "svg" || tag === "path" ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}
const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
function quantity(value, unit) {
  if (value === 0) return `0 ${unit}`;
  const step = Math.min(3, Math.max(-4, Math.floor(Math.log10(value) / 3 + 1e-9)));
  return `${Number((value / 1000 ** step).toPrecision(3))} ${["p", "n", "µ", "m", "", "k", "M", "G"][step + 4]}${unit}`;
}

/* State of the form: busy or not, and what it says. */
function say(text, busy = false) {
  $("status").textContent = text;
  document.body.classList.toggle("busy", busy);
  document.body.setAttribute("aria-busy", busy);
}
function complain(text) {
  say("");
  $("error").textContent = text;
}
const isBusy = () => document.body.classList.contains("busy");

async function* lines(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n");
    rest = parts.pop();
    for (const part of parts) yield JSON.parse(part);
  }
}

async function denoise(sound, name) {
  if (isBusy()) {
    $("error").textContent = `${name}: wait until the sound before is finished, then try again.`;
    return;
  }
  if (recording?.runs) {
    $("error").textContent = "The microphone is recording; stop it first.";
    return;
  }
  recording = null; // one that still waits for the microphone is given up
  $("error").textContent = "";
  if (sound.size > limits.bytes) {
    complain(`${name}: The file is larger than ${Math.floor(limits.bytes / 2 ** 20)} MiB; cut it first.`);
    return;
  }
  say(`Denoising ${name} …`, true);
  try {
    const query = new URLSearchParams({ model: $("model").value, name });
    const response = await fetch(`/denoise?${query}`, { method: "POST", body: sound });
    if (!response.ok) {
      complain((await response.json()).error);
      return;
    }
    let whole = false;
    for await (const part of lines(response)) {
      if (part.tracks) showSound(part, name);
      else showEnergy(part);
      whole = !part.tracks;
    }
    if (!whole) throw new Error("the answer broke off");
    $("error").textContent = "";
  } catch (error) {
    $("energy-note").textContent = "";
    complain(`The program that serves this page did not answer (${error.message}); is it still running?`);
  }
}

/* The result. */
function showSound(result, name) {
  $("sound").textContent = name;
  const cut = result.whole_seconds > result.seconds + 0.01 ? `the first ${result.seconds.toFixed(0)} s of ${result.whole_seconds.toFixed(0)} s, ` : "";
  $("about").textContent = `Denoised by ${result.model}: ${cut}one channel at 16 kHz.`;
  $("tracks").replaceChildren(...player(result));
  $("length").textContent = `${result.seconds.toFixed(1)} s`;
  const speed = result.seconds / Math.max(result.took_s, 1e-4);
  $("figures").replaceChildren(
    ...[
      ["Latency", `${Number(result.latency_ms.toPrecision(3))} ms`, "a sample waits for its frames"],
      ["Computed here", `${result.took_s.toFixed(2)} s`, `${Number(speed.toPrecision(2))} times real time, on this machine`],
      ["Operations", `${quantity(result.operations_s, "Ops/s").replace(" ", " ")}`, "counted; a neuron's update weighs 10"],
    ].map(([term, figure, note]) => element("div", {}, element("dt", {}, term), element("dd", {}, element("b", {}, figure), note))),
  );
  $("layers").tBodies[0].replaceChildren(...result.layers.map(layerRow));
  $("scenarios").tBodies[0].replaceChildren();
  $("energy-table").hidden = true;
  $("energy-note").textContent = "Working out the chip …";
  $("result").hidden = false;
  say(`${name} is denoised; the result is below.`);
  $("sound").focus();
}

function layerRow(layer) {
  const bars = bytes(layer.bars);
  const steps = [...bars].map((value, index) => `L${index} ${100 - value / 2.55}L${index + 1} ${100 - value / 2.55}`).join("");
  const label = `${layer.name}: ${(100 * Math.min(...bars) / 255).toFixed(0)} to ${(100 * Math.max(...bars) / 255).toFixed(0)} percent of neurons send`;
  const strip = element("svg", { viewBox: `0 0 ${bars.length} 100`, preserveAspectRatio: "none", role: "img", "aria-label": label });
  strip.append(element("path", { d: `M0 100${steps}V100Z` }));
  const cells = [layer.neurons, `${(100 * layer.share).toFixed(0)} %`, quantity(layer.synops_step, "").trim()];
  return element("tr", {}, element("th", { scope: "row" }, layer.name), ...cells.map((cell) => element("td", {}, String(cell))), element("td", { class: "wide" }, strip));
}

function showEnergy(part) {
  $("energy-note").textContent = part.why_not || "";
  $("energy-table").hidden = part.energy.length === 0;
  const spread = (row, value, unit) => {
    const [low, middle, high] = ["low", "value", "high"].map((end) => quantity(value(row[end]), unit));
    return element("td", {}, middle, element("small", {}, `${low} to ${high}`));
  };
  const rows = part.energy.map((row) => {
    const frame = spread(row, (end) => end.frame_s, "s");
    if (!row.value.keeps_real_time) frame.append(element("small", { class: "late" }, "too slow for real time"));
    const chips = row.chips > 1 ? element("small", {}, `${row.chips} chips`) : "";
    return element(
      "tr", {}, element("th", { scope: "row" }, row.name, element("small", {}, row.title)), element("td", {}, String(row.cores), chips), frame,
      spread(row, (end) => end.power_w, "W"), spread(row, (end) => end.dynamic_j + end.static_j, "J"), spread(row, (end) => end.dynamic_j, "J"),
    );
  });
  $("scenarios").tBodies[0].replaceChildren(...rows);
}

/* Both sounds share one position, and one of them plays at a time. */
let urls = [];
function player(result) {
  document.querySelectorAll("audio").forEach((audio) => audio.pause());
  urls.forEach((url) => URL.revokeObjectURL(url));
  urls = [];
  const tracks = [];
  const state = { at: 0, playing: null };
  const show = (at) => {
    state.at = at;
    for (const track of tracks) {
      track.seek.value = at;
      track.seek.setAttribute("aria-valuetext", `${at.toFixed(1)} seconds`);
      track.picture.style.setProperty("--at", Math.min(1, at / result.seconds));
    }
  };
  const follow = (track) => {
    if (state.playing !== track || !track.audio.isConnected) return;
    show(track.audio.currentTime);
    requestAnimationFrame(() => follow(track));
  };
  const pause = () => {
    if (!state.playing) return;
    state.playing.audio.pause();
    state.playing.button.setAttribute("aria-pressed", "false");
    state.playing = null;
  };
  const play = (track) => {
    pause();
    track.audio.currentTime = state.at < result.seconds - 0.05 ? state.at : 0;
    state.playing = track;
    track.button.setAttribute("aria-pressed", "true");
    track.audio.play().then(() => follow(track), () => state.playing === track && pause());
  };
  for (const key of ["before", "after"]) {
    const track = build(key, result);
    track.button.addEventListener("click", () => (state.playing === track ? pause() : play(track)));
    track.audio.addEventListener("ended", () => {
      if (state.playing !== track) return;
      pause();
      show(0);
    });
    /* Media keys and calls pause a sound, too. */
    track.audio.addEventListener("pause", () => {
      if (state.playing === track && track.audio.paused && !track.audio.ended) pause();
    });
    track.seek.addEventListener("input", () => {
      show(Number(track.seek.value));
      if (state.playing) state.playing.audio.currentTime = state.at;
    });
    tracks.push(track);
  }
  $("save").href = urls[1];
  $("save").download = `${$("sound").textContent.replace(/\.[^.]*$/, "")}-denoised.wav`;
  show(0);
  return tracks.map((track) => track.row);
}

function build(key, result) {
  const sound = result.tracks[key];
  const url = URL.createObjectURL(new Blob([bytes(sound.audio)], { type: "audio/wav" }));
  urls.push(url);
  const name = WORDS[key];
  const icon = element("svg", { viewBox: "0 0 24 24", width: 24, height: 24, "aria-hidden": "true" });
  icon.append(element("path", { class: "go", d: "M8 5v14l11-7z" }), element("path", { class: "stop", d: "M7 5h4v14H7zM13 5h4v14h-4z" }));
  const button = element("button", { type: "button", class: "play", "aria-pressed": "false", "aria-label": `Play ${name.toLowerCase()}` }, icon);
  const audio = element("audio", { src: url, preload: "auto" });
  const seek = element("input", { type: "range", class: "seek", min: 0, max: result.seconds, step: 0.05, value: 0, "aria-label": `Position, ${name.toLowerCase()}` });
  const canvas = element("canvas", { width: sound.columns, height: result.rows, role: "img", "aria-label": `Spectrogram, ${name.toLowerCase()}: 0 to 8 kHz` });
  draw(canvas, bytes(sound.picture));
  const scale = element("span", { class: "khz", "aria-hidden": "true" }, element("i", {}, "8 kHz"), element("i", {}, "4"), element("i", {}, "0"));
  const picture = element("div", { class: "picture" }, canvas, scale, element("span", { class: "head" }), seek);
  const level = element("span", { class: "level" }, `${sound.level_dbfs.toFixed(1)} dBFS`);
  const who = element("div", { class: "who" }, button, element("span", { class: "name" }, name), level);
  return { row: element("div", { class: "track" }, who, picture, audio), button, audio, seek, picture };
}

function draw(canvas, values) {
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, canvas.height);
  values.forEach((value, index) => {
    const place = (value / 255) * (RAMP.length - 1);
    const low = Math.min(Math.floor(place), RAMP.length - 2);
    for (let part = 0; part < 3; part++) {
      image.data[4 * index + part] = RAMP[low][part] + (place - low) * (RAMP[low + 1][part] - RAMP[low][part]);
    }
    image.data[4 * index + 3] = 255;
  });
  context.putImageData(image, 0, 0);
}

/* A file, chosen or dropped. */
$("file").addEventListener("change", () => {
  const [file] = $("file").files;
  if (file) denoise(file, file.name).then(() => ($("file").value = ""));
});
$("drop").addEventListener("dragenter", () => $("drop").classList.add("over"));
$("drop").addEventListener("dragleave", () => $("drop").classList.remove("over"));
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  event.preventDefault();
  $("drop").classList.remove("over");
  const [file] = event.dataTransfer.files;
  if (file) denoise(file, file.name);
  else complain("That was no file; drop a recording.");
});
document.querySelector("form").addEventListener("submit", (event) => event.preventDefault());

/* The microphone, as raw samples: a lossy codec would hide what the network does. The last click counts: a recording that
   is no longer `recording` when the browser lends the microphone hands it back. */
const TAP = "registerProcessor('tap', class extends AudioWorkletProcessor { process([[channel]]) { if (channel) this.port.postMessage(channel.slice()); return true; } })";
let recording = null;

async function startRecording() {
  const plain = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  const mine = { runs: false, media: null, context: null, chunks: [], samples: 0 };
  recording = mine;
  try {
    mine.media = await navigator.mediaDevices.getUserMedia({ audio: plain });
    mine.context = new AudioContext();
    const url = URL.createObjectURL(new Blob([TAP], { type: "text/javascript" }));
    await mine.context.audioWorklet.addModule(url).finally(() => URL.revokeObjectURL(url));
    const tap = new AudioWorkletNode(mine.context, "tap");
    tap.port.onmessage = ({ data }) => hear(mine, data);
    mine.context.createMediaStreamSource(mine.media).connect(tap);
    mine.runs = recording === mine;
  } catch (error) {
    if (recording !== mine) return;
    recording = null;
    throw error;
  } finally {
    if (!mine.runs) release(mine);
  }
  if (!mine.runs) return;
  $("record").setAttribute("aria-pressed", "true");
  $("record-word").textContent = "Stop";
  say("Recording …");
}

function hear(mine, data) {
  if (recording !== mine) return;
  mine.chunks.push(data);
  mine.samples += data.length;
  const seconds = mine.samples / mine.context.sampleRate;
  $("record-time").textContent = `${seconds.toFixed(1)} s`;
  if (mine.runs && seconds >= limits.seconds) stopRecording();
}

function release({ media, context }) {
  media?.getTracks().forEach((track) => track.stop());
  context?.close();
}

function stopRecording() {
  const { context, chunks, samples } = recording;
  release(recording);
  recording = null;
  $("record").setAttribute("aria-pressed", "false");
  $("record-word").textContent = "Record";
  $("record-time").textContent = "with the microphone";
  denoise(wave(chunks, samples, context.sampleRate), "microphone.wav");
}

function wave(chunks, samples, rate) {
  const view = new DataView(new ArrayBuffer(44 + 2 * samples));
  const text = (at, word) => [...word].forEach((letter, index) => view.setUint8(at + index, letter.charCodeAt(0)));
  text(0, "RIFF"); text(8, "WAVEfmt "); text(36, "data");
  [[4, 36 + 2 * samples], [16, 16], [24, rate], [28, 2 * rate], [40, 2 * samples]].forEach(([at, value]) => view.setUint32(at, value, true));
  [[20, 1], [22, 1], [32, 2], [34, 16]].forEach(([at, value]) => view.setUint16(at, value, true));
  let at = 44;
  for (const chunk of chunks) {
    for (const value of chunk) {
      view.setInt16(at, Math.max(-32768, Math.min(32767, Math.round(value * 32768))), true);
      at += 2;
    }
  }
  return new Blob([view.buffer], { type: "audio/wav" });
}

$("record").addEventListener("click", () => {
  if (recording?.runs) stopRecording();
  else if (!isBusy()) {
    $("error").textContent = "";
    startRecording().catch((error) => complain(`The microphone cannot be used (${error.message}); allow it in the browser, or choose a file.`));
  }
});

fetch("/models").then((response) => response.json()).then((answer) => {
  limits = answer.limits;
  $("model").replaceChildren(...answer.models.map((name) => element("option", { value: name }, name)));
  $("limits").textContent = `; ${limits.bytes / 2 ** 20} MiB, ${limits.seconds} s of it are used`;
}).catch((error) => complain(`The models cannot be listed (${error.message}); load the page again.`));
