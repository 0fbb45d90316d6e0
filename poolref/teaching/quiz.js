// Brings one quiz to life: one question at a time, feedback that is announced, answers that survive a reload.
// quiz.py writes this function into each quiz and calls it with the quiz's element; without it, quiz.css does the rest.
(root) => {
  const questions = [...root.querySelectorAll(":scope > fieldset")];
  const keyOf = (question) => `poolref/quiz/${root.dataset.chapter}/${question.dataset.question}`;
  const inputsOf = (question) => [...question.querySelectorAll("input")];
  const chosenIn = (question) => inputsOf(question).findIndex((input) => input.checked);

  // What was chosen, with a hash of the question, so that the answer to a question that has changed since is forgotten.
  // A page may be denied its storage (a sandbox, a private window); answers then last as long as the page.
  const remember = (question) => {
    try {
      const chosen = chosenIn(question);
      if (chosen < 0) localStorage.removeItem(keyOf(question));
      else localStorage.setItem(keyOf(question), JSON.stringify({ hash: question.dataset.hash, chosen }));
    } catch {}
  };
  const recall = (question) => {
    try {
      const kept = JSON.parse(localStorage.getItem(keyOf(question)));
      return kept?.hash === question.dataset.hash ? inputsOf(question)[kept.chosen] : undefined;
    } catch {}
  };

  const tell = (question) => {
    const label = question.querySelector("input:checked + label");
    const feedback = question.querySelector(".feedback");
    feedback.classList.toggle("right", label?.dataset.right !== undefined);
    feedback.replaceChildren(
      ...(label?.dataset.feedback ?? "").split("`").map((text, i) => {
        if (i % 2 === 0) return text;
        const code = document.createElement("code");
        code.textContent = text;
        return code;
      }),
    );
  };

  const steps = document.createElement("div");
  steps.className = "steps";
  const button = (text, act) => {
    const made = document.createElement("button");
    Object.assign(made, { type: "button", textContent: text });
    made.dataset.lmSuppressShortcuts = "true"; // JupyterLab would take Enter for a command of its own
    made.addEventListener("click", act);
    return made;
  };
  const where = document.createElement("span");
  const back = button("Back", () => go(current - 1));
  const next = button("Next", () => go(current + 1));
  const again = button("Start over", () => {
    for (const question of questions) {
      for (const input of inputsOf(question)) input.checked = false;
      remember(question);
      tell(question);
    }
    go(0);
  });
  steps.append(where, back, next, again);

  let current = 0;
  const show = () => {
    questions.forEach((question, i) => question.classList.toggle("current", i === current));
    // Above the feedback, so that an answer does not push the buttons away.
    if (!questions[current].contains(steps)) questions[current].querySelector(".feedback").before(steps);
    const answered = questions.filter((question) => chosenIn(question) >= 0).length;
    const right = root.querySelectorAll(":scope > fieldset input:checked + label[data-right]").length;
    const all = answered === questions.length ? ` · all answered, ${right} right` : ` · ${answered} answered`;
    where.textContent = `Question ${current + 1} of ${questions.length}${answered ? all : ""}`;
    back.disabled = current === 0;
    next.disabled = current === questions.length - 1;
    again.disabled = answered === 0;
  };
  const go = (number) => {
    current = number;
    show();
    questions[current].querySelector("legend").focus({ preventScroll: true });
    questions[current].scrollIntoView({ block: "nearest" });
  };

  for (const question of questions) {
    question.querySelector("legend").tabIndex = -1;
    const kept = recall(question);
    if (kept) kept.checked = true;
    tell(question);
    question.querySelector(".feedback").setAttribute("role", "status"); // from now on, what changes is announced
    question.addEventListener("change", () => {
      remember(question);
      tell(question);
      show();
    });
  }
  root.querySelector(":scope > .answers")?.remove();
  root.classList.add("alive");
  current = Math.max(0, questions.findIndex((question) => chosenIn(question) < 0));
  show();
};
