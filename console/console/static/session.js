// Five minutes before the session ends, asks for the password. The page stays: its forms and its stream go on in the
// new session.
(() => {
  const BEFORE_S = 300;
  const box = document.getElementById("renewal");
  if (!box) return;
  const form = box.querySelector("form");
  const said = box.querySelector(".problem");
  const askIn = (seconds) => setTimeout(() => { box.hidden = false; }, Math.max(seconds - BEFORE_S, 0) * 1000);
  const say = (text) => { said.textContent = text; said.hidden = !text; };
  const follow = () => {
    const live = document.getElementById("live");
    if (!live || !window.htmx) return;
    const anew = live.cloneNode(true);
    live.replaceWith(anew);
    window.htmx.process(anew);
  };
  const renewed = (told) => {
    for (const field of document.querySelectorAll('input[name="form"]')) field.value = told.form;
    box.hidden = true;
    form.reset();
    follow();
    askIn(told.left_s);
  };
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    say("");
    const asked = { method: "POST", body: new URLSearchParams(new FormData(form)), redirect: "manual" };
    try {
      const answer = await fetch(form.action, asked);
      if (answer.type === "opaqueredirect") location.assign(form.dataset.login);
      else if (answer.ok) renewed(await answer.json());
      else say(answer.status === 401 ? "The password is not right" : `Not renewed (${answer.status}); try again in a moment`);
    } catch {
      say("The console does not answer; try again in a moment");
    }
  });
  askIn(Number(box.dataset.left));
})();
