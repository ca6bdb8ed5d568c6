// Label galaxies by keyboard. An answer shows at once and is sent in order; if the server refuses it, the galaxy comes back.
"use strict";

const page = document.getElementById("review");
const stamps = document.getElementById("stamps");
const said = document.getElementById("said");
const trouble = document.getElementById("trouble");
const done = document.getElementById("done");
const given = document.getElementById("given");
const progress = document.getElementById("progress");

const { list, annotator, view, guess } = page.dataset;
const keys = new Map(Object.entries(JSON.parse(page.dataset.keys)).map(([name, key]) => [key, name]));
Object.keys(JSON.parse(page.dataset.keys)).slice(0, 9).forEach((name, i) => {
  if (!keys.has(String(i + 1))) {
    keys.set(String(i + 1), name);
  }
});
keys.set("u", "unsure");

const AHEAD = 8; // stamps fetched before they are shown
const SHOWN = view === "grid" ? 24 : 1;
const LOW = 30; // with fewer questions left than this, request more

let waiting = []; // unanswered questions in order; the first are shown
let current = 0; // position in the grid
let answered = Number(given.textContent);
let exhausted = false;
let fetching = false;
let sending = Promise.resolve(); // requests are sent one by one, in the order of the answers
let pending = 0; // number of requests not answered yet
const settled = new Set(); // answered on this page, recorded or not
let told = []; // answers given on this page and not undone, in order, and whether the server has recorded them
const kept = new Map(); // images fetched ahead

const key = (question) => `${question.survey}/${question.object_id}`;
const called = (question) => `${question.survey} ${question.name || question.object_id}`;
const address = (question) => `/stamps/${encodeURIComponent(question.survey)}/${question.object_id}.png`;

async function ask(path, body) {
  const options = { headers: { Accept: "application/json" } };
  if (body) {
    options.method = "POST";
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify({ list, annotator, ...body });
  }
  const answer = await fetch(path, options);
  const found = await answer.json().catch(() => ({ error: `The server answered ${answer.status}.` }));
  if (!answer.ok) {
    throw new Error(found.error || `The server answered ${answer.status}.`);
  }
  return found;
}

async function refill() {
  if (fetching || exhausted) {
    return;
  }
  fetching = true;
  try {
    await sending; // or the questions just answered would be sent again
    const query = new URLSearchParams({ list, annotator, guess: guess === "before" ? guess : "" });
    const found = await ask(`/review/questions?${query}`);
    const known = new Set([...waiting.map(key), ...settled]);
    const fresh = found.questions.filter((question) => !known.has(key(question)));
    waiting.push(...fresh);
    exhausted = fresh.length === 0 || found.total - found.answered <= waiting.length;
  } catch (error) {
    showError(error);
    setTimeout(() => {
      fetching = false;
      refill();
    }, 3000);
    return;
  }
  fetching = false;
  show();
}

function prefetch() {
  for (const question of waiting.slice(SHOWN, SHOWN + AHEAD)) {
    if (question.has_stamp && !kept.has(key(question))) {
      const image = new Image();
      image.src = address(question);
      kept.set(key(question), image);
    }
  }
}

function galaxyItem(question, place) {
  const item = document.createElement("li");
  if (question.has_stamp) {
    const image = document.createElement("img");
    image.className = view === "grid" ? "stamp medium" : "stamp huge";
    image.src = address(question);
    image.alt = `Galaxy ${called(question)}`;
    item.append(image);
  } else {
    const none = document.createElement("span");
    none.className = "stamp none";
    none.textContent = "no image";
    item.append(none);
  }
  const caption = document.createElement("small");
  caption.textContent = called(question) + (question.guess ? `: ${question.guess}` : "");
  item.append(caption);
  if (view === "grid") {
    item.addEventListener("click", () => move(place));
  }
  if (place === current) {
    item.setAttribute("aria-current", "true");
  }
  return item;
}

function show() {
  current = Math.max(0, Math.min(current, SHOWN - 1, waiting.length - 1));
  stamps.replaceChildren(...waiting.slice(0, SHOWN).map(galaxyItem));
  done.hidden = waiting.length > 0 || !exhausted;
  given.textContent = String(answered);
  progress.value = answered;
  for (const button of page.querySelectorAll("[data-answer]")) {
    button.disabled = waiting.length === 0;
  }
  prefetch();
  if (waiting.length < LOW) {
    refill();
  }
}

function move(place) {
  current = Math.max(0, Math.min(place, Math.min(SHOWN, waiting.length) - 1));
  show();
  stamps.children[current]?.scrollIntoView({ block: "nearest" });
}

function showError(error) {
  trouble.textContent = error.message;
  trouble.hidden = false;
}

function answer(name) {
  const question = waiting[current];
  if (!question) {
    return;
  }
  trouble.hidden = true;
  waiting.splice(current, 1);
  settled.add(key(question));
  kept.delete(key(question));
  answered += 1;
  const mine = { question, recorded: false };
  told.push(mine);
  const words = name === "unsure" ? "not sure" : name;
  said.textContent = `${called(question)}: ${words}.`;
  show();
  const { survey, object_id } = question;
  pending += 1;
  sending = sending
    .then(() => ask("/review/answers", { survey, object_id, answer: name }))
    .then((found) => {
      mine.recorded = true;
      const prediction = guess !== "after" || !found.guess ? "" : ` The network predicted ${found.guess}.`;
      said.textContent = `${called(question)}: ${words}, recorded.${prediction} ${found.audits.join(" ")}`;
    })
    .catch((error) => {
      told = told.filter((one) => one !== mine);
      putBack(question);
      showError(error);
    })
    .finally(() => {
      pending -= 1;
    });
}

function putBack(question) {
  settled.delete(key(question));
  waiting.unshift(question);
  current = 0;
  answered -= 1;
  show();
}

function undo() {
  const last = told.pop(); // none after a reload of the page: then only the server knows the last answer
  const { survey, object_id } = last ? last.question : {};
  pending += 1;
  sending = sending
    .then(() => ask("/review/undo", last ? { survey, object_id } : {}))
    .then((found) => {
      if (!found.undone) {
        said.textContent = "There is nothing to undo in this list.";
        return;
      }
      const { survey, object_id, answer: name } = found.undone;
      said.textContent = `${survey} ${object_id}: ${name === "unsure" ? "not sure" : name} is undone.`;
      putBack({ survey, object_id, name: "", has_stamp: true, guess: "" });
    })
    .catch((error) => {
      told = told.filter((one) => !one.recorded); // from here on only the server knows the last answer
      showError(error);
    })
    .finally(() => {
      pending -= 1;
    });
}

function steps(pressed) {
  const columns = Math.max(1, Math.round(stamps.clientWidth / (stamps.children[0]?.offsetWidth || stamps.clientWidth)));
  return { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[pressed];
}

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select");
  if (typing || event.ctrlKey || event.metaKey || event.altKey || event.repeat) {
    return;
  }
  const pressed = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (keys.has(pressed)) {
    event.preventDefault();
    answer(keys.get(pressed));
  } else if (pressed === "z" || pressed === "Backspace") {
    event.preventDefault();
    undo();
  } else if (view === "grid" && steps(pressed)) {
    event.preventDefault();
    move(current + steps(pressed));
  }
});

for (const button of page.querySelectorAll("[data-answer]")) {
  button.addEventListener("click", () => answer(button.dataset.answer));
}
document.getElementById("undo").addEventListener("click", undo);

addEventListener("beforeunload", (event) => {
  if (pending) {
    event.preventDefault(); // the browser asks whether to leave with answers not yet recorded
  }
});

show();
