"""A campaign's words, compiled once and filled per recipient."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from contracts.channels import Channel
from contracts.commands import Attachment, Content
from servicekit.errors import Invalid, Permanent

from campaigns.campaign.template import Template, noting

Vars = Mapping[str, Any]


@dataclass(frozen=True)
class Compiled:
    """The templates of one campaign and the names they use."""

    subject: Template | None
    text: Template
    html: Template | None
    bubbles: tuple[Template, ...]
    attachments: tuple[Attachment, ...]
    attachment_column: str | None

    @property
    def templates(self) -> tuple[Template, ...]:
        """Return every template there is."""
        return tuple(t for t in (self.subject, self.text, self.html, *self.bubbles) if t is not None)

    @functools.cached_property
    def variables(self) -> tuple[str, ...]:
        """Return the variables that any of the templates names."""
        return tuple(dict.fromkeys(name for template in self.templates for name in template.variables))

    @functools.cached_property
    def needed(self) -> frozenset[str]:
        """Return the variables a recipient should have; a recipient with all of them misses nothing for sure."""
        return frozenset(self.variables)

    def has_all(self, variables: Vars) -> bool:
        """Return whether nothing can be missing, without rendering."""
        return self.needed <= variables.keys()

    def missing(self, variables: Vars, row: str) -> list[str]:
        """Return the variables that would be asked for in vain (`default` does not ask), in order."""
        if self.has_all(variables):
            return []
        with noting() as noted:
            for template in self.templates:
                template.render(variables, row)
        return list(noted)

    def render(self, variables: Vars, row: str, attachment: Attachment | None = None) -> Content:
        """Return what one recipient gets. Raises Permanent("template")."""
        attachments = [*self.attachments, *([attachment] if attachment else [])]
        return Content(**self.fill(variables, row), attachments=attachments)

    def fill(self, variables: Vars, row: str) -> dict[str, Any]:
        """Return the words of one recipient's Content, as plain data. Raises Permanent("template")."""
        subject = " ".join(self.subject.render(variables, row).split()) if self.subject else None
        if subject is not None and len(subject) > 2_000:
            raise Permanent("template", "subject: longer than 2,000 characters")
        return {
            "subject": subject,
            "text": self.text.render(variables, row),
            "html": self.html.render(variables, row) if self.html else None,
            "bubbles": [bubble.render(variables, row) for bubble in self.bubbles],
        }


def compile_content(campaign: Mapping[str, Any], *, trial: bool = False) -> Compiled:
    """Compile. Raises Invalid naming every field that is wrong. With *trial* call it in a thread: it renders once."""
    wrong: dict[str, Any] = {}

    def one(source: str | None, field: str, *, html: bool = False) -> Template | None:
        try:
            return Template(source, field, html=html, trial=trial) if source else None
        except Invalid as error:
            wrong.update(error.fields)
            return None

    made = Compiled(
        subject=one(campaign.get("subject"), "subject") if _has_subject(campaign) else None,
        text=one(campaign.get("text"), "text") or Template("", "text"),
        html=one(campaign.get("html"), "html", html=True),
        bubbles=tuple(t for n, b in enumerate(campaign.get("bubbles") or ()) if (t := one(b, f"bubbles.{n}"))),
        attachments=tuple(Attachment.model_validate(a) for a in campaign.get("media") or ()),
        attachment_column=campaign.get("attachment_column"),
    )
    if wrong:
        raise Invalid(wrong)
    return made


def _has_subject(campaign: Mapping[str, Any]) -> bool:
    """Return whether its messages have a subject: chat messages have none, whatever was written there."""
    return str(campaign.get("channel", Channel.EMAIL)) == Channel.EMAIL


_FIELDS = ("channel", "subject", "text", "html", "bubbles", "media", "attachment_column")


def compiled(campaign: Mapping[str, Any]) -> Compiled:
    """Return the compiled content of a stored campaign; compiled once for each wording."""
    return _compiled(orjson.dumps({name: campaign.get(name) for name in _FIELDS}))


@functools.lru_cache(maxsize=256)
def _compiled(wording: bytes) -> Compiled:
    return compile_content(orjson.loads(wording))
