"""What a rehearsal counted, and whether it adds up."""

from dataclasses import asdict, dataclass, field
from typing import Any

from rich.table import Table


@dataclass
class Result:
    """Counts of one rehearsal. `platform_received` and `duplicates` are the practice platform's own."""

    channel: str
    recipients: int
    sent: int = 0
    """Accepted by the platform, those that bounced later included."""
    bounced: int = 0
    failed: int = 0
    """Never accepted."""
    unknown: int = 0
    cancelled: int = 0
    platform_received: int = 0
    duplicates: int = 0
    replies: int = 0
    answered: int = 0
    unsubscribed: int = 0
    seconds: float = 0.0
    expected: dict[str, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the documented fields."""
        return {k: v for k, v in asdict(self).items() if k != "expected"}

    def troubles(self) -> list[str]:
        """Return what does not add up, a line each."""
        found = []
        ended = self.sent + self.failed + self.unknown + self.cancelled
        if ended != self.recipients:
            found.append(f"{self.recipients} recipients, but {ended} have an end")
        if self.platform_received != self.sent and not self.unknown:
            found.append(f"{self.sent} sent, but the platform received {self.platform_received}")
        if self.duplicates:
            found.append(f"the platform received {self.duplicates} messages twice")
        found += [
            f"{name}: expected {wanted}, got {getattr(self, name)}"
            for name, wanted in self.expected.items()
            if getattr(self, name) != wanted
        ]
        return found

    def table(self) -> Table:
        """Return the counts for people."""
        rows = Table(title=f"Rehearsal: {self.channel}, {self.recipients} recipients", show_header=False)
        for name, value in self.as_dict().items():
            rows.add_row(name.replace("_", " "), f"{value:.1f}" if isinstance(value, float) else str(value))
        rows.add_row("adds up", "[green]yes" if not self.troubles() else "[red]no")
        return rows
