// Shows whether the page is live, and leads the key "/" to the search box. All else works without JavaScript.
(() => {
  const show = (state) => () => {
    if (document.documentElement.dataset.live !== "ended") document.documentElement.dataset.live = state;
  };
  document.addEventListener("htmx-sse-after-connection", show("on"));
  document.addEventListener("htmx-sse-after-message", show("on"));
  document.addEventListener("htmx-sse-before-connection", show("lost"));
  document.addEventListener("htmx-sse-error", show("lost"));
  document.addEventListener("ended", show("ended"));
  document.addEventListener("keydown", (event) => {
    const typing = /^(input|textarea|select)$/i.test(event.target.tagName) || event.target.isContentEditable;
    const search = document.getElementById("search");
    if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey || !search) return;
    event.preventDefault();
    search.focus();
  });
})();
