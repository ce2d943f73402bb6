"""Every error Passalong raises on purpose: one class for each way a caller must react, each with a stable code."""

from collections.abc import Mapping


class PluginError(Exception):
    """An error with a stable ``code`` and one sentence that says what to do next."""

    status = 500

    def __init__(self, code: str, message: str, *, fields: Mapping[str, object] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
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

    def __init__(self, reason: str) -> None:
        super().__init__("malformed", reason)


class Unavailable(PluginError):
    """The database could not take it now; the sender should try again."""

    status = 503


class InvariantBroken(PluginError):
    """The books are wrong, or were about to become wrong. Stop; never continue."""

    def __init__(self, message: str) -> None:
        super().__init__("invariant_broken", message)
