// Elements from data. Texts become text nodes: nothing here reads markup.
function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "class") node.className = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  append(node, children);
  return node;
}
function append(node, children) {
  for (const child of children.flat(Infinity)) {
    if (child === undefined || child === null || child === false || child === "") continue;
    node.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
}
let freshId = 0;
const newId = (prefix) => `${prefix}-${++freshId}`;

/// A labelled <select>; `options` are [value, text]. One option needs no control.
function select(label, options, value, onchange) {
  const node = el("select", { onchange: (event) => onchange(event.target.value) });
  for (const [key, text] of options) node.append(el("option", { value: key, selected: key === value }, text));
  return el("label", { class: "control", hidden: options.length < 2 }, el("span", {}, label), node);
}

function plainTable(head, rows, numeric = []) {
  const cell = (text, index) => el("td", { class: numeric.includes(index) ? "number" : undefined }, text);
  return el(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table" },
    el(
      "table",
      { class: "plain" },
      el(
        "thead",
        {},
        el(
          "tr",
          {},
          head.map((text) => el("th", { scope: "col" }, text)),
        ),
      ),
      el(
        "tbody",
        {},
        rows.map((row) => el("tr", {}, row.map(cell))),
      ),
    ),
  );
}

function section(id, title, lead, ...children) {
  const heading = el("h2", { id: id + "-title" }, title);
  const node = el("section", { id, "aria-labelledby": id + "-title" }, heading);
  if (lead) node.append(el("p", { class: "lead" }, lead));
  append(node, children);
  return node;
}

function download(name, type, text) {
  const link = el("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = el("textarea", { class: "offscreen", "aria-hidden": "true" });
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}
