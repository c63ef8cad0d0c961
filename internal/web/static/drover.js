// Drover's own script: what htmx does not do. Everything works without it, only
// less: grids load as they come into sight, pictures zoom, logs and films run.
(() => {
'use strict';
const $ = (sel, root = document) => root.querySelector(sel);
const $$ = (sel, root = document) => [...root.querySelectorAll(sel)];

/* ---- live: one stream a page, closed while the tab is hidden ---- */
// A line is what htmx takes for its EventSource. It opens one anew whenever that
// takes it, and has no onerror to be called: that a stream ends is no fault, it
// comes with every page that is left, and htmx would log it as one.
class Line {
  heard = []; wait = 500;
  constructor(url) { this.url = url; this.open(); }
  open() {
    clearTimeout(this.timer);
    const s = this.source = new EventSource(this.url, { withCredentials: true });
    for (const [name, f] of this.heard) s.addEventListener(name, f);
    s.addEventListener('open', () => { this.wait = 500; clearTimeout(this.lost); $('#offline').hidden = true; });
    s.addEventListener('error', () => {
      clearTimeout(this.lost);
      this.lost = setTimeout(() => { $('#offline').hidden = document.hidden; }, 1500); // not for a page that is being left
      if (s.readyState !== EventSource.CLOSED) return; // the browser tries again
      this.timer = setTimeout(() => this.open(), this.wait);
      this.wait = Math.min(2 * this.wait, 60000);
    });
  }
  close() { clearTimeout(this.timer); clearTimeout(this.lost); this.source.close(); }
  addEventListener(name, f) { this.heard.push([name, f]); this.source.addEventListener(name, f); }
  removeEventListener(name, f) { this.heard = this.heard.filter((h) => h[0] !== name || h[1] !== f); this.source.removeEventListener(name, f); }
}
const lines = new Set();
htmx.createEventSource = (url) => {
  const line = new Line(url);
  lines.add(line);
  line.addEventListener('cells', (e) => changeCells(JSON.parse(e.data)));
  line.addEventListener('reload', (e) => reload(e.data));
  return line;
};
let hiding;
document.addEventListener('visibilitychange', () => {
  clearTimeout(hiding);
  if (document.hidden) hiding = setTimeout(() => { for (const l of lines) l.close(); }, 15000);
  else for (const l of lines) if (l.source.readyState === EventSource.CLOSED) l.open();
});
addEventListener('pagehide', () => { for (const l of lines) l.close(); });
addEventListener('pageshow', (e) => { if (e.persisted) for (const l of lines) l.open(); });

// reload shows a page anew whose state has moved on.
function reload(sig) {
  const task = $('[data-sig]');
  if (task && task.dataset.sig !== sig) {
    task.dataset.sig = sig;
    htmx.ajax('GET', location.href, { target: '#main', select: '#main', swap: 'outerHTML' });
  }
  if (!task) $$('.part[data-src]').forEach((p) => { if (p.loaded) load(p); });
}

/* ---- the grid of frames ---- */
const near = new IntersectionObserver((seen) => {
  for (const e of seen) {
    if (e.isIntersecting) load(e.target);
    else if (e.target.loaded && !e.target.contains(document.activeElement)) { e.target.loaded = false; e.target.replaceChildren(); }
  }
}, { rootMargin: '1200px 0px' });

async function load(part) {
  part.loaded = true;
  try {
    const r = await fetch(part.dataset.src, { credentials: 'same-origin' });
    if (!r.ok) throw new Error(r.statusText);
    const text = await r.text();
    if (part.loaded) part.innerHTML = text; // the farm's own, escaped there
    const grid = part.closest('[data-grid]');
    if (grid && grid.paint) grid.paint(part);
  } catch { part.loaded = false; }
}

// measure gives parts that are not loaded the height they will have.
function measure(grid) {
  const css = getComputedStyle(grid), num = (n) => parseFloat(css.getPropertyValue(n)) || 0;
  const cell = num('--cell'), gap = num('--gap'), row = num('--row') || cell;
  const cols = Math.max(1, Math.floor((grid.clientWidth + gap) / (cell + gap)));
  for (const p of $$('.part', grid)) p.style.minHeight = Math.ceil(p.dataset.n / cols) * (row + gap) + 'px';
}

function changeCells(cells) {
  const grid = $('[data-grid]');
  if (!grid) return;
  const stale = new Set();
  for (const [id, state] of Object.entries(cells)) {
    const c = document.getElementById('c-' + id);
    if (!c) continue;
    if (grid.dataset.grid !== 'state') { stale.add(c.closest('.part')); continue; }
    c.className = 'c touched s-' + state;
    c.title = c.title.replace(/: \w+.*/, ': ' + state);
    c.firstElementChild.textContent = c.title;
    if (grid.paint) grid.paint(c.parentNode);
    setTimeout(() => c.classList.remove('touched'), 1500);
  }
  for (const p of stale) load(p);
}

// arrows move in a grid.
document.addEventListener('keydown', (e) => {
  const c = document.activeElement;
  if (!c || !c.matches || !c.matches('.grid .c, .grid .pic, .heat .c') || e.ctrlKey || e.altKey || e.metaKey) return;
  const all = $$('a', c.closest('.grid, .heat')), at = all.indexOf(c), box = c.getBoundingClientRect();
  let to;
  if (e.key === 'ArrowRight') to = all[at + 1];
  else if (e.key === 'ArrowLeft') to = all[at - 1];
  else if (e.key === 'ArrowDown') to = all.slice(at + 1).find((o) => o.getBoundingClientRect().top > box.top + 4 && o.getBoundingClientRect().left >= box.left - 2);
  else if (e.key === 'ArrowUp') to = all.slice(0, at).reverse().find((o) => o.getBoundingClientRect().top < box.top - 4 && o.getBoundingClientRect().left <= box.left + 2);
  else return;
  e.preventDefault();
  e.stopImmediatePropagation();
  if (!to) return;
  to.focus();
  const grid = to.closest('[data-grid]');
  if (e.shiftKey && grid && grid.extend) grid.extend(c, to);
}, true);

// chooser lets frames of the grid be chosen: by Ctrl or Shift and the pointer, by
// Space or Shift and the arrows, or by plain clicks while the button is pressed.
function chooser(grid) {
  const form = $('[data-choose]'), toggle = $('[data-choosing]'), most = 10000;
  if (!form) return;
  const step = grid.dataset.step, chosen = new Set(), at = (a) => +a.id.slice(a.id.lastIndexOf('-') + 1);
  let anchor = -1, on = false;
  grid.paint = (root) => { for (const a of $$('a[id]', root)) a.classList.toggle('chosen', chosen.has(at(a))); };
  const show = () => {
    grid.paint(grid);
    form.hidden = !chosen.size;
    $('span', form).textContent = chosen.size > most ? `${chosen.size} chosen; at most ${most} at once` : `${chosen.size} chosen`;
    for (const b of $$('button:not([type=button])', form)) b.disabled = chosen.size > most;
  };
  const span = (a, b) => { for (let i = Math.min(a, b); i <= Math.max(a, b); i++) chosen.add(i); };
  const flip = (i) => { if (!chosen.delete(i)) chosen.add(i); anchor = i; };
  const none = () => { chosen.clear(); anchor = -1; show(); };
  grid.extend = (from, to) => { span(at(from), at(to)); anchor = at(to); show(); };
  grid.addEventListener('click', (e) => {
    const a = e.target.closest('a[id]');
    if (!a || !(on || e.ctrlKey || e.metaKey || e.shiftKey)) return;
    e.preventDefault();
    if (e.shiftKey && anchor >= 0) span(anchor, at(a)); else flip(at(a));
    show();
  });
  grid.addEventListener('keydown', (e) => {
    const a = e.target.closest('a[id]');
    if (a && e.key === ' ') { e.preventDefault(); flip(at(a)); show(); }
    if (e.key === 'Escape') none();
  });
  toggle.hidden = false;
  toggle.addEventListener('click', () => { on = !on; toggle.setAttribute('aria-pressed', on); });
  $('[data-none]', form).addEventListener('click', none);
  form.addEventListener('submit', () => {
    $$('input', form).forEach((i) => i.remove());
    const all = [...chosen].sort((a, b) => a - b);
    for (let i = 0; i < all.length;) {
      let j = i;
      while (all[j + 1] === all[j] + 1) j++;
      form.append(Object.assign(document.createElement('input'), { type: 'hidden', name: 'task', value: `${step}/${all[i]}` + (j > i ? '-' + all[j] : '') }));
      i = j + 1;
    }
  });
}

/* ---- the viewer ---- */
// noPreview says that a picture cannot be shown, in the place of a broken one.
function noPreview(img) {
  const stage = img.closest('[data-viewer] .stage');
  if (!stage) {
    if (img.closest('.strip, .pic, .item, .thumb')) img.replaceWith(Object.assign(document.createElement('span'), { className: 'nopic', textContent: 'no preview' }));
  } else if (img.matches('.other')) {
    img.remove();
    $('[data-split]', stage.parentNode).closest('label').replaceChildren('There is nothing to compare with: the other file cannot be shown.');
  } else {
    stage.className = 'stage none';
    stage.textContent = 'No preview: this file cannot be shown as a picture.';
    for (const a of ['tabindex', 'role', 'aria-label']) stage.removeAttribute(a);
    $$('[data-zoom], .inline', stage.parentNode).forEach((b) => b.remove());
  }
}
document.addEventListener('error', (e) => { if (e.target.matches && e.target.matches('main img')) noPreview(e.target); }, true);

function viewer(fig) {
  const stage = $('.stage', fig), pair = $('.pair', fig), img = $('img', pair);
  let zoom = 0; // 0: fit
  const show = () => {
    stage.classList.toggle('zoomed', zoom > 0);
    stage.classList.toggle('close', zoom >= 3);
    pair.style.width = zoom ? img.naturalWidth * zoom + 'px' : '';
  };
  const fit = () => Math.min(1, img.clientWidth / img.naturalWidth || 1);
  fig.zoom = (how) => {
    if (how === '0') zoom = 0;
    else zoom = Math.min(16, Math.max(0.05, (zoom || fit()) * (how === '+' ? 1.5 : 1 / 1.5)));
    show();
  };
  $$('[data-zoom]', fig).forEach((b) => b.addEventListener('click', () => fig.zoom(b.dataset.zoom)));
  stage.addEventListener('wheel', (e) => { if (e.ctrlKey) { e.preventDefault(); fig.zoom(e.deltaY < 0 ? '+' : '-'); } }, { passive: false });
  stage.addEventListener('dblclick', () => fig.zoom(zoom ? '0' : '+'));
  stage.addEventListener('pointerdown', (e) => {
    if (!zoom || e.button) return;
    e.preventDefault();
    const from = [e.clientX + stage.scrollLeft, e.clientY + stage.scrollTop];
    const move = (m) => { stage.scrollLeft = from[0] - m.clientX; stage.scrollTop = from[1] - m.clientY; };
    addEventListener('pointermove', move);
    addEventListener('pointerup', () => removeEventListener('pointermove', move), { once: true });
  });
  const stops = $('[data-stops]', fig), tone = $('[data-tone]', fig), luminance = $('[data-luminance]', fig);
  if (stops) {
    const develop = () => {
      const u = new URL(img.src);
      u.searchParams.delete('tone'); u.searchParams.delete('stops'); u.searchParams.delete('luminance');
      if (luminance.checked) u.searchParams.set('luminance', '');
      else if (tone.checked) u.searchParams.set('tone', '1'); else u.searchParams.set('stops', stops.value);
      tone.disabled = luminance.checked;
      stops.disabled = tone.checked || luminance.checked;
      stops.nextElementSibling.textContent = stops.disabled ? '' : (stops.value > 0 ? '+' : '') + stops.value + ' stops';
      img.src = u;
    };
    stops.addEventListener('change', develop);
    tone.addEventListener('change', develop);
    luminance.addEventListener('change', develop);
  }
  const split = $('[data-split]', fig), other = $('.other', fig);
  if (split) {
    const cut = () => { other.style.clipPath = `inset(0 0 0 ${100 - split.value}%)`; };
    split.addEventListener('input', cut);
    cut();
  }
}

/* ---- a log that grows ---- */
async function follow(box) {
  const pre = $('pre', box) || box.appendChild(Object.assign(document.createElement('pre'), { className: 'log', tabIndex: 0 }));
  const gone = new AbortController();
  box.stop = () => gone.abort();
  try {
    const r = await fetch(box.dataset.follow, { signal: gone.signal, credentials: 'same-origin' });
    if (!r.ok) return;
    pre.textContent = '';
    $$('p.dim, p.empty', box).forEach((p) => p.remove());
    const reader = r.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const end = pre.scrollTop + pre.clientHeight > pre.scrollHeight - 40;
      for (const line of value.split(/(?<=\n)/)) {
        const s = document.createElement('span');
        s.className = /\b(error|traceback|fatal)\b/i.test(line) ? 'ln bare bad' : 'ln bare';
        s.textContent = line.replace(/[\x00-\x08\x0b-\x1f\u202a-\u202e\u2066-\u2069]/g, '');
        pre.append(s);
      }
      while (pre.childNodes.length > 3000) pre.firstChild.remove();
      if (end) pre.scrollTop = pre.scrollHeight;
    }
  } catch { /* the page went on */ }
}

/* ---- the film ---- */
async function film(box) {
  const img = $('img', box), play = $('[data-play]', box), seek = $('[data-seek]', box), at = $('[data-at]', box), fps = $('[data-fps]', box);
  if (!img) return;
  const list = await (await fetch(box.dataset.film, { credentials: 'same-origin' })).json();
  if (!list.length) return;
  const kept = new Map();
  const get = (i) => {
    if (!kept.has(i)) {
      const p = new Image();
      p.src = list[i].src;
      kept.set(i, p);
      if (kept.size > 400) kept.delete(kept.keys().next().value);
    }
    return kept.get(i);
  };
  let now = 0, playing = false, last = 0;
  const show = (i) => { now = i; img.src = get(i).src; seek.value = i; at.textContent = list[i].label; for (let k = 1; k <= 24; k++) get((i + k) % list.length); };
  seek.max = list.length - 1;
  const tick = (t) => {
    if (!playing) return;
    const next = (now + 1) % list.length;
    if (t - last >= 1000 / fps.value && get(next).complete) { last = t; show(next); }
    requestAnimationFrame(tick);
  };
  box.toggle = () => { playing = !playing; play.textContent = playing ? '‖ Stop' : '▶ Play'; if (playing) requestAnimationFrame(tick); };
  play.addEventListener('click', box.toggle);
  seek.addEventListener('input', () => show(+seek.value));
  show(0);
}

/* ---- uploads: tus 1.0.0, resumed after a broken line or a closed page ---- */
const piece = 16 << 20;
async function upload(file, progress, signal) {
  const head = { 'Tus-Resumable': '1.0.0' };
  const key = `drover-upload ${file.webkitRelativePath || file.name} ${file.size} ${file.lastModified}`;
  let url = localStorage.getItem(key), offset = 0, sum = '';
  if (url) {
    const r = await fetch(url, { method: 'HEAD', headers: head, signal });
    if (r.ok) { offset = +r.headers.get('Upload-Offset'); sum = r.headers.get('Drover-Sha256') || ''; } else url = null;
  }
  if (!url) {
    const name = btoa(String.fromCharCode(...new TextEncoder().encode(file.name)));
    const r = await fetch('/ui/uploads/', { method: 'POST', headers: { ...head, 'Upload-Length': file.size, 'Upload-Metadata': 'filename ' + name }, signal });
    if (!r.ok) throw new Error(await problem(r));
    url = r.headers.get('Location');
    sum = r.headers.get('Drover-Sha256') || '';
    localStorage.setItem(key, url);
  }
  for (let tries = 0; !sum;) {
    progress(offset);
    try {
      const r = await send(url, offset, file.slice(offset, offset + piece), (n) => progress(offset + n), signal);
      offset = +r.getResponseHeader('Upload-Offset');
      sum = r.getResponseHeader('Drover-Sha256') || '';
      tries = 0;
      if (offset >= file.size && !sum) throw new Error('the farm has all of it, but has not kept it yet');
    } catch (e) {
      if (signal.aborted || e.final || ++tries > 8) throw e;
      await new Promise((ok) => setTimeout(ok, 500 * 2 ** tries));
      const r = await fetch(url, { method: 'HEAD', headers: head, signal }).catch(() => null);
      if (r && r.ok) { offset = +r.headers.get('Upload-Offset'); sum = r.headers.get('Drover-Sha256') || ''; }
    }
  }
  progress(file.size);
  localStorage.removeItem(key);
  return { sha256: sum, id: url.split('/').pop() };
}
const problem = async (r) => { try { return (await r.json()).detail || r.statusText; } catch { return r.statusText; } };
function send(url, offset, blob, progress, signal) {
  return new Promise((ok, fail) => {
    const x = new XMLHttpRequest();
    x.open('PATCH', url);
    x.setRequestHeader('Tus-Resumable', '1.0.0');
    x.setRequestHeader('Upload-Offset', offset);
    x.setRequestHeader('Content-Type', 'application/offset+octet-stream');
    x.upload.onprogress = (e) => progress(e.loaded);
    x.onload = () => {
      if (x.status < 300) return ok(x);
      let text = x.statusText;
      try { text = JSON.parse(x.responseText).detail || text; } catch { /* no JSON */ }
      fail(Object.assign(new Error(text), { final: [400, 403, 404, 413, 460, 507].includes(x.status) }));
    };
    x.onerror = () => fail(new Error('the connection was lost'));
    signal.addEventListener('abort', () => x.abort());
    x.send(blob);
  });
}

function dropzone(box) {
  const list = $('[data-files]', box), form = $('form', box), go = $('[data-next]', form);
  const stop = new AbortController();
  let under = 0;
  const take = async (files) => {
    for (const file of files) {
      const li = list.appendChild(document.createElement('li')), bar = document.createElement('progress'), text = document.createElement('span');
      const name = file.webkitRelativePath || file.name;
      bar.max = file.size || 1;
      bar.setAttribute('aria-label', 'Upload of ' + name);
      li.append(Object.assign(document.createElement('b'), { textContent: name }), ' ', bar, ' ', text);
      under++;
      go.disabled = true;
      try {
        const done = await upload(file, (n) => { bar.value = n; text.textContent = Math.floor(100 * n / (file.size || 1)) + ' %'; }, stop.signal);
        text.textContent = '✓ uploaded';
        form.append(Object.assign(document.createElement('input'), { type: 'hidden', name: 'file', value: done.id + ' ' + name }));
      } catch (e) {
        text.textContent = '✕ ' + e.message;
        text.className = 's-failed';
      }
      under--;
    }
    const ready = !under && $$('input[name=file]', form).length > 0;
    go.disabled = !ready;
    if (ready && box.hasAttribute('data-auto')) form.requestSubmit();
  };
  for (const pick of $$('input[type=file]', box)) pick.addEventListener('change', () => take([...pick.files]));
  box.addEventListener('dragover', (e) => { e.preventDefault(); box.classList.add('over'); });
  box.addEventListener('dragleave', () => box.classList.remove('over'));
  box.addEventListener('drop', async (e) => {
    e.preventDefault();
    box.classList.remove('over');
    const entries = [...e.dataTransfer.items].map((i) => i.webkitGetAsEntry && i.webkitGetAsEntry()).filter(Boolean);
    take(entries.length ? (await Promise.all(entries.map(walk))).flat() : [...e.dataTransfer.files]);
  });
}
// walk gives the files below what was dropped, with their paths.
function walk(entry, path = '') {
  if (entry.isFile) {
    return new Promise((ok, fail) => entry.file((f) => {
      if (path) Object.defineProperty(f, 'webkitRelativePath', { value: path + f.name });
      ok([f]);
    }, fail));
  }
  const reader = entry.createReader(), out = [];
  const more = () => new Promise((ok, fail) => reader.readEntries(ok, fail)).then(async (es) => {
    if (!es.length) return out;
    for (const e of es) out.push(...await walk(e, path + entry.name + '/'));
    return more();
  });
  return more();
}

/* ---- keys ---- */
let leader = 0;
document.addEventListener('keydown', (e) => {
  if (e.ctrlKey || e.altKey || e.metaKey || e.target.closest('input, select, textarea, dialog[open]')) return;
  const fig = $('[data-viewer]'), reel = $('[data-film]');
  if (leader && Date.now() - leader < 1500) {
    leader = 0;
    const a = $(`.top nav a[data-key="${CSS.escape(e.key)}"]`);
    if (a) { e.preventDefault(); a.click(); }
    return;
  }
  const moves = e.target.closest('.stage.zoomed, .log'); // what arrows scroll
  const click = (sel) => { const a = $(sel); if (a) { e.preventDefault(); a.click(); } };
  switch (e.key) {
    case 'g': leader = Date.now(); break;
    case '?': $('#keys').showModal(); break;
    case '/': if ($('#search')) { e.preventDefault(); $('#search').focus(); } break;
    case 'ArrowLeft': if (!moves) click('a[rel=prev]'); break;
    case 'ArrowRight': if (!moves) click('a[rel=next]'); break;
    case '+': case '-': case '0': if (fig) { e.preventDefault(); fig.zoom(e.key); } break;
    case 'e': if ($('#error')) { $('#error').scrollIntoView({ block: 'center' }); $('pre.log').focus(); } break;
    case 'p': if (reel && reel.toggle) reel.toggle(); break;
  }
});

/* ---- what a page has ---- */
function begin(root) {
  for (const g of $$('[data-grid]', root)) {
    measure(g);
    new ResizeObserver(() => measure(g)).observe(g);
    $$('.part', g).forEach((p) => near.observe(p));
    chooser(g);
  }
  $$('[data-viewer]', root).forEach(viewer);
  for (const img of $$('.stage img[src]', root)) if (img.complete && !img.naturalWidth) noPreview(img); // before this ran
  $$('[data-follow]', root).forEach(follow);
  $$('[data-film]', root).forEach(film);
  $$('[data-drop]', root).forEach(dropzone);
  $$('pre.log', root).forEach((p) => { const bad = $('.bad', p); p.scrollTop = bad ? bad.offsetTop - p.clientHeight / 3 : p.scrollHeight; });
  $$('[data-copy]', root).forEach((b) => b.addEventListener('click', async () => {
    const text = $(b.dataset.copy).textContent;
    try { await navigator.clipboard.writeText(text); b.textContent = 'Copied'; } catch { getSelection().selectAllChildren($(b.dataset.copy)); }
  }));
  $$('select[name=by], select[name=step], select[name=state], select[data-go]', root).forEach((s) => s.addEventListener('change', () => s.form.requestSubmit()));
}
document.addEventListener('htmx:beforeSwap', (e) => { const l = $('#log'); if (e.target.id === 'main' && l && l.stop) l.stop(); });
document.addEventListener('htmx:afterSwap', (e) => { if (e.detail.target && e.detail.target.id === 'main') begin($('#main')); });
$('[data-keys]').addEventListener('click', () => $('#keys').showModal());
begin(document);

// Times go on while a page stands.
setInterval(() => {
  for (const t of $$('time')) {
    const s = (Date.now() - Date.parse(t.dateTime)) / 1000;
    if (!(s >= 5)) continue;
    t.textContent = s < 60 ? `${Math.floor(s)} s ago` : s < 3600 ? `${Math.floor(s / 60)} min ago` : s < 172800 ? `${Math.floor(s / 3600)} h ago` : `${Math.floor(s / 86400)} days ago`;
  }
}, 10000);
})();
