"""What was said in the log."""

import logging


class ListHandler(logging.Handler):
    """Keeps formatted messages, never records: a record would keep what it was given alive."""

    def __init__(self):
        super().__init__()
        self.messages = []

    def emit(self, record):
        self.messages.append((record.levelname, record.getMessage()))


def messages(logger, start="", level=None):
    """Messages of a `debug_log` that start like that."""
    found = logger.handlers[0].messages
    return [text for name, text in found if text.startswith(start) and level in (None, name)]
