"use strict";
// Draws the schedule again at the width of the screen and zoomed; the same picture as reports/picture.py.
(() => {
  const data = JSON.parse(document.getElementById("schedule-data").textContent);
  const svg = document.getElementById("schedule"), tip = document.getElementById("tip");
  const LANE = 30, GAP = 8, BAND = 18, TOP = BAND + GAP, HEIGHT = TOP + 4 * (LANE + GAP) + 22;
  // A bar begins at its issue (s[2]), or when the instruction before it in its queue is complete: s[6].
  const lanes = data.queues.map((_, q) => {
    let complete = 0;
    return data.spans.filter((s) => s[0] === q).map((s) => {
      const shown = Math.max(s[2], complete);
      complete = Math.max(s[3], complete);
      return [...s, shown];
    });
  });
  let from = 0, to = data.cycles, width = 1120, left = 64;
  const group = (n) => Math.round(n).toLocaleString("en").replaceAll(",", "\u202f");
  const escape = (s) => s.replace(/[&<>]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[c]);
  const step = (cycles, wanted) => {
    for (let s = 1; ; s *= 10) for (const f of [1, 2, 5]) if (cycles / (s * f) <= wanted) return s * f;
  };
  const rect = (name, x, y, w, h) =>
    `<rect class="${name}" x="${x.toFixed(1)}" y="${y}" width="${Math.max(w, 0.6).toFixed(1)}" height="${h}"/>`;

  function draw() {
    width = Math.max(svg.clientWidth, 280);
    left = width < 600 ? 48 : 64;
    const scale = (width - left) / (to - from), out = [];
    const at = (cycle) => left + (Math.min(Math.max(cycle, from), to) - from) * scale;
    data.bands.forEach(([label, start, end], index) => {
      if (end < from || start > to) return;
      const a = at(start), b = at(end), name = data.labels[label];
      out.push(rect("band" + (index % 2), a, 0, b - a, BAND));
      if (b - a > 7 * name.length) out.push(`<text class="middle" x="${(a + b) / 2}" y="13">${escape(name)}</text>`);
    });
    lanes.forEach((spans, q) => {
      const y = TOP + q * (LANE + GAP);
      out.push(rect("lane", left, y, width - left, LANE), `<text class="end" x="${left - 6}" y="${y + 19}">${data.queues[q]}</text>`);
      let kind = -1, a = 0, b = -1;
      const flush = () => { if (kind >= 0) out.push(rect("k" + kind, a, y + 2, b - a, LANE - 4)); };
      for (const s of spans) {
        if (s[3] < from || s[6] > to) continue;
        const l = at(s[6]), r = at(s[3]);
        // What is under half a pixel apart and of one kind is one bar; a zoom takes it apart.
        if (s[4] === kind && l - b < 0.5 && r - l < 3) { b = Math.max(b, r); continue; }
        flush();
        [kind, a, b] = [s[4], l, r];
        if (r - l >= 3) { out.push(rect("k" + kind, a, y + 2, Math.max(b - a - 0.7, 0.6), LANE - 4)); kind = -1; }
      }
      flush();
    });
    const unit = step(to - from, width < 600 ? 4 : 8);
    for (let t = Math.ceil(from / unit) * unit; t <= to; t += unit)
      if (at(t) < width - 8 * group(t).length * 0.9) out.push(`<text class="tick" x="${at(t)}" y="${HEIGHT - 6}">${group(t)}</text>`);
    svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    svg.innerHTML = out.join("");
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

  function show(event) {
    const box = svg.getBoundingClientRect(), y = (event.clientY - box.top) * (width / box.width);
    const q = Math.floor((y - TOP) / (LANE + GAP)), cycle = cycleAt(event), slack = (to - from) / (width - left);
    let text = "";
    if (y < BAND) {
      const band = data.bands.find((b) => b[1] <= cycle && cycle < b[2]);
      if (band) text = `<b>${escape(data.labels[band[0]])}</b><br>${group(band[1])} – ${group(band[2])}: ${group(band[2] - band[1])} cycles`;
    } else if (lanes[q]) {
      const hit = lanes[q].findLast((s) => s[6] - slack <= cycle && cycle <= s[3] + slack);
      if (hit) text = `<b>${escape(data.labels[hit[5]]) || "(no layer)"}</b><br>${escape(data.kinds[hit[4]])}, instruction ${hit[1]}<br>` +
        `issued ${group(hit[2])}, complete ${group(hit[3])}`;
    }
    tip.style.display = text ? "block" : "none";
    tip.innerHTML = text;
    tip.style.left = Math.min(event.clientX + 12, window.innerWidth - tip.offsetWidth - 8) + "px";
    tip.style.top = event.clientY + 16 + "px";
  }
  window.addEventListener("resize", draw);
  draw();
})();
