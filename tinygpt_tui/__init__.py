"""The faces of tinygpt: the command line now, the terminal playground next."""

__version__ = "0.1.0"
