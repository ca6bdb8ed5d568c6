"""Everything that can go wrong and that a user can mend, a class each.

Every message is one sentence that says what is wrong, where, and what to do about it. The command line
prints it as `Error: ...` and exits with 1; from Python they are ordinary exceptions.
"""

from catbuilder.core.safe_text import printable


class CatbuilderError(Exception):
    """Base of all errors with a message meant for the user; what it repeats of a file cannot command a terminal."""

    def __str__(self) -> str:
        return printable(super().__str__())


class WorkspaceError(CatbuilderError):
    """The workspace is missing, is not one, or is in a state that forbids what was asked."""


class WorkspaceBusy(CatbuilderError):
    """Another process holds the workspace or its catalogue; the message names it."""


class ConfigError(CatbuilderError):
    """A setting in `catbuilder.toml` or in a recipe is unknown, missing or out of range."""


class SchemaError(CatbuilderError):
    """The catalogue file was made by a newer catbuilder, or is not a catalogue."""


class CatalogueDamaged(CatbuilderError):
    """The catalogue has lost something that the log says was recorded."""


class InputError(CatbuilderError):
    """A file given by the user cannot be used at all; single bad rows are rejected, not raised."""


class FirewallError(CatbuilderError):
    """A test-set object, or something that may be one, was about to be used for training."""


class NothingToTrain(CatbuilderError):
    """No labelled object with a usable stamp is left for training or validation."""


class NothingToScore(CatbuilderError):
    """No object with a usable stamp is waiting for a score."""


class NothingToCertify(CatbuilderError):
    """The policy `certified` has nothing to count errors with, or has spent its probability of failing."""


class NothingToAsk(CatbuilderError):
    """A strategy of selection has nothing to choose by: no model, no ensemble, or no features."""


class WeightsError(CatbuilderError):
    """The starting weights cannot be had, or do not fit the network."""


class LaunchError(CatbuilderError):
    """Worker processes cannot be started as asked (Horovod missing, too many ranks ...)."""


class WorkerDied(CatbuilderError):
    """A worker process ended before its work was done; the same command goes on from there.

    Parameters
    ----------
    killed : by a signal; the others often died of that one
    """

    def __init__(self, message: str, killed: bool = False) -> None:
        super().__init__(message)
        self.killed = killed


class HostLost(CatbuilderError):
    """A host was cut off or went down; the round goes on when it is back, or elsewhere by a new plan."""


class ServeError(CatbuilderError):
    """The web page cannot be served where it was asked to be."""


class QueryError(CatbuilderError):
    """A query was refused, failed, or ran over its memory or time limit."""


class ObjectNotFound(CatbuilderError):
    """No object of that id is in the catalogue, or the id is in several surveys."""


class OtherAnswer(CatbuilderError):
    """An answer was to be undone that is not the last one."""


class ReleaseError(CatbuilderError):
    """A release is there already, is none, or is not any more what was published."""


class RoundError(CatbuilderError):
    """No such round, or the round is not in a state for what was asked."""
