"""The one exception that is meant for the user's eyes."""


class UserError(Exception):
    """Bad input: one line that names the key or file and the cure.

    The entry points print it without a traceback and exit with code 2. Anything else that raises is a fault of ours
    and keeps its traceback.
    """


class UnwritableError(UserError):
    """What a run leaves could not be written, because the disk is full or refuses; nothing half written is left."""
