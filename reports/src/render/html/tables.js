// Sorting for every table, a filter for the long ones. Nothing else.
for (const box of document.querySelectorAll(".table")) {
  const body = box.querySelector("tbody");
  const heads = [...box.querySelectorAll("th")];
  const value = (row, column) => {
    const cell = row.children[column];
    return cell.dataset.sort === undefined
      ? cell.textContent.trim()
      : Number(cell.dataset.sort);
  };
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const rows = [...body.rows].sort((a, b) => {
        const [x, y] = [value(a, column), value(b, column)];
        const [nx, ny] = [typeof x === "number", typeof y === "number"];
        // Gaps stay at the end, whichever way numbers run.
        if (nx !== ny) return nx ? -1 : 1;
        const order = nx ? x - y : x.localeCompare(y, "en", { numeric: true });
        return up ? order : -order;
      });
      body.append(...rows);
    });
  });
  if (!box.hasAttribute("data-bulk")) continue;
  const bar = document.createElement("div");
  bar.className = "filter";
  const input = document.createElement("input");
  input.type = "search";
  input.placeholder = "Filter, e.g. decode measured";
  input.setAttribute("aria-label", "Filter rows");
  const count = document.createElement("span");
  const texts = new Map([...body.rows].map((r) => [r, r.textContent.toLowerCase()]));
  const apply = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const [row, text] of texts) {
      row.hidden = !words.every((word) => text.includes(word));
      if (!row.hidden) shown += 1;
    }
    count.textContent = `${shown} of ${texts.size} rows`;
  };
  input.addEventListener("input", apply);
  bar.append(input, count);
  box.querySelector(".scroll").before(bar);
  apply();
}
