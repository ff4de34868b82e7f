// Five minutes before the session ends, asks for the password. The page stays. All tabs of the browser have one session:
// each hears of a renewal in another one. Streams end with the old session, and connect again in the new one.
(() => {
  const BEFORE_S = 300;
  const box = document.getElementById("renewal");
  if (!box) return;
  const form = box.querySelector("form");
  const said = box.querySelector(".problem");
  const tabs = new BroadcastChannel("console-session");
  let asking = 0;
  const askIn = (seconds) => {
    clearTimeout(asking);
    asking = setTimeout(() => { box.hidden = false; }, Math.max(seconds - BEFORE_S, 0) * 1000);
  };
  const say = (text) => { said.textContent = text; said.hidden = !text; };
  const renewed = (told) => {
    // It stays the same as long as browser and person do: a tab of another person is none of this session.
    if (told.form !== form.elements.form.value) return;
    box.hidden = true;
    form.reset();
    say("");
    askIn(told.left_s);
  };
  tabs.addEventListener("message", (event) => renewed(event.data));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    say("");
    const asked = { method: "POST", body: new URLSearchParams(new FormData(form)), redirect: "manual" };
    try {
      const answer = await fetch(form.action, asked);
      if (answer.type === "opaqueredirect") location.assign(form.dataset.login);
      else if (answer.ok) {
        const told = await answer.json();
        renewed(told);
        tabs.postMessage(told);
      }
      else say(answer.status === 401 ? "The password is not right" : `Not renewed (${answer.status}); try again in a moment`);
    } catch {
      say("The console does not answer; try again in a moment");
    }
  });
  askIn(Number(box.dataset.left));
})();
