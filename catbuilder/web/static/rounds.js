// Asks every two seconds for the part of the page that changes, while the page is looked at.
"use strict";

const live = document.getElementById("live");
const state = document.getElementById("live-state");

function tell(text) {
  if (state.textContent !== text) {
    state.textContent = text; // a live region speaks whenever it is written to
  }
}

async function renew() {
  try {
    const answer = await fetch(live.dataset.address, { headers: { Accept: "application/json, text/html" } });
    if (answer.status === 503) {
      return tell("A step is being recorded; asking again.");
    }
    if (!answer.ok) {
      throw new Error(String(answer.status));
    }
    const text = await answer.text();
    if (text !== live.dataset.shown && !live.contains(document.activeElement)) {
      live.innerHTML = text; // our own template, in which everything is escaped
      live.dataset.shown = text;
    }
    tell("Kept up to date every two seconds.");
  } catch {
    tell("The server does not answer; this page is as it was when it last did.");
  }
}

async function keepUp() {
  if (!document.hidden) {
    await renew();
  }
  setTimeout(keepUp, 2000);
}

setTimeout(keepUp, 2000);
