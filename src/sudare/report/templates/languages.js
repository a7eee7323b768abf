// The page in its other language waits in a <template>; a button puts one in the place of the other.
const text = document.getElementById("text");
const template = document.querySelector("template");
if (template) {
  const [pictures, rows] = ["img", "tbody tr"].map((kind) => text.querySelectorAll(kind));
  const other = { words: template.content, lang: template.lang, title: template.dataset.title };
  for (const image of other.words.querySelectorAll("img[data-same]")) {
    image.src = pictures[image.dataset.same].src;
  }
  for (const row of other.words.querySelectorAll("tr[data-same]")) {
    const whole = rows[row.dataset.same].cloneNode(true);
    for (const cell of [...row.cells]) whole.cells[cell.dataset.at].replaceWith(cell);
    row.replaceWith(whole);
  }
  sortable(other.words);
  const turn = () => {
    const root = document.documentElement;
    const unfolded = [...text.querySelectorAll("details")].map((part) => part.open);
    const words = document.createDocumentFragment();
    words.append(...text.childNodes);
    text.append(other.words);
    [other.words, other.lang, root.lang] = [words, root.lang, other.lang];
    [other.title, document.title] = [document.title, other.title];
    [...text.querySelectorAll("details")].forEach((part, at) => { part.open = unfolded[at]; });
    text.querySelector("button.language").focus();
  };
  for (const root of [text, other.words]) {
    const button = root.querySelector("button.language");
    button.hidden = false;
    button.addEventListener("click", turn);
  }
}
