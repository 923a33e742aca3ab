// Light, dark, or as the system says; remembered here only.

const order = ['auto', 'light', 'dark'];
const names = { auto: 'Theme: auto', light: 'Theme: light', dark: 'Theme: dark' };

export function theme(button, changed = () => {}) {
  let now = 'auto';
  try { now = localStorage.getItem('leat.theme') ?? 'auto'; } catch { /* no storage: not remembered */ }
  if (!order.includes(now)) now = 'auto';
  const show = () => {
    if (now === 'auto') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = now;
    button.textContent = { auto: '◐', light: '☀', dark: '☾' }[now];
    button.title = names[now];
    button.setAttribute('aria-label', names[now]);
    changed();
  };
  button.addEventListener('click', () => {
    now = order[(order.indexOf(now) + 1) % order.length];
    try { localStorage.setItem('leat.theme', now); } catch { /* as above */ }
    show();
  });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', show);
  show();
}
