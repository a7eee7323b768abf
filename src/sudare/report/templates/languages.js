// What reads otherwise in the page's other language waits in a <template>, by number; the button
// exchanges the two.
const template = document.querySelector("template");
if (template) {
  const root = document.documentElement;
  const button = document.querySelector("button.language");
  const charts = template.content.querySelectorAll("figure");
  const names = ["alt", "aria-label", "data-column", "lang"];
  let waiting = [...template.content.querySelectorAll("li")].map((item) => item.textContent);
  const turn = () => {
    const shown = [];
    const exchange = (number, text) => {
      shown[number] = text;
      return waiting[number];
    };
    for (const element of document.querySelectorAll("[data-t]")) {
      element.textContent = exchange(element.dataset.t, element.textContent);
    }
    for (const name of names) {
      for (const element of document.querySelectorAll(`[data-t-${name}]`)) {
        const number = element.getAttribute(`data-t-${name}`);
        element.setAttribute(name, exchange(number, element.getAttribute(name)));
      }
    }
    for (const place of document.querySelectorAll("[data-chart]")) {
      const other = charts[place.dataset.chart];
      const drawn = [...place.childNodes];
      place.replaceChildren(...other.childNodes);
      other.replaceChildren(...drawn);
    }
    waiting = shown;
    [root.lang, template.lang] = [template.lang, root.lang];
    for (const input of document.querySelectorAll(".filter input")) {
      input.dispatchEvent(new Event("input"));
    }
  };
  button.hidden = false;
  button.addEventListener("click", turn);
}
