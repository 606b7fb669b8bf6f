"use strict";
// Draws the schedule again at the width of the screen and zoomed; the same timeline as reports/draw/timeline.py.
(() => {
  const data = JSON.parse(document.getElementById("schedule-data").textContent);
  const svg = document.getElementById("schedule"), tip = document.getElementById("tip");
  const shown = document.getElementById("zoom-range");
  const LANE = 30, GAP = 8, BAND = 18, TOP = BAND + GAP, HEIGHT = TOP + 4 * (LANE + GAP) + 22;
  const PAPER = 760, EMPTY = data.causes.length - 1;
  // A bar begins at its issue (s[2]), or when the previous instruction of its queue retires: s[6].
  const lanes = data.queues.map((_, q) => {
    let complete = 0;
    return data.spans.filter((s) => s[0] === q).map((s) => {
      const begin = Math.max(s[2], complete);
      complete = Math.max(s[3], complete);
      return [...s, begin];
    });
  });
  const waits = data.queues.map((_, q) => data.waits.filter((w) => w[0] === q));
  let from = 0, to = data.cycles, width = 1120, left = 64, paper = false;
  const group = (n) => Math.round(n).toLocaleString("en").replaceAll(",", "\u202f");
  const escape = (s) => s.replace(/[&<>]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[c]);
  const step = (cycles, wanted) => {
    for (let s = 1; ; s *= 10) for (const f of [1, 2, 5]) if (cycles / (s * f) <= wanted) return s * f;
  };
  const rect = (name, x, y, w, h) =>
    `<rect class="${name}" x="${x.toFixed(1)}" y="${y}" width="${Math.max(w, 0.6).toFixed(1)}" height="${h}"/>`;
  const at = (cycle) => left + (Math.min(Math.max(cycle, from), to) - from) * (width - left) / (to - from);

  function drawBands(out) {
    data.bands.forEach(([label, start, end], index) => {
      if (end < from || start > to) return;
      const a = at(start), b = at(end), name = data.labels[label];
      out.push(rect("band" + (index % 2), a, 0, b - a, BAND));
      if (b - a > 7 * name.length) out.push(`<text class="middle" x="${(a + b) / 2}" y="13">${escape(name)}</text>`);
    });
  }

  // What is under half a pixel apart and of one colour is one bar; a zoom takes it apart.
  function drawBars(out, bars, y, height) {
    let name = "", a = 0, b = -1;
    const flush = () => { if (name) out.push(rect(name, a, y, b - a, height)); };
    for (const [kind, start, end] of bars) {
      if (end < from || start > to) continue;
      const l = at(start), r = at(end);
      if (kind === name && l - b < 0.5 && r - l < 3) { b = Math.max(b, r); continue; }
      flush();
      [name, a, b] = [kind, l, r];
      if (r - l >= 3) { out.push(rect(kind, a, y, Math.max(b - a - 0.7, 0.6), height)); name = ""; }
    }
    flush();
  }

  function draw() {
    width = paper ? PAPER : Math.max(svg.clientWidth, 280);
    left = width < 600 ? 48 : 64;
    const out = [];
    drawBands(out);
    lanes.forEach((spans, q) => {
      const y = TOP + q * (LANE + GAP);
      out.push(rect("lane", left, y, width - left, LANE));
      out.push(`<text class="end" x="${left - 6}" y="${y + 19}">${data.queues[q]}</text>`);
      drawBars(out, waits[q].filter((w) => w[3] !== EMPTY).map((w) => ["w" + w[3], w[1], w[2]]), y + LANE / 2 - 3, 6);
      drawBars(out, spans.map((s) => ["k" + s[4], s[6], s[3]]), y + 2, LANE - 4);
    });
    const unit = step(to - from, width < 600 ? 4 : 8);
    for (let t = Math.ceil(from / unit) * unit; t <= to; t += unit)
      if (at(t) < width - 8 * group(t).length * 0.9) out.push(`<text class="tick" x="${at(t)}" y="${HEIGHT - 6}">${group(t)}</text>`);
    svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    svg.innerHTML = out.join("");
    shown.textContent = `cycles ${group(from)} to ${group(to)}`;
  }

  function zoom(factor, center) {
    const span = Math.min(Math.max((to - from) * factor, 40), data.cycles);
    const share = (center - from) / (to - from);
    from = Math.min(Math.max(center - span * share, 0), data.cycles - span);
    to = from + span;
    draw();
  }
  const cycleAt = (event) => {
    const box = svg.getBoundingClientRect();
    return from + ((event.clientX - box.left) * (width / box.width) - left) * (to - from) / (width - left);
  };
  const middle = () => (from + to) / 2;
  document.getElementById("zoom-in").onclick = () => zoom(0.5, middle());
  document.getElementById("zoom-out").onclick = () => zoom(2, middle());
  document.getElementById("zoom-all").onclick = () => { from = 0; to = data.cycles; draw(); };
  svg.addEventListener("dblclick", (event) => zoom(0.4, cycleAt(event)));
  svg.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.shiftKey) return; // a plain wheel scrolls the page
    event.preventDefault();
    zoom(event.deltaY + event.deltaX > 0 ? 1.25 : 0.8, cycleAt(event));
  }, { passive: false });

  let grip = null;
  svg.addEventListener("pointerdown", (event) => { grip = { x: event.clientX, from, to }; });
  window.addEventListener("pointerup", () => { grip = null; });
  window.addEventListener("pointercancel", () => { grip = null; });
  svg.addEventListener("pointermove", (event) => {
    if (grip && Math.abs(event.clientX - grip.x) > 2) {
      const span = grip.to - grip.from;
      const moved = (event.clientX - grip.x) * span / (svg.clientWidth - left);
      from = Math.min(Math.max(grip.from - moved, 0), data.cycles - span);
      to = from + span;
      tip.style.display = "none";
      draw();
      return;
    }
    show(event);
  });
  svg.addEventListener("pointerleave", () => { tip.style.display = "none"; });

  function about(y, cycle) {
    if (y < BAND) {
      const band = data.bands.find((b) => b[1] <= cycle && cycle < b[2]);
      return band ? `<b>${escape(data.labels[band[0]])}</b><br>${group(band[1])} – ${group(band[2])}: ${group(band[2] - band[1])} cycles` : "";
    }
    const q = Math.floor((y - TOP) / (LANE + GAP)), slack = (to - from) / (width - left);
    if (!lanes[q]) return "";
    const hit = lanes[q].findLast((s) => s[6] - slack <= cycle && cycle <= s[3] + slack);
    if (hit) return `<b>${escape(data.labels[hit[5]]) || "(no layer)"}</b><br>${escape(data.kinds[hit[4]])}, instruction ${hit[1]}<br>` +
      `issued ${group(hit[2])}, retired ${group(hit[3])}`;
    const wait = waits[q].find((w) => w[1] <= cycle && cycle < w[2]);
    return wait ? `<b>${escape(data.causes[wait[3]])}</b><br>${group(wait[1])} – ${group(wait[2])}: ${group(wait[2] - wait[1])} cycles` : "";
  }

  function show(event) {
    const box = svg.getBoundingClientRect();
    const text = about((event.clientY - box.top) * (width / box.width), cycleAt(event));
    tip.style.display = text ? "block" : "none";
    tip.innerHTML = text;
    tip.style.left = Math.max(8, Math.min(event.clientX + 12, window.innerWidth - tip.offsetWidth - 8)) + "px";
    tip.style.top = event.clientY + 16 + "px";
  }
  window.addEventListener("resize", draw);
  window.addEventListener("beforeprint", () => { paper = true; draw(); });
  window.addEventListener("afterprint", () => { paper = false; draw(); });
  draw();
})();
