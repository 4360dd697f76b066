"""What can go wrong, as one tree.

    TracemillError                     exit 70  a broken promise of our own, if nothing more precise is raised
    ├── UsageError      (ValueError)   exit 2   a command was called with words that do not fit
    ├── MissingExtra    (ImportError)  exit 2   the command needs an extra that is not installed
    ├── RecipeError     (ValueError)   exit 3   the recipe, or an input it names, cannot be used
    ├── DataError       (ValueError)   exit 3   a dataset's file is damaged, or holds no rows that we know
    ├── LossyConversion (ValueError)   exit 3   a layout cannot carry what a sample holds
    ├── JudgeUntrusted                 exit 4   the judge lets planted bad answers pass
    ├── EndpointError   (OSError)      exit 5   a teacher cannot be asked
    ├── BudgetSpent                    exit 5   what the run may spend is spent
    ├── DiskError       (OSError)      exit 6   the disk is full or refuses
    ├── Locked          (OSError)      exit 7   another process writes this run
    ├── CorruptRun      (ValueError)   exit 1   files of a run do not say what its manifest says
    └── Interrupted                    exit 130 a signal asked us to stop; the run resumes

Each error carries the exit code of the command contract, can be pickled, and says in `retry` whether the same call may
succeed later without a change by the user.
"""

from __future__ import annotations


class TracemillError(Exception):
    """The root. Its text is written for the user: what, where, what is there instead, what to do."""

    exit_code = 70
    retry = False


class UsageError(TracemillError, ValueError):
    """A command or function was called with arguments that do not fit."""

    exit_code = 2


class MissingExtra(TracemillError, ImportError):
    """An optional dependency is not installed; the text holds the install line."""

    exit_code = 2


def not_installed(module: str) -> str:
    """What to say of a package that cannot be imported."""
    package = module.partition(".")[0].replace("_", "-")
    return f"the Python package {package!r} is not installed, and this needs it; install it: python -m pip install {package}"


class RecipeError(TracemillError, ValueError):
    """A recipe, or an input that it names, cannot be used.

    Args:
        key: The key of the recipe that it is about, where only the value's use shows what is wrong with it: whoever
            knows the file can then name the line.
    """

    exit_code = 3

    def __init__(self, message: str, key: tuple[str | int, ...] = ()) -> None:
        super().__init__(message, key)
        self.key = key

    def __str__(self) -> str:
        return str(self.args[0])


class DataError(TracemillError, ValueError):
    """A file of a dataset cannot be read, or holds no rows that we know; the text says where."""

    exit_code = 3


class LossyConversion(TracemillError, ValueError):
    """A layout cannot carry what a sample holds; `field` names what would be lost."""

    exit_code = 3

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message, field)
        self.field = field

    def __str__(self) -> str:
        return str(self.args[0])


class JudgeUntrusted(TracemillError):
    """The judge let more planted bad answers pass than the recipe allows: its verdicts are worth nothing."""

    exit_code = 4


class EndpointError(TracemillError, OSError):
    """A teacher cannot be asked: unreachable, unauthorised, or answering mostly with errors."""

    exit_code = 5
    retry = True

    def __str__(self) -> str:
        return str(self.args[0])


class BudgetSpent(TracemillError):
    """A limit of the recipe's budget is reached; nothing more was sent.

    Args:
        limit: Its key under `budget`.
        spent: What was spent, in words.
    """

    exit_code = 5

    def __init__(self, limit: str, spent: str) -> None:
        super().__init__(limit, spent)
        self.limit = limit

    def __str__(self) -> str:
        limit, spent = self.args
        return (
            f"the budget is spent: {spent}. Every reply is stored. To go on, raise budget.{limit} and run the command "
            f"again, e.g. with --set budget.{limit}=..."
        )


class DiskError(TracemillError, OSError):
    """The disk is full, or refuses to write; nothing acknowledged is lost."""

    exit_code = 6
    retry = True

    def __str__(self) -> str:
        return str(self.args[0])


class Locked(TracemillError, OSError):
    """Another process writes this run directory; the text names it."""

    exit_code = 7
    retry = True

    def __str__(self) -> str:
        return str(self.args[0])


class CorruptRun(TracemillError, ValueError):
    """A file of a run is missing or does not hold what its manifest or journal says."""

    exit_code = 1


class Interrupted(TracemillError):
    """A signal asked us to stop. Replies are safe in the journal; the same command goes on."""

    exit_code = 130
    retry = True

    def __init__(self, message: str, exit_code: int = 130) -> None:
        super().__init__(message, exit_code)
        self.exit_code = exit_code

    def __str__(self) -> str:
        return str(self.args[0])
