"""The one exception for input that the caller can mend."""


class UserError(Exception):
    """Bad input: one sentence that names the file or key and the mend. The command line prints it and exits with 2."""
