// What looks alike is found by the features of a network, which may take seconds: it comes after the rest.
"use strict";

const place = document.getElementById("similar");

async function fill() {
  try {
    const answer = await fetch(place.dataset.address);
    place.innerHTML = await answer.text(); // our own template, in which everything is escaped
  } catch {
    place.textContent = "The server does not answer.";
  }
  place.removeAttribute("aria-busy");
}

fill();
