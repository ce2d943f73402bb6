"""What a payout rail promises. It knows the domain and errors, and neither Flask nor the database."""

from typing import Protocol


class Rail(Protocol):
    """One way to pay. ``submitted_state`` is where an item stands once the batch is handed over."""

    name: str
    submitted_state: str
