// Shows whether the page is live, connects again, and leads the key "/" to the search box. All else works without
// JavaScript.
(() => {
  // A shorter time without a stream is no news: the console was replaced, or the session was renewed.
  const LOST_MS = 2000;
  // After the first connection of a page has failed; htmx repeats the later ones itself.
  const AGAIN_MS = 5000;
  const shown = document.documentElement.dataset;
  let losing = 0;
  const isOver = () => shown.live === "ended" || shown.live === "gone";
  const show = (state) => {
    clearTimeout(losing);
    losing = 0;
    if (!isOver()) shown.live = state;
  };
  const lose = () => { losing = losing || setTimeout(show, LOST_MS, "lost"); };
  const fail = (status) => { if (status === 401 || status === 403) show("ended"); else lose(); };
  const failFirst = (event) => {
    if (event.target.id !== "live" || !event.detail.ctx) return;
    fail(event.detail.ctx.response?.raw?.status);
    setTimeout(() => { if (!isOver()) window.htmx.trigger(event.target, "again"); }, AGAIN_MS);
  };
  document.addEventListener("htmx-sse-before-connection", (event) => { if (isOver()) event.preventDefault(); else lose(); });
  document.addEventListener("htmx-sse-after-connection", () => show("on"));
  document.addEventListener("htmx-sse-after-message", () => show("on"));
  document.addEventListener("htmx-sse-error", (event) => fail(event.detail.status));
  document.addEventListener("htmx-response-error", failFirst);
  document.addEventListener("htmx-error", failFirst);
  document.addEventListener("ended", () => show("gone"));
  document.addEventListener("keydown", (event) => {
    const typing = /^(input|textarea|select)$/i.test(event.target.tagName) || event.target.isContentEditable;
    const search = document.getElementById("search");
    if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey || !search) return;
    event.preventDefault();
    search.focus();
  });
})();
