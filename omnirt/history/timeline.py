"""Shows a stored talk as a timeline: columns on a terminal, paragraphs on a narrow one, lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import UNSET
from rich.console import Console, Group, RenderableType
from rich.text import Text

from omnirt.history.moments import Kind, Moment, folder, moments
from omnirt.history.view import length, when
from omnirt.protocol.stored_methods import HistoryGetResult, StoredSession
from omnirt.terminal import beside, can_move, clean

STYLES: dict[Kind, str] = {
    "user": "bold cyan", "assistant": "bold green", "system": "bold magenta", "tool": "yellow",
}  # fmt: skip
MAX_WHO = 16
_AT = 8


def write_timeline(talk: HistoryGetResult) -> None:
    """Writes who said what and when, what was heard of it, tools, cuts and recordings."""
    console = Console(highlight=False)
    plain = not can_move(console)
    if plain:
        console = Console(highlight=False, soft_wrap=True, color_system=None)
    console.print(Text(_heading(talk.session), style="bold"))
    run_id = None
    for moment in moments(talk):
        if run_id not in (None, moment.run_id):
            console.print(Text("— went on later —", style="dim"))
        run_id = moment.run_id
        console.print(_lines(moment) if plain else _shown(moment, console, _who_width(talk)))
    if place := folder(talk.audio):
        console.print(Text(f"Recordings: {clean(place)}", style="dim", overflow="fold"))


def _heading(session: StoredSession) -> str:
    ending = "live" if session.ended_at is UNSET else str(session.reason or "ended")
    facts = [session.agent, when(session.started_at), length(session.duration_ms), ending]
    return clean(f"{session.session_id}  {', '.join(facts)}")


def _who_width(talk: HistoryGetResult) -> int:
    return min(MAX_WHO, max(len("system"), len(clean(talk.session.agent))))


def _lines(moment: Moment) -> Text:
    """One line, and one for each note."""
    text = Text(f"{length(moment.at_ms):>{_AT - 1}}  {moment.who}: ").append_text(_words(moment))
    for note in moment.notes:
        text.append(f"\n{'':{_AT + 1}}({note})")
    return text


def _shown(moment: Moment, console: Console, who_width: int) -> RenderableType:
    """Time, speaker and words side by side, or one below the other."""
    at = Text(length(moment.at_ms), style="dim")
    who = Text(moment.who, style=STYLES[moment.kind])
    return beside(console, [(at, 1 - _AT), (who, who_width)], Group(*_paragraph(moment)))


def _paragraph(moment: Moment) -> Iterator[Text]:
    yield _words(moment)
    yield from (Text(note, style="dim", overflow="fold") for note in moment.notes)


def _words(moment: Moment) -> Text:
    """What was heard, and in brackets what was not: not every terminal can strike it through."""
    text = Text(moment.text, style="yellow" if moment.kind == "tool" else "")
    if moment.unheard:
        text.append(" " if moment.text else "")
        text.append(f"[unheard: {moment.unheard}]", style="dim strike")
    return text
