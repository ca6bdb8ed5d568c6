// Load the similar objects after the rest of the page: the search by features may take seconds.
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
