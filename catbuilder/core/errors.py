"""Errors that a user can fix, one class for each kind.

Every message is one sentence: what is wrong, where, and what to do. The command line prints it as `Error: ...` and
exits with 1. In Python they are ordinary exceptions, all of them subclasses of `CatbuilderError`.
"""

from catbuilder.core.safe_text import printable


class CatbuilderError(Exception):
    """Base class of all errors whose message is meant for the user.

    Control characters in the message, which may come from a file, are escaped so that they cannot act on a terminal.
    """

    def __str__(self) -> str:
        return printable(super().__str__())


class WorkspaceError(CatbuilderError):
    """The workspace is missing, the folder is not a workspace, or its state does not allow the command."""


class WorkspaceBusy(CatbuilderError):
    """Another process is using the workspace or its catalogue; the message names that process."""


class ConfigError(CatbuilderError):
    """A setting in `catbuilder.toml` or in a recipe is unknown, missing or out of range."""


class SchemaError(CatbuilderError):
    """The catalogue file was made by a newer catbuilder, or is not a catalogue."""


class CatalogueDamaged(CatbuilderError):
    """The catalogue or a file that it names is damaged, or lacks something that the log says was recorded."""


class InputError(CatbuilderError):
    """A file or value given by the user cannot be used at all. Single bad rows are rejected without an error."""


class FirewallError(CatbuilderError):
    """A test-set object, or an object that may be one, would have been used for training."""


class NothingToTrain(CatbuilderError):
    """There is no labelled object with a usable stamp for training or validation."""


class NothingToScore(CatbuilderError):
    """There is no object with a usable stamp to score."""


class NothingToCertify(CatbuilderError):
    """The policy `certified` lacks calibration objects to count errors with, or its failure probability is used up."""


class NothingToAsk(CatbuilderError):
    """A selection strategy lacks what it ranks objects by: a model, an ensemble, or features."""


class WeightsError(CatbuilderError):
    """Network weights are missing, damaged, or do not fit the network."""


class LaunchError(CatbuilderError):
    """Worker processes cannot be started as requested (Horovod missing, too many ranks ...)."""


class WorkerDied(CatbuilderError):
    """A worker process ended early; give the same command again to resume from there.

    Parameters
    ----------
    killed : whether a signal ended it; other workers often end as a consequence of the killed one
    """

    def __init__(self, message: str, killed: bool = False) -> None:
        super().__init__(message)
        self.killed = killed


class HostLost(CatbuilderError):
    """A node of the cluster is down or unreachable; resume the round when it is back, or by a plan for fewer."""


class ServeError(CatbuilderError):
    """The web page cannot be served at the requested address."""


class QueryError(CatbuilderError):
    """A query was refused, failed, or ran over its memory or time limit."""


class ObjectNotFound(CatbuilderError):
    """The catalogue has no object of that id, or several surveys have one."""


class OtherAnswer(CatbuilderError):
    """The answer to be undone is not the last one."""


class ReleaseError(CatbuilderError):
    """A release already exists, is missing, or differs from what was published."""


class RoundError(CatbuilderError):
    """The round does not exist, or its state does not allow the command."""
