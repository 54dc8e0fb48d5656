"use strict";
document.documentElement.classList.add("js");

/* Tables: a heading sorts by its column, ascending first for names and descending first for numbers. */
function sortBy(table, heading) {
  const index = [...heading.parentElement.children].indexOf(heading);
  const body = table.tBodies[0];
  const value = (row) => row.children[index].dataset.sort;
  const words = index === 0;
  const before = heading.getAttribute("aria-sort");
  const first = words ? "ascending" : "descending";
  const order = before === "none" ? first : before === "ascending" ? "descending" : "ascending";
  const sign = order === "ascending" ? 1 : -1;
  const rows = [...body.rows].sort((a, b) => {
    const [x, y] = [value(a), value(b)];
    if (x === "" || y === "") return (x === "") - (y === "");
    return sign * (words ? x.localeCompare(y) : Number(x) - Number(y));
  });
  for (const other of heading.parentElement.children) {
    if (other.hasAttribute("aria-sort")) other.setAttribute("aria-sort", other === heading ? order : "none");
  }
  body.append(...rows);
}
for (const table of document.querySelectorAll("table.sortable")) {
  for (const heading of table.querySelectorAll("th[aria-sort]")) {
    heading.querySelector("button").addEventListener("click", () => sortBy(table, heading));
  }
}

/* Players: the versions of a clip share one position, and only one sound plays at a time. */
const clips = [];
function setUp(article) {
  const tracks = [...article.querySelectorAll(".track")].map((element) => ({
    audio: element.querySelector("audio"),
    button: element.querySelector(".play"),
    seek: element.querySelector(".seek"),
    picture: element.querySelector(".picture"),
  }));
  const clip = { at: 0, playing: null };
  const length = Number(tracks[0].seek.max);
  const show = (at) => {
    clip.at = at;
    for (const track of tracks) {
      track.seek.value = at;
      track.seek.setAttribute("aria-valuetext", at.toFixed(1) + " seconds");
      track.picture.style.setProperty("--at", Math.min(1, at / length));
    }
    article.classList.add("started");
  };
  const follow = (track) => {
    if (clip.playing !== track) return;
    show(track.audio.currentTime);
    requestAnimationFrame(() => follow(track));
  };
  clip.pause = () => {
    if (!clip.playing) return;
    clip.playing.audio.pause();
    clip.playing.button.setAttribute("aria-pressed", "false");
    clip.playing = null;
  };
  clip.play = (track) => {
    for (const other of clips) other.pause();
    track.audio.currentTime = clip.at < length - 0.1 ? clip.at : 0;
    clip.playing = track;
    track.button.setAttribute("aria-pressed", "true");
    track.audio.play().then(() => follow(track), () => clip.playing === track && clip.pause());
  };
  for (const track of tracks) {
    track.audio.controls = false;
    track.button.addEventListener("click", () => (clip.playing === track ? clip.pause() : clip.play(track)));
    track.audio.addEventListener("ended", () => {
      if (clip.playing !== track) return;
      clip.pause();
      show(0);
    });
    /* Media keys and calls pause a sound, too. */
    track.audio.addEventListener("pause", () => {
      if (clip.playing === track && track.audio.paused && !track.audio.ended) clip.pause();
    });
    track.seek.addEventListener("input", () => {
      const at = Number(track.seek.value);
      show(at);
      if (clip.playing === track) track.audio.currentTime = at;
      else if (clip.playing) clip.play(track);
    });
  }
  clips.push(clip);
}
document.querySelectorAll(".clip").forEach(setUp);
