"""The keyboard: one list from which dispatch in the browser, its help and the documentation derive."""

from dataclasses import dataclass

from app.labels import ISSUES

__all__ = ["KEYS", "Key", "keyboard_table", "keys_of"]


@dataclass(frozen=True)
class Key:
    """What one key does.

    Attributes:
        keys: Values of the browser's ``KeyboardEvent.key``, any of which will do.
        action: Name of what happens; the browser's own are in ``app/browser/js/keys.js``.
        words: One line for people.
        group: Heading in the help.
        forwarded: Whether Python hears the action; everything else stays in the browser.
        repeats: Whether holding the key down repeats it.
    """

    keys: tuple[str, ...]
    action: str
    words: str
    group: str
    forwarded: bool = False
    repeats: bool = False


_TRIAGE, _LINES, _VIEW, _CHECK = "Triage", "Zoom to lines", "View", "Check the redshift"
_SHOW, _OPEN = "Show and hide", "Open and close"

KEYS: tuple[Key, ...] = (
    Key(("n",), "next", "Next target in the table's order", _TRIAGE, forwarded=True),
    Key(("b",), "previous", "Previous target", _TRIAGE, forwarded=True),
    Key(("N",), "next-unlabelled", "Next target without a label", _TRIAGE, forwarded=True),
    *(Key((str(q),), f"quality-{q}", f"Quality {q}", _TRIAGE, forwarded=True) for q in range(5)),
    *(
        Key((key,), f"issue-{flag}", f"Issue {flag}: {words.partition(':')[0]}", _TRIAGE, forwarded=True)
        for key, (flag, words) in zip("567", ISSUES.items(), strict=True)
    ),
    Key(("*",), "star", "Star on and off", _TRIAGE, forwarded=True),
    Key(("C",), "class", "Choose a class: then the key before its name", _TRIAGE),
    Key(("c",), "comment", "Write a comment", _TRIAGE, forwarded=True),
    Key(("z",), "undo-label", "Take the last change of a label back", _TRIAGE, forwarded=True),
    Key(("Z",), "redo-label", "Repeat what was taken back", _TRIAGE, forwarded=True),
    Key(("/",), "search", "Search the table", _TRIAGE, forwarded=True),
    Key(("q",), "brush", "Drag to ask about a range; again: drag to zoom", _TRIAGE),
    Key(("R",), "repair", "Repair it: the fewest regions that make it ordinary; again: hide, show", _TRIAGE),
    Key(("Q",), "brush-view", "Ask about the range in view", _TRIAGE),
    Key(("o",), "view-oii", "[O II]", _LINES),
    Key(("k",), "view-cahk", "Ca H+K", _LINES),
    Key(("h",), "view-hbeta", "Hβ+[O III]", _LINES),
    Key(("m",), "view-mgb", "Mg b", _LINES),
    Key(("i",), "view-nad", "Na D", _LINES),
    Key(("a",), "view-halpha", "Hα+[N II]", _LINES),
    Key(("w",), "view-sii", "[S II]", _LINES),
    Key(("r", "f"), "view-full", "The whole spectrum", _VIEW),
    Key(("u",), "undo-view", "Back to the view before", _VIEW),
    Key(("+", "="), "zoom-in", "Zoom in", _VIEW, repeats=True),
    Key(("-",), "zoom-out", "Zoom out", _VIEW, repeats=True),
    Key(("[",), "pan-blue", "Move towards the blue", _VIEW, repeats=True),
    Key(("]",), "pan-red", "Move towards the red", _VIEW, repeats=True),
    Key(("s",), "smooth-more", "Smooth more", _VIEW),
    Key(("d",), "smooth-less", "Smooth less", _VIEW),
    Key(("v",), "frame", "Observed or rest-frame wavelength", _VIEW),
    Key((".",), "nudge-up", "Redshift + 0.0001, for checking only", _CHECK, repeats=True),
    Key((",",), "nudge-down", "Redshift − 0.0001", _CHECK, repeats=True),
    Key((">",), "nudge-up-more", "Redshift + 0.001", _CHECK, repeats=True),
    Key(("<",), "nudge-down-more", "Redshift − 0.001", _CHECK, repeats=True),
    Key((";",), "nudge-reset", "Back to the redshift of the file", _CHECK),
    Key(("l",), "lines", "Line markers: those that matter, all, none", _SHOW),
    Key(("y",), "instrument", "Sky lines, telluric bands, overlaps of arms", _SHOW),
    Key(("x",), "noise", "Noise band", _SHOW),
    Key(("e",), "model", "Model reconstruction and residual", _SHOW),
    Key(("g",), "second", "Second view at Hα", _SHOW),
    Key(("j",), "windows", "Panels of single window sizes", _SHOW),
    Key(("S",), "significant", "Significant attributions only", _SHOW),
    Key(("M",), "compare", "Compare with other methods", _SHOW, forwarded=True),
    Key(("p",), "menu", "Menu of panels, lines and curves", _SHOW),
    Key(("t",), "theme", "Light or dark", _SHOW),
    Key(("T",), "large-type", "Large type", _SHOW, forwarded=True),
    Key(("I",), "details", "Column with reasons and label", _SHOW, forwarded=True),
    Key(("L",), "latent", "Latent space", _SHOW, forwarded=True),
    Key(("X",), "truth", "What was injected, in simulated data", _SHOW, forwarded=True),
    Key(("A",), "add", "Add your own spectrum", _OPEN, forwarded=True),
    Key(("F",), "files", "Files: labels, attribution, plots, figures", _OPEN, forwarded=True),
    Key(("G",), "groups", "Groups with the same cause", _OPEN, forwarded=True),
    Key(("D",), "disagreements", "Where two people disagree", _OPEN, forwarded=True),
    Key(("K",), "classes", "Edit the list of classes", _OPEN, forwarded=True),
    Key(("E",), "method", "How the method works, live", _OPEN, forwarded=True),
    Key(("?",), "help", "This list", _OPEN),
    Key(("Escape",), "leave", "Close what is open, forget the asked range, drag to zoom again", _OPEN),
)


def keys_of(action: str) -> str:
    """Return the keys of an action as text.

    >>> keys_of("view-full")
    'r or f'
    """
    for key in KEYS:
        if key.action == action:
            return " or ".join("Esc" if k == "Escape" else k for k in key.keys)
    raise KeyError(f"no action {action!r} in KEYS")


def keyboard_table() -> str:
    """Return the list as a Markdown table, for the documentation."""
    rows = ["| Key | What it does |", "|---|---|"]
    group = ""
    for key in KEYS:
        if key.group != group:
            group = key.group
            rows.append(f"| **{group}** | |")
        rows.append(f"| {' or '.join(f'`{k}`' for k in keys_of(key.action).split(' or '))} | {key.words} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    print(keyboard_table(), end="")
