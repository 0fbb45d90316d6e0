// What the site's own pages do: the cards say what the reader has answered, tables of verdicts can be filtered, search
// results quote no answers.
// Nothing here is needed to read a page.

// A quiz keeps the answer to a question under "poolref/quiz/<chapter>/<id of the question>" (poolref/teaching/quiz.js).
const answered = (chapter, question) => {
  try {
    return localStorage.getItem(`poolref/quiz/${chapter}/${question}`) !== null;
  } catch {
    return false; // a page may be denied its storage
  }
};

for (const place of document.querySelectorAll(".poolref-progress")) {
  const { chapter, preview, review } = place.dataset;
  const done = Object.entries({ preview, review }).flatMap(([part, ids]) => {
    const questions = ids.split(" ");
    const count = questions.filter((question) => answered(chapter, question)).length;
    return count ? [`${part} ${count} of ${questions.length}`] : [];
  });
  place.textContent = done.join(", ");
  place.closest("li").classList.toggle("poolref-begun", done.length > 0);
}

for (const table of document.querySelectorAll("table[data-poolref-verdicts]")) {
  const rows = [...table.querySelectorAll("tbody tr")];
  const verdict = (row) => row.querySelector(".poolref-verdict")?.textContent.trim();
  const choices = [undefined, ...new Set(rows.map(verdict))];
  const bar = document.createElement("div");
  bar.className = "poolref-filter";
  bar.setAttribute("role", "group");
  bar.setAttribute("aria-label", "Which rows to show");
  for (const choice of choices) {
    const chosen = (row) => choice === undefined || verdict(row) === choice;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = `${choice ?? "all"} (${rows.filter(chosen).length})`;
    button.setAttribute("aria-pressed", choice === undefined);
    button.addEventListener("click", () => {
      for (const row of rows) row.hidden = !chosen(row);
      for (const other of bar.children) other.setAttribute("aria-pressed", other === button);
    });
    bar.append(button);
  }
  (table.closest(".pst-scrollable-table-container") ?? table).before(bar);
}

if (typeof Search !== "undefined") {
  const { htmlToText } = Search;
  Search.htmlToText = (html, anchor) => {
    const page = new DOMParser().parseFromString(html, "text/html");
    for (const part of page.querySelectorAll(".poolref-quiz, [data-poolref-live], math, svg")) part.remove();
    return htmlToText(page.documentElement.outerHTML, anchor);
  };
}
