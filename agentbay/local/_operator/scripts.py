"""What the operator runs inside pages, in a world of its own that their scripts do not see."""

from __future__ import annotations

# Finds one part of a selector; prefers what can be seen. `this` is where it looks: an element,
# or nothing in particular for the whole document.
QUERY = """
function(text) {
  const inside = this instanceof Element ? (this.shadowRoot || this) : document;
  const seen = element => element.checkVisibility({visibilityProperty: true});
  const owned = node => [...node.childNodes].filter(n => n.nodeType === 3)
      .map(n => n.data).join(' ').replace(/\\s+/g, ' ').trim();
  let found = [];
  if (text.startsWith('text=')) {
    const wanted = text.slice(5).trim();
    found = [...inside.querySelectorAll('*')].filter(e => owned(e) === wanted);
  } else if (/^(xpath=|\\/|\\.\\/|\\()/.test(text)) {
    const path = text.replace(/^xpath=/, '');
    const all = document.evaluate(path, inside, null, 7, null);
    for (let n = 0; n < all.snapshotLength; n++) found.push(all.snapshotItem(n));
  } else {
    found = [...inside.querySelectorAll(text.replace(/^css=/, ''))];
  }
  found = found.filter(node => node instanceof Element);
  return found.find(seen) || found[0] || null;
}
"""

# The element that a node is, or is in.
ELEMENT = "function() { return this.nodeType === 1 ? this : this.parentElement; }"

# Whether an element can be used, and where on the screen of its frame; `why` says why not.
SPOT = """
async function(needed) {
  if (!this.isConnected) return {why: 'is not in the page any more'};
  if (!this.checkVisibility({visibilityProperty: true})) return {why: 'is not visible'};
  const disabled = this.matches(':disabled') || this.closest('[aria-disabled="true"]');
  if (needed.enabled && disabled) return {why: 'is disabled'};
  if (needed.editable && (this.readOnly || this.ariaReadOnly === 'true')) {
    return {why: 'is read-only'};
  }
  this.scrollIntoView({block: 'center', inline: 'center', behavior: 'instant'});
  // A page that is not drawn has no frames; one that is drawn late moves with the next one only.
  const frame = () => new Promise(go => { requestAnimationFrame(go); setTimeout(go, 1000); });
  const edges = () => {
    const box = this.getBoundingClientRect();
    return [box.x, box.y, box.width, box.height];
  };
  await frame();
  const before = edges();
  await frame();
  if (edges().some((edge, n) => Math.abs(edge - before[n]) > 0.5)) return {why: 'keeps moving'};
  let why = 'has no size';
  for (const box of this.getClientRects()) {
    if (box.width < 1 || box.height < 1) continue;
    const left = Math.max(box.left, 0), right = Math.min(box.right, innerWidth);
    const top = Math.max(box.top, 0), bottom = Math.min(box.bottom, innerHeight);
    if (right - left < 1 || bottom - top < 1) { why = 'is outside of the page'; continue; }
    const x = (left + right) / 2, y = (top + bottom) / 2;
    if (!needed.reachable) return {x, y};
    let hit = this.getRootNode().elementFromPoint(x, y);
    const mine = at => at === this || this.contains(at) || at.contains(this) && at.matches('label')
        || [...(this.labels || [])].some(label => label.contains(at))
        || at.shadowRoot && at.shadowRoot.contains(this);
    if (hit && mine(hit)) return {x, y};
    const mark = hit && (hit.id ? '#' + hit.id : hit.className ? '.' + hit.classList[0] : '');
    why = hit ? `is covered by <${hit.localName}> ${mark}`.trim() : 'cannot be reached';
  }
  return {why};
}
"""

# Where a point inside of an embedded page is in the page around it.
THROUGH = """
function(x, y, reachable) {
  const box = this.getBoundingClientRect(), style = getComputedStyle(this);
  const wide = box.width / this.offsetWidth || 1, high = box.height / this.offsetHeight || 1;
  const left = box.left + (this.clientLeft + parseFloat(style.paddingLeft)) * wide + x * wide;
  const top = box.top + (this.clientTop + parseFloat(style.paddingTop)) * high + y * high;
  const hit = this.getRootNode().elementFromPoint(left, top);
  if (reachable && hit !== this) return {why: 'is in an embedded page that is covered'};
  return {x: left, y: top};
}
"""

SCROLL_TO = "function() { this.scrollIntoView({block: 'center', behavior: 'instant'}); }"

# A selector for an element: one part for each shadow root around it.
SELECTOR = """
function() {
  const parts = [];
  let element = this;
  while (element) {
    const root = element.getRootNode();
    const alone = text => root.querySelectorAll(text).length === 1;
    const steps = [];
    let at = element;
    while (at && at.nodeType === 1) {
      const id = at.id && '#' + CSS.escape(at.id);
      if (id && alone(id)) { steps.unshift(id); break; }
      const name = CSS.escape(at.localName);
      const same = [...(at.parentNode ? at.parentNode.children : [])]
          .filter(other => other.localName === at.localName);
      steps.unshift(same.length > 1 ? `${name}:nth-of-type(${same.indexOf(at) + 1})` : name);
      at = at.parentElement;
    }
    parts.unshift(steps.join(' > '));
    element = root instanceof ShadowRoot ? root.host : null;
  }
  return parts;
}
"""

# Makes a field ready for text that replaces its own; says how the text gets into it.
SELECT_TEXT = """
function() {
  const kind = this.localName === 'input' ? this.type : this.localName;
  const set = ['color', 'date', 'datetime-local', 'month', 'range', 'time', 'week'];
  if (set.includes(kind)) return 'set';
  if (['file', 'checkbox', 'radio', 'submit', 'button', 'image', 'reset'].includes(kind)) {
    return `cannot be filled: it is <input type=${kind}>`;
  }
  this.focus();
  if (kind === 'input' || kind === 'textarea' || this.select) { this.select(); return 'type'; }
  if (!this.isContentEditable) return `cannot be filled: it is <${this.localName}>`;
  const range = document.createRange();
  range.selectNodeContents(this);
  const selection = getSelection();
  selection.removeAllRanges();
  selection.addRange(range);
  return 'type';
}
"""

# Sets the value of a field that takes no text, such as a date.
SET_VALUE = """
function(value) {
  this.focus();
  this.value = value;
  if (this.value !== value) return `does not take the value, but ${this.value || 'nothing'}`;
  this.dispatchEvent(new Event('input', {bubbles: true, composed: true}));
  this.dispatchEvent(new Event('change', {bubbles: true}));
  return '';
}
"""

# Puts the cursor behind the text of a field.
FOCUS = """
function() {
  this.focus();
  try { this.setSelectionRange(this.value.length, this.value.length); } catch { /* has none */ }
}
"""

# Chooses options by their values or their texts.
CHOOSE = """
function(wanted) {
  if (this.localName !== 'select') return `is <${this.localName}> and has no options to choose`;
  const options = [...this.options];
  const found = wanted.map(text => options.find(o => o.value === text)
      || options.find(o => o.label.trim() === text.trim()));
  const missing = found.findIndex(option => !option || option.disabled);
  if (missing >= 0) {
    const known = options.filter(o => !o.disabled).slice(0, 20).map(o => o.label.trim());
    return `has no option ${wanted[missing]}, but ${known.join(', ')}`;
  }
  if (found.length > 1 && !this.multiple) return 'takes one option only';
  this.focus();
  for (const option of options) option.selected = found.includes(option);
  this.dispatchEvent(new Event('input', {bubbles: true, composed: true}));
  this.dispatchEvent(new Event('change', {bubbles: true}));
  return '';
}
"""

# Whether something is checked; null for what cannot be.
CHECKED = """
function() {
  if (this.localName === 'label' && this.control) return this.control.checked ?? null;
  if (this.localName === 'input' && ['checkbox', 'radio'].includes(this.type)) return this.checked;
  return {true: true, false: false, mixed: false}[this.ariaChecked] ?? null;
}
"""

# Resolves when the page has come to rest for a moment, or after so many milliseconds.
REST = """
async function(limit) {
  const end = performance.now() + limit, quiet = 60;
  let last = performance.now();
  const watch = new MutationObserver(() => { last = performance.now(); });
  watch.observe(document, {subtree: true, childList: true, attributes: true});
  const now = () => performance.now();
  while (now() < end && (now() - last < quiet || document.readyState !== 'complete')) {
    await new Promise(go => setTimeout(go, 20));
  }
  watch.disconnect();
  return document.readyState === 'complete';
}
"""

READY = "function() { return document.readyState; }"
TEXT = "function() { return (this instanceof Element ? this : document.body)?.innerText || ''; }"
IN_FRONT = "function() { return document.visibilityState === 'visible'; }"
VIEW = "function() { return [innerWidth, innerHeight]; }"
WHERE = "function() { return document.title + ' ' + location.href; }"
