"""The error of the models room."""


class ModelError(Exception):
    """A model that cannot be named, found, built or loaded; the message is one sentence for the user."""
