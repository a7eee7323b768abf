// Tables read well without this; it only adds sorting by column and a text filter.
const compare = (a, b) =>
  a === "" || b === "" || Number.isNaN(a - b) ? a.localeCompare(b) : a - b;
function sortable(root) {
  for (const table of root.querySelectorAll("table[data-tools], #table-releases")) {
    const body = table.tBodies[0];
    const key = (row, column) => {
      const cell = row.cells[column];
      return cell.dataset.sort ?? cell.textContent.trim();
    };
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const up = head.getAttribute("aria-sort") === "descending";
        for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        const rows = [...body.rows].sort((a, b) => compare(key(a, column), key(b, column)));
        body.append(...(up ? rows : rows.reverse()));
      });
    });
    if (!table.dataset.tools) continue;
    const label = document.createElement("label");
    label.className = "filter";
    label.textContent = table.dataset.tools + " ";
    const input = document.createElement("input");
    input.type = "search";
    label.append(input);
    table.parentElement.before(label);
    input.addEventListener("input", () => {
      const wanted = input.value.toLowerCase().split(/\s+/);
      for (const row of body.rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !wanted.every((word) => text.includes(word));
      }
    });
  }
}
sortable(document);
