"""A person who has a keyboard and no mouse, and has to see where the focus is."""

from dataclasses import dataclass, field

from playwright.async_api import Locator, Page, expect

# No page of the tests has more places where the focus can be.
MOST = 300

# What is wrong with the place of the focus, and where it is: its text, and whether it comes after the last place.
_PLACE = """() => {
  const item = document.activeElement;
  if (!item || item === document.body) { window.placed = null; return null; }
  const style = getComputedStyle(item), box = item.getBoundingClientRect(), wrong = [];
  if (style.outlineStyle === "none" || parseFloat(style.outlineWidth) < 2) wrong.push("has no outline");
  const isShown = item.checkVisibility({ visibilityProperty: true, opacityProperty: true });
  if (!isShown || box.width < 2) wrong.push("is hidden");
  const x = Math.min(Math.max((box.left + box.right) / 2, 0), innerWidth - 1);
  const tops = [0.2, 0.5, 0.8].map((part) => box.top + part * box.height).filter((y) => y >= 0 && y < innerHeight);
  const isFree = (top) => top && (item.contains(top) || top.contains(item));
  if (!tops.some((y) => isFree(document.elementFromPoint(x, y)))) wrong.push("is out of sight or covered");
  const last = window.placed;
  const follows = !last?.isConnected || last.compareDocumentPosition(item) & Node.DOCUMENT_POSITION_FOLLOWING;
  if (!follows) wrong.push("comes before the last place");
  window.placed = item;
  return { name: item.outerHTML.slice(0, 120), wrong };
}"""

# Every place that the keyboard must reach: what a person can press or fill in, and regions that scroll.
_PLACES = """() => {
  const places = document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex='0']");
  const isShown = (item) => item.checkVisibility({ visibilityProperty: true });
  return [...places].filter((item) => !item.disabled && item.type !== "hidden" && isShown(item)).length;
}"""


@dataclass
class Keyboard:
    """The keys. `passed` counts the places of this page that had the focus."""

    page: Page
    passed: int = field(default=0)

    async def tab(self) -> bool:
        """Move the focus on. Return False when it has left the page. Raises AssertionError when it can't be seen."""
        await self.page.keyboard.press("Tab")
        place = await self.page.evaluate(_PLACE)
        if place is None:
            return False
        if place["wrong"]:
            raise AssertionError(f"{place['name']} {' and '.join(place['wrong'])}")
        self.passed += 1
        return True

    async def to(self, goal: Locator) -> None:
        """Move the focus on until it is at `goal`."""
        await expect(goal).to_be_visible()
        for _ in range(MOST):
            await self.tab()
            if await goal.evaluate("item => item === document.activeElement"):
                return
        raise AssertionError(f"the keyboard does not reach {goal}")

    async def press(self, goal: Locator, key: str = "Enter") -> None:
        """Go to a link, a button or a box, and press a key there."""
        await self.to(goal)
        await self.page.keyboard.press(key)

    async def write(self, goal: Locator, text: str) -> None:
        await self.to(goal)
        await self.page.keyboard.type(text)

    async def round(self) -> None:
        """Go through the whole page, once. Raises AssertionError for a place that keeps the focus, or is left out."""
        await self.page.evaluate("window.placed = null; document.activeElement.blur()")
        self.passed = 0
        while await self.tab():
            if self.passed > MOST:
                raise AssertionError("the focus does not leave the page")
        if self.passed < (places := int(await self.page.evaluate(_PLACES))):
            raise AssertionError(f"the keyboard reaches {self.passed} of {places} places of {self.page.url}")
