// The SQL page: put examples into the box, and run the query on Ctrl+Enter.
"use strict";

const box = document.getElementById("text");

for (const button of document.querySelectorAll("[data-sql]")) {
  button.addEventListener("click", () => {
    box.value = button.dataset.sql;
    box.focus();
  });
}

box.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    box.form.requestSubmit();
  }
});
