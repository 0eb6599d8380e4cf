// A chart as a file of its own: SVG with every colour and letter written out, light on whatever page, with its title and
// what its colours stand for; and the same on a page of its own size, which the browser prints as PDF.
const inkProperties = [
  "fill",
  "fill-opacity",
  "stroke",
  "stroke-width",
  "stroke-opacity",
  "stroke-dasharray",
  "opacity",
  "font-size",
  "font-weight",
  "font-variant-numeric",
  "text-anchor",
  "paint-order",
];
const fileFont = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif";
const svgSpace = "http://www.w3.org/2000/svg";

function svgElement(tag, attributes, text) {
  const node = document.createElementNS(svgSpace, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

// Styles as the browser computes them in light colours: the file knows nothing of the page's.
function withLightColours(use) {
  const root = document.documentElement;
  const before = root.dataset.theme;
  root.dataset.theme = "light";
  try {
    return use();
  } finally {
    if (before === undefined) delete root.dataset.theme;
    else root.dataset.theme = before;
  }
}
const lightColour = (colour) =>
  withLightColours(() => {
    const probe = el("span", { style: `color: ${colour}` });
    document.body.append(probe);
    const computed = getComputedStyle(probe).color;
    probe.remove();
    return computed;
  });

function inkedCopy(svg) {
  const copy = svg.cloneNode(true);
  withLightColours(() => {
    const [own, copies] = [svg.querySelectorAll("*"), copy.querySelectorAll("*")];
    own.forEach((node, index) => {
      const computed = getComputedStyle(node);
      for (const name of inkProperties) copies[index].setAttribute(name, computed.getPropertyValue(name));
    });
  });
  for (const node of copy.querySelectorAll("style, [aria-label=tip]")) node.remove();
  for (const node of [copy, ...copy.querySelectorAll("*")])
    for (const name of ["style", "class"]) node.removeAttribute(name);
  return copy;
}

/// The drawing with its title above and its legend below.
function standalone(drawn, title) {
  const { svg, legend = [] } = drawn;
  const width = Number(svg.getAttribute("width"));
  const height = Number(svg.getAttribute("height"));
  const titleHeight = 30;
  const row = 18;
  const copy = inkedCopy(svg);
  const keys = legend.length < 2 ? [] : legend;
  const whole = svgElement("svg", {
    xmlns: svgSpace,
    width,
    height: height + titleHeight + keys.length * row + (keys.length > 0 ? 22 : 0),
    "font-family": fileFont,
    "font-size": 12,
    fill: "#1b1f24",
  });
  whole.setAttribute("viewBox", `0 0 ${width} ${whole.getAttribute("height")}`);
  whole.append(svgElement("title", {}, title));
  whole.append(svgElement("text", { x: 8, y: 20, "font-size": 14, "font-weight": 600 }, title));
  copy.setAttribute("y", titleHeight);
  copy.setAttribute("x", 0);
  copy.setAttribute("overflow", "visible");
  copy.setAttribute("color", "#1b1f24");
  copy.setAttribute("fill", "#1b1f24");
  whole.append(copy);
  keys.forEach(([text, colour, dash], index) => {
    const y = height + titleHeight + 18 + index * row;
    const stroke = lightColour(colour);
    whole.append(
      svgElement("line", { x1: 8, x2: 36, y1: y, y2: y, stroke, "stroke-width": 3, "stroke-dasharray": dash ?? "none" }),
      svgElement("text", { x: 44, y: y + 4 }, text),
    );
  });
  return whole;
}

const svgFile = (svg) => new XMLSerializer().serializeToString(svg) + "\n";

function fileName(id, drawn) {
  const { about = {} } = drawn;
  const parts = [data.study.name, id, about.workload, about.case, about.metric, about.quality?.metric, about.cost?.case];
  return parts
    .filter(Boolean)
    .join("-")
    .replace(/[^\w.-]+/g, "_")
    .slice(0, 120);
}

/// Everything else is hidden from the printer, and the page is as large as the drawing.
function printAlone(svg, name) {
  document.getElementById("print-sheet")?.remove();
  const style = el(
    "style",
    {},
    `@page { size: ${svg.getAttribute("width")}px ${svg.getAttribute("height")}px; margin: 0 }`,
  );
  const sheet = el("div", { id: "print-sheet" }, style, svg);
  document.body.append(sheet);
  const before = document.title;
  document.title = name; // what the browser proposes as the file's name
  const clear = () => {
    sheet.remove();
    document.title = before;
  };
  addEventListener("afterprint", clear, { once: true });
  print();
}
