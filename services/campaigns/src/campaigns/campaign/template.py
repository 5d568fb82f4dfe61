"""Templates: liquid, compiled once per campaign and bounded in time and size. The only file that imports liquid."""

import re
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from time import thread_time
from typing import Any

from liquid import Environment, Undefined
from liquid.builtin.expressions.primitive import RangeLiteral
from liquid.builtin.tags.for_tag import ForLoop
from liquid.builtin.tags.tablerow_tag import TableRow
from liquid.exceptions import LiquidError, OutputStreamLimitError
from servicekit.errors import Invalid, Permanent

from campaigns.campaign import shortcut
from campaigns.campaign.spinner import Spun, spin

MAX_SOURCE = 128 << 10
MAX_OUTPUT = 1 << 20
MAX_ITERATIONS = 2_000
MAX_SECONDS = 0.25
"""Of this thread's own work: a busy machine makes no template fail."""
_FORBIDDEN_TAGS = ("include", "render", "extends", "block", "import", "macro", "call")
_FORBIDDEN_FILTERS = ("safe",)
_PAIRS = (("{{", "}}"), ("{%", "%}"))
_HTML_PAIRS = (*_PAIRS, ("<style", "</style>"), ("<script", "</script>"), ("<!--", "-->"))
_VERBATIM = [(n, re.compile(rf"\{{%-?\s*{n}\b"), re.compile(rf"\{{%-?\s*end{n}\s*-?%\}}")) for n in ("raw", "doc")]
_MAX_BLANKS = 500
_BLANKS = re.compile(rf"\s{{{_MAX_BLANKS + 1}}}")
_missing: ContextVar[dict[str, None] | None] = ContextVar("missing_variables", default=None)
_deadline: ContextVar[float] = ContextVar("render_deadline", default=float("inf"))


class _Noted(Undefined):
    """An unknown variable renders as nothing, and is remembered when its text is asked for: `default` does not ask."""

    __slots__ = ()

    def __str__(self) -> str:
        noted = _missing.get()
        if noted is not None:
            noted[self.name] = None
        return ""


def _bounded_range(self: RangeLiteral, start: Any, stop: Any) -> range:
    made = _make_range(self, start, stop)
    if made.stop - made.start > MAX_ITERATIONS:
        raise OutputStreamLimitError(f"a range of more than {MAX_ITERATIONS} numbers", token=self.token)
    return made


_make_range = RangeLiteral._make_range  # noqa: SLF001
# liquid lists a range before it counts iterations: (1..999999999) reversed would take all memory
RangeLiteral._make_range = _bounded_range  # type: ignore[method-assign]  # noqa: SLF001


def _timely(step: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a loop's step refusing to go on past the deadline."""

    def stepped(self: Any) -> Any:
        _in_time()
        return step(self)

    return stepped


def _in_time() -> None:
    if thread_time() > _deadline.get():
        raise OutputStreamLimitError("takes too long", token=None)


# nothing but loops can make a template of MAX_SOURCE slow, and liquid counts their rounds, not what each one does
for _loop in (ForLoop, TableRow):
    setattr(_loop, "__next__", _timely(_loop.__next__))  # noqa: B010  # mypy takes no assignment to a method


def _bounded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the filter refusing to make more than MAX_OUTPUT: a chain of `replace` multiplies."""

    def limited(value: Any, *args: Any, **kwargs: Any) -> Any:
        _in_time()
        if _expected(name, value, args) > MAX_OUTPUT:
            raise OutputStreamLimitError(f"{name} would give too much text", token=None)
        return function(value, *args, **kwargs)

    for attribute in ("with_context", "with_environment", "filter_async"):
        if hasattr(function, attribute):
            setattr(limited, attribute, getattr(function, attribute))
    return limited


def _expected(name: str, value: Any, args: tuple[Any, ...]) -> int:
    lengths = [len(arg) if isinstance(arg, str) else 20 for arg in args]
    size = len(value) if isinstance(value, str | list | tuple | range) else 20
    if name.startswith("replace") and isinstance(value, str) and args:
        return size + (value.count(str(args[0])) + 1) * (lengths[1] if len(lengths) > 1 else 0)
    if name == "join":
        each = sum(len(part) if isinstance(part, str) else 20 for part in value) if isinstance(value, list) else size
        return each + size * (lengths[0] if lengths else 1)
    return size + sum(lengths)


class _Environment(Environment):
    loop_iteration_limit = MAX_ITERATIONS
    output_stream_limit = MAX_OUTPUT
    local_namespace_limit = MAX_OUTPUT
    context_depth_limit = 20


def _environment(*, html: bool) -> Environment:
    made = _Environment(undefined=_Noted, autoescape=html)
    for tag in _FORBIDDEN_TAGS:
        made.tags.pop(tag, None)
    filters: MutableMapping[str, Any] = made.filters
    for name in _FORBIDDEN_FILTERS:
        filters.pop(name, None)
    for name, function in list(filters.items()):
        filters[name] = _bounded(name, function)
    return made


_TEXT, _HTML = _environment(html=False), _environment(html=True)


@contextmanager
def noting() -> Iterator[dict[str, None]]:
    """Collect the variables that rendering inside asked for in vain (keys, in order)."""
    noted: dict[str, None] = {}
    reset = _missing.set(noted)
    try:
        yield noted
    finally:
        _missing.reset(reset)


class Template:
    """One compiled text."""

    def __init__(self, source: str, field: str, *, html: bool = False, trial: bool = False) -> None:
        """Compile, and with *trial* render once with nothing known (call it in a thread then).

        Raises Invalid naming *field* for a syntax error, an unknown filter or tag, and what is too long or never ends.
        """
        if len(source) > MAX_SOURCE:
            raise Invalid({field: f"is longer than {MAX_SOURCE} characters"})
        if wrong := _unreadable(source, html=html):
            raise Invalid({field: wrong})
        self.field = field
        self._spun: Spun = spin(source, html=html)
        try:
            self._liquid = (_HTML if html else _TEXT).from_string(self._spun.source)
            self.variables = tuple(v for v in self._liquid.analyze().globals if not v.startswith("_spin_"))
            self._pieces = shortcut.shortened(self._liquid.nodes, self._spun.counts, html=html)
        except LiquidError as error:
            raise Invalid({field: _words(error)}) from error
        if trial:
            self._try()

    def render(self, variables: Mapping[str, Any], row: str) -> str:
        """Return the text for a row. Raises Permanent("template") when it breaks a limit or a filter refuses a value."""
        choices = self._spun.choices(row, self.field)
        if self._pieces is not None and (text := shortcut.joined(self._pieces, variables, choices)) is not None:
            return text
        return self.render_liquid(variables, choices)

    def render_liquid(self, variables: Mapping[str, Any], choices: Mapping[str, int]) -> str:
        """Return what liquid itself makes of it; `render` for templates that need it."""
        reset = _deadline.set(thread_time() + MAX_SECONDS)
        try:
            return str(self._liquid.render(**{**variables, **choices}))
        except (LiquidError, ArithmeticError, ValueError, TypeError, RecursionError) as error:
            raise Permanent("template", f"{self.field}: {_words(error)}") from error
        finally:
            _deadline.reset(reset)

    def _try(self) -> None:
        try:
            self.render({}, "trial")
        except Permanent as error:
            raise Invalid({self.field: error.detail.removeprefix(f"{self.field}: ")}) from error


def _unreadable(source: str, *, html: bool) -> str | None:
    """Return why a source is not read at all: what is left open, or blank for long, takes the square of its length."""
    text = source.lower() if html else source
    for begin, end in _HTML_PAIRS if html else _PAIRS:
        if (at := text.rfind(begin)) >= 0 and text.find(end, at) < 0:
            return f"{begin} is not closed by {end}"
    if _BLANKS.search(source):
        return f"holds more than {_MAX_BLANKS} blanks in a row"
    for name, opening, closing in _VERBATIM:
        if (found := list(opening.finditer(source))) and not closing.search(source, found[-1].end()):
            return f"{name} is not closed by end{name}"
    return None


def _words(error: Exception) -> str:
    return str(error).splitlines()[0][:300] if str(error) else type(error).__name__
