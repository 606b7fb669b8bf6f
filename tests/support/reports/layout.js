// What tests/reports/page/test_browser.py asks a page: sentences about what a reader could not see or read.
// Evaluated in the page; `return inspect(kind)` gives a list of strings, empty when all is well.
const SLACK = 1.5;
const shown = (e) => e.checkVisibility({ opacityProperty: true, visibilityProperty: true }) && e.getClientRects().length > 0;
const name = (e) => {
  const text = (e.textContent || "").trim().replace(/\s+/g, " ").slice(0, 40);
  const kind = e.getAttribute("class");
  return `<${e.tagName.toLowerCase()}${e.id ? "#" + e.id : ""}${kind ? "." + kind : ""}> ${text}`;
};
const scrolls = (e) => !matchMedia("print").matches && e.closest(".scroll") !== null;

// The rectangles of an element's own text, without that of its children.
function ownText(element) {
  const rects = [];
  for (const node of element.childNodes) {
    if (node.nodeType !== Node.TEXT_NODE || !node.textContent.trim()) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    rects.push(...[...range.getClientRects()].filter((r) => r.width > 0.5 && r.height > 0.5));
  }
  return rects;
}
const texts = () => [...document.querySelectorAll("main *")].filter(
  (e) => !e.closest("svg, script, style") && shown(e) && ownText(e).length);
const meet = (a, b) =>
  Math.min(a.right, b.right) - Math.max(a.left, b.left) > SLACK && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > SLACK;

function overflow() {
  const wide = document.documentElement.clientWidth, found = [];
  if (document.documentElement.scrollWidth > wide + SLACK)
    found.push(`the page is ${document.documentElement.scrollWidth} px wide on ${wide} px`);
  for (const e of document.querySelectorAll("main *")) {
    if (!shown(e) || scrolls(e) || (e.closest("svg") && e.tagName !== "svg")) continue;
    const box = e.getBoundingClientRect();
    if (box.right > wide + SLACK || box.left < -SLACK) found.push(`${name(e)} reaches from ${box.left} to ${box.right} of ${wide}`);
  }
  return found;
}

function clipped() {
  const found = [];
  for (const e of document.querySelectorAll("main *")) {
    if (!shown(e) || e.closest("svg") || !e.textContent.trim()) continue;
    const hides = getComputedStyle(e).overflowX !== "visible";
    if (hides && !e.classList.contains("scroll") && e.scrollWidth > e.clientWidth + SLACK)
      found.push(`${name(e)} shows ${e.clientWidth} of ${e.scrollWidth} px`);
  }
  for (const e of document.querySelectorAll("main .tile, main td, main th, main .verdict")) {
    if (!shown(e)) continue;
    const box = e.getBoundingClientRect();
    for (const inner of [e, ...e.querySelectorAll("*")]) {
      if (!shown(inner)) continue;
      for (const r of ownText(inner))
        if (r.right > box.right + SLACK || r.left < box.left - SLACK)
          found.push(`${name(e)}: its text reaches from ${r.left} to ${r.right} in ${box.left} to ${box.right}`);
    }
  }
  for (const svg of document.querySelectorAll("main svg")) {
    if (!shown(svg)) continue;
    const box = svg.getBoundingClientRect();
    for (const text of svg.querySelectorAll("text")) {
      const r = text.getBoundingClientRect();
      if (r.right > box.right + SLACK || r.left < box.left - SLACK || r.bottom > box.bottom + 3 || r.top < box.top - 3)
        found.push(`${name(text)} lies outside its picture`);
    }
  }
  return found;
}

function overlaps() {
  const found = [];
  // Blocks beside and below each other.
  for (const parent of document.querySelectorAll("main, .tiles, .card, .pair, .legend, nav, details, tr")) {
    const boxes = [...parent.children].filter((e) => shown(e) && e.tagName !== "COL")
      .map((e) => [e, e.getBoundingClientRect()]).filter(([, r]) => r.width > 0 && r.height > 0);
    for (let i = 0; i < boxes.length; i++)
      for (let j = i + 1; j < Math.min(boxes.length, i + 12); j++)
        if (meet(boxes[i][1], boxes[j][1])) found.push(`${name(boxes[i][0])} lies on ${name(boxes[j][0])}`);
  }
  // Texts of the whole page, in order of their tops; what scrolls under a column that stays is not on it.
  const rects = texts().flatMap((e) => ownText(e).map((r) => [e, r])).sort((a, b) => a[1].top - b[1].top);
  rects.forEach(([e, r], i) => {
    for (let j = i + 1; j < rects.length && rects[j][1].top < r.bottom; j++)
      if (rects[j][0] !== e && meet(r, rects[j][1])) found.push(`${name(e)} lies on ${name(rects[j][0])}`);
  });
  for (const svg of document.querySelectorAll("main svg")) {
    if (!shown(svg)) continue;
    const labels = [...svg.querySelectorAll("text")].map((e) => [e, e.getBoundingClientRect()]);
    labels.forEach(([e, r], i) => {
      for (let j = i + 1; j < labels.length; j++)
        if (meet(r, labels[j][1])) found.push(`${name(e)} lies on ${name(labels[j][0])} in a picture`);
    });
  }
  return found;
}

const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
function rgba(colour) {
  canvas.clearRect(0, 0, 1, 1);
  canvas.fillStyle = colour;
  canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data];
}
function luminance([r, g, b]) {
  const linear = [r, g, b].map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
  return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
}
function background(element) {
  for (let e = element; e; e = e.parentElement) {
    const colour = rgba(getComputedStyle(e).backgroundColor);
    if (colour[3] === 255 && !e.closest("svg")) return colour;
  }
  return rgba("white");
}
// WCAG 2: 4.5 to 1, or 3 to 1 for large text.
function contrast() {
  const found = [];
  const labels = [...document.querySelectorAll("main svg text")].filter((e) => shown(e) && !e.closest(".sheet"));
  for (const e of [...texts().filter((e) => !e.closest(".sheet")), ...labels]) {
    const style = getComputedStyle(e), size = parseFloat(style.fontSize);
    const [a, b] = [luminance(rgba(e.tagName === "text" ? style.fill : style.color)), luminance(background(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const large = size >= 24 || (size >= 18.66 && parseInt(style.fontWeight) >= 600);
    if (ratio < (large ? 3 : 4.5)) found.push(`${name(e)} has a contrast of ${ratio.toFixed(2)}`);
  }
  return found;
}
const inspect = (kind) => ({ overflow, clipped, overlaps, contrast })[kind]().slice(0, 12);
