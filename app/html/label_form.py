"""The form of labels as HTML; :mod:`app.views.reasons.label` fills it, ``label_form.js`` listens to it."""

from html import escape

from app.labels import ISSUES, QUALITIES
from app.labels.records import MAX_COMMENT
from app.state.keys import keys_of

__all__ = ["FORM_STYLE", "form_html"]


def form_html() -> str:
    """Return the form, empty."""
    quality = "".join(_button(f"quality-{q}", str(q), QUALITIES[q]) for q in sorted(QUALITIES))
    issues = "".join(_button(f"issue-{one}", one, words) for one, words in ISSUES.items())
    star = _button("star", "★", "Star: for another look (*)")
    ways = (
        ("failed", "retry", "Try again"),
        ("conflict", "mine", "Keep mine"),
        ("conflict", "theirs", "Take the other"),
    )
    settle = "".join(
        f'<button type="button" data-label="{action}" data-for="{kind}" hidden>{words}</button>'
        for kind, action, words in ways
    )
    steps = (
        _plain_button("undo-label", "Undo", f"Take the last change of a label back ({keys_of('undo-label')})")
        + _plain_button("redo-label", "Redo", f"Repeat what was taken back ({keys_of('redo-label')})")
    )  # fmt: skip
    edit = _plain_button("edit-classes", "Edit …", "Add, rename or retire classes")
    return (
        '<div class="imo-form imo-label" role="form" aria-label="Label">'
        f'<div class="top"><span class="name" title="Press {keys_of("class")}, then the key before its name">'
        f'Class <kbd>{keys_of("class")}</kbd></span>{edit}<span class="steps">{steps}</span></div>'
        '<select name="class" aria-label="Class"></select>'
        '<div class="choices" popover="manual" role="group" aria-label="Choose a class by its key"></div>'
        f'<div class="row">{_group("Quality", quality)}{_group("Issues", issues)}{_group("Star", star)}</div>'
        '<div class="meaning"></div>'
        '<label class="imo-comment">Comment'
        f'<textarea name="comment" rows="2" maxlength="{MAX_COMMENT}"></textarea></label>'
        f'<div class="settle">{settle}</div><div class="state" role="status"></div></div>'
    )


def _button(action: str, text: str, words: str) -> str:
    name = f"{text}: {words}" if len(text) == 1 and text.isalnum() else words
    return (
        f'<button type="button" data-label="{action}" aria-pressed="false" title="{escape(words)}" '
        f'aria-label="{escape(name)}">{text}</button>'
    )


def _plain_button(action: str, text: str, words: str) -> str:
    return f'<button type="button" class="small" data-label="{action}" title="{escape(words)}">{text}</button>'


def _group(name: str, buttons: str) -> str:
    words = f'<span class="name">{name}</span>'
    return f'<div role="group" aria-label="{name}">{words}<div class="group">{buttons}</div></div>'


FORM_STYLE = """
.imo-form { padding: 8px 10px 6px; border-top: 1px solid var(--imo-line); color: var(--imo-text);
  font-size: calc(12.5px * var(--imo-type, 1)); }
.imo-form[inert] { opacity: 0.5; }
label, .name { display: block; color: var(--imo-muted); font-size: calc(11.5px * var(--imo-type, 1)); }
.top { display: flex; align-items: center; gap: 6px; padding-bottom: 3px; }
.steps { margin-left: auto; display: inline-flex; gap: 6px; }
kbd { display: inline-block; min-width: 1em; text-align: center; padding: 0 3px; border-radius: 4px;
  border: 1px solid var(--imo-edge); font: 11px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
select, textarea { display: block; width: 100%; box-sizing: border-box; padding: 4px 7px; border-radius: 5px;
  font: inherit; font-size: calc(13px * var(--imo-type, 1)); color: var(--imo-text); background: var(--imo-surface);
  border: 1px solid var(--imo-edge); }
textarea { resize: vertical; line-height: 1.35; }
textarea:read-only { background: var(--imo-hover); color: var(--imo-muted); cursor: progress; }
.choices { inset: auto; margin: 0; padding: 6px; border: 1px solid var(--imo-edge); border-radius: 8px;
  background: var(--imo-surface); color: var(--imo-text); box-shadow: 0 6px 24px rgba(0, 0, 0, 0.25);
  max-height: calc(100vh - 16px); box-sizing: border-box; overflow: auto;
  font-size: calc(13px * var(--imo-type, 1)); }
.choices:popover-open { display: flex; flex-direction: column; }
.choices button { display: flex; gap: 8px; align-items: baseline; text-align: left; border: none; margin: 0;
  background: none; padding: 1px 8px 1px 4px; border-radius: 4px; min-height: 24px; }
.choices p { margin: 4px 4px 0; color: var(--imo-muted); font-size: calc(11.5px * var(--imo-type, 1)); }
.row { display: flex; gap: 6px 12px; flex-wrap: wrap; padding: 6px 0 2px; }
.group { display: inline-flex; }
button { font: inherit; color: var(--imo-text); background: var(--imo-surface); border: 1px solid var(--imo-edge);
  padding: 2px 8px; min-height: 26px; margin-left: -1px; cursor: pointer; font-variant-numeric: tabular-nums; }
.group button:first-child { border-radius: 5px 0 0 5px; margin-left: 0; }
.group button:last-child { border-radius: 0 5px 5px 0; }
.group button:only-child { border-radius: 5px; }
button.small { min-height: 24px; padding: 0 7px; margin: 0; border-radius: 5px;
  font-size: calc(11.5px * var(--imo-type, 1)); }
.settle button { border-radius: 5px; margin: 4px 6px 2px 0; }
button:hover { background: var(--imo-hover); }
button[aria-pressed="true"] { background: var(--imo-accent); border-color: var(--imo-accent);
  color: var(--imo-on-accent); }
:is(button, select, textarea):focus-visible { outline: 2px solid var(--imo-accent); outline-offset: 1px; z-index: 1; }
.meaning, .state { white-space: pre-line; overflow-wrap: anywhere; line-height: 1.35; color: var(--imo-muted); }
.meaning { font-size: calc(11.5px * var(--imo-type, 1)); min-height: 2.7em; }
.state { font-size: calc(12px * var(--imo-type, 1)); min-height: 1.5em; padding-top: 3px;
  font-variant-numeric: tabular-nums; }
.state.saved { color: var(--imo-source); }
.state:is(.unsaved, .failed, .conflict, .refused, .switched) { color: var(--imo-warning); font-weight: 600; }
"""
