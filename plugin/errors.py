"""Every error Passalong raises on purpose: one class for each way a caller must react, each with a stable code."""

from collections.abc import Mapping
from typing import Self


class Sentence(str):
    """A sentence in English that still knows its ``wording`` and the ``values`` in it: pages say it in other languages.

    Programs, commands and logs read it as the text it is. ``Sentence("%(name)s is taken.", name=name)``.
    """

    wording: str
    values: Mapping[str, object]

    def __new__(cls, wording: str, /, **values: object) -> Self:
        made = super().__new__(cls, wording % values if values else wording)
        made.wording, made.values = wording, values
        return made

    @classmethod
    def of(cls, text: str) -> Self:
        """Return a text as a sentence, one that is one already as it is."""
        return text if isinstance(text, cls) else cls(text)


class PluginError(Exception):
    """An error with a stable ``code`` and one sentence that says what to do next; ``values`` are filled into it."""

    status = 500

    def __init__(
        self, code: str, message: str, /, *, fields: Mapping[str, object] | None = None, **values: object
    ) -> None:
        self.message = Sentence(message, **values) if values else Sentence.of(message)
        super().__init__(self.message)
        self.code = code
        self.fields = dict(fields or {})


class BadRequest(PluginError):
    """The caller can mend it; ``fields`` names what is wrong, field by field."""

    status = 422


class BadSignature(PluginError):
    """A signature, token or code that does not hold. One kind, so that the caller learns nothing from it."""

    status = 401

    def __init__(self) -> None:
        super().__init__("bad_signature", "The signature does not match.")


class NotAllowed(PluginError):
    """The caller is known but may not do this."""

    status = 403


class NotFound(PluginError):
    """There is no such thing, or it is not the caller's."""

    status = 404


class Conflict(PluginError):
    """It cannot be done in the present state; somebody else may have been faster."""

    status = 409


class Malformed(PluginError):
    """A delivery whose signature holds but whose body cannot be understood; it is quarantined with the reason."""

    status = 422

    def __init__(self, reason: str, /, **values: object) -> None:
        super().__init__("malformed", Sentence(reason, **values) if values else reason)


class Unavailable(PluginError):
    """The database could not take it now; the sender should try again."""

    status = 503


class InvariantBroken(PluginError):
    """The books are wrong, or were about to become wrong. Stop; never continue."""

    def __init__(self, message: str, /, **values: object) -> None:
        super().__init__("invariant_broken", Sentence(message, **values) if values else message)
