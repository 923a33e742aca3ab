// Light, dark, or as the system says; remembered here only, unless the
// address says which.

const order = ['auto', 'light', 'dark'];

export class Theme {
  constructor(changed = () => {}, fixed = '') {
    this.changed = changed;
    this.now = fixed;
    try { this.now ||= localStorage.getItem('leat.theme') ?? 'auto'; } catch { /* no storage: not remembered */ }
    if (!order.includes(this.now)) this.now = 'auto';
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.show());
    this.show();
  }

  get label() { return 'Theme: ' + { auto: 'as the system', light: 'light', dark: 'dark' }[this.now]; }

  next() {
    this.now = order[(order.indexOf(this.now) + 1) % order.length];
    try { localStorage.setItem('leat.theme', this.now); } catch { /* as above */ }
    this.show();
  }

  show() {
    if (this.now === 'auto') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = this.now;
    this.changed();
  }
}

// themeButton turns the theme on pages that have no menu.
export function themeButton(button) {
  const show = () => {
    button.textContent = { auto: '◐', light: '☀', dark: '☾' }[theme.now];
    button.title = theme.label;
    button.setAttribute('aria-label', theme.label);
  };
  const theme = new Theme();
  show();
  button.addEventListener('click', () => { theme.next(); show(); });
}
