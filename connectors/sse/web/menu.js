// A button that opens a list of things to do. Arrow keys, Home, End, Escape.

// element makes one; texts are set as text, always.
export function element(tag, { text, on = {}, ...properties } = {}, ...children) {
  const el = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === false || value == null) continue;
    if (name === 'class') el.className = value;
    else el.setAttribute(name, value === true ? '' : value);
  }
  if (text != null) el.textContent = text;
  for (const [name, fn] of Object.entries(on)) el.addEventListener(name, fn);
  el.append(...children.filter((c) => c != null));
  return el;
}

let open = null; // the one menu that is open

// menu gives the button and its list in one box. items() is asked each time:
// [{text, do, checked, href, off, hint}], null being a line between.
export function menu(label, face, items, className = 'quiet') {
  const button = element('button', { type: 'button', class: className, text: face, title: label, 'aria-label': label, 'aria-haspopup': 'menu', 'aria-expanded': 'false' });
  const list = element('div', { role: 'menu', class: 'menu', 'aria-label': label, hidden: true });
  const box = element('span', { class: 'menu-box' }, button, list);
  const entries = () => [...list.querySelectorAll('[role^=menuitem]:not([aria-disabled=true])')];
  const close = (back) => {
    list.hidden = true;
    button.setAttribute('aria-expanded', 'false');
    if (open === close) open = null;
    if (back) button.focus();
  };
  const show = (last) => {
    open?.();
    list.replaceChildren(...items().map((item) => item ? entry(item, close) : element('hr', { role: 'separator' })));
    list.hidden = false;
    list.classList.toggle('left', list.getBoundingClientRect().left < 4);
    button.setAttribute('aria-expanded', 'true');
    open = close;
    entries().at(last ? -1 : 0)?.focus();
  };
  button.addEventListener('click', () => list.hidden ? show() : close());
  box.addEventListener('keydown', (e) => {
    if (list.hidden) {
      if ((e.key === 'ArrowDown' || e.key === 'ArrowUp') && e.target === button) { e.preventDefault(); show(e.key === 'ArrowUp'); }
      return;
    }
    const all = entries(), i = all.indexOf(document.activeElement);
    const to = { ArrowDown: i + 1, ArrowUp: i - 1 + (i < 0 ? all.length : 0), Home: 0, End: all.length - 1 }[e.key];
    if (to !== undefined) all.at(to % all.length)?.focus();
    else if (e.key === 'Escape') close(true);
    else if (e.key === 'Tab') return close();
    else if (e.key !== ' ' && e.key !== 'Enter') return;
    else { e.stopPropagation(); return; }
    e.preventDefault();
    e.stopPropagation();
  });
  return box;
}

function entry({ text, do: act, checked, href, off, hint }, close) {
  const el = element(href ? 'a' : 'button', {
    role: checked == null ? 'menuitem' : 'menuitemcheckbox', tabindex: '-1', href, type: href ? null : 'button',
    'aria-checked': checked == null ? null : String(checked), 'aria-disabled': off ? 'true' : null, title: off || null,
    on: { click: () => { if (off) return; close(true); act?.(); } },
  }, element('span', { text }));
  if (hint) el.append(element('kbd', { text: hint, 'aria-hidden': 'true' }));
  return el;
}

addEventListener('pointerdown', (e) => { if (open && !e.target.closest('.menu-box')) open(); });

// toast says something for a moment, and reads it out.
let timer = null;
export function toast(text) {
  let el = document.getElementById('toast');
  if (!el) document.body.append(el = element('div', { id: 'toast', role: 'status' }));
  el.textContent = text;
  el.classList.add('on');
  clearTimeout(timer);
  timer = setTimeout(() => { el.classList.remove('on'); el.textContent = ''; }, 3500);
}

// copy puts a text on the clipboard, or shows it where that is not allowed.
export async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
    toast(what + ' copied');
  } catch {
    prompt(what, text);
  }
}
