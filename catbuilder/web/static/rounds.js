// Update the part of the page that changes every two seconds, while the page is visible.
"use strict";

const live = document.getElementById("live");
const state = document.getElementById("live-state");

function tell(text) {
  if (state.textContent !== text) {
    state.textContent = text; // a screen reader speaks each time that a live region is written
  }
}

async function update() {
  try {
    const answer = await fetch(live.dataset.address, { headers: { Accept: "application/json, text/html" } });
    if (answer.status === 503) {
      return tell("A step is being recorded; trying again.");
    }
    if (!answer.ok) {
      throw new Error(String(answer.status));
    }
    const text = await answer.text();
    if (text !== live.dataset.shown && !live.contains(document.activeElement)) {
      live.innerHTML = text; // our own template, in which everything is escaped
      live.dataset.shown = text;
    }
    tell("Updated every two seconds.");
  } catch {
    tell("The server does not answer; this page shows its last answer.");
  }
}

async function updateForever() {
  if (!document.hidden) {
    await update();
  }
  setTimeout(updateForever, 2000);
}

setTimeout(updateForever, 2000);
