"""One page in windows of different sizes, without loading it again."""

from dataclasses import dataclass

from playwright.async_api import CDPSession, Page

# The menu is open, where there is one: its links are behind a button in a narrow window.
_OUTSIDE = """() => {
  const width = document.documentElement.clientWidth;
  const inside = (item) => {
    for (let each = item.parentElement; each; each = each.parentElement) {
      if (["auto", "scroll", "hidden"].includes(getComputedStyle(each).overflowX)) return true;
    }
    return false;
  };
  const wide = [...document.querySelectorAll("body *")].filter((item) => {
    const box = item.getBoundingClientRect();
    return box.width && (box.right > width + 1 || box.left < -1) && !item.closest(".hidden, .skip") && !inside(item);
  });
  if (document.documentElement.scrollWidth > width) wide.push(document.documentElement);
  return wide.map((item) => item.outerHTML.slice(0, 100));
}"""

# Texts that can be seen, whole or by scrolling. A text that is cut off is none, unless its title has it. The name of
# the project is a picture where there is no room.
_TEXTS = """() => {
  const menu = document.querySelector(".menu");
  if (menu?.checkVisibility()) document.getElementById("navigation").showPopover();
  const cut = (item) => {
    for (let each = item; each && each !== document.body; each = each.parentElement) {
      const style = getComputedStyle(each), hides = ["hidden", "clip"];
      const isCut = (hides.includes(style.overflowX) && each.scrollWidth > each.clientWidth + 1)
        || (hides.includes(style.overflowY) && each.scrollHeight > each.clientHeight + 1);
      if (isCut && !each.title) return true;
    }
    return false;
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), found = [];
  while (texts.nextNode()) {
    const text = texts.currentNode.textContent.trim().replace(/\\s+/g, " "), item = texts.currentNode.parentElement;
    const isSeen = item.checkVisibility({ visibilityProperty: true, opacityProperty: true });
    if (text && isSeen && !item.closest(".brand") && !cut(item)) found.push(text);
  }
  if (menu?.checkVisibility()) document.getElementById("navigation").hidePopover();
  return found;
}"""

_TEXT_SIZE = """(size) => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`:root { font-size: ${size} }`);
  document.adoptedStyleSheets = [sheet];
}"""


@dataclass(frozen=True)
class Window:
    """CSS pixels, how many device pixels each has, and the size of the text of the root."""

    width: int
    height: int
    scale: float = 1.0
    text: str = "100%"


@dataclass(frozen=True)
class Windows:
    """A page that is put into one window after the other."""

    page: Page
    session: CDPSession

    @classmethod
    async def of(cls, page: Page) -> "Windows":
        return cls(page, await page.context.new_cdp_session(page))

    async def outside(self, window: Window) -> list[str]:
        """Return the elements that stick out of the window."""
        await self._put(window)
        return [str(each) for each in await self.page.evaluate(_OUTSIDE)]

    async def texts(self, window: Window) -> set[str]:
        """Return the texts that a person can see there."""
        await self._put(window)
        return set(await self.page.evaluate(_TEXTS))

    async def _put(self, window: Window) -> None:
        sizes = {"width": window.width, "height": window.height, "deviceScaleFactor": window.scale, "mobile": False}
        await self.session.send("Emulation.setDeviceMetricsOverride", sizes)
        await self.page.evaluate(_TEXT_SIZE, window.text)
