"""`optsearch stop`: a word in the database that every command at work on a study hears.

The word is an event, not a state: a new token each time, compared with the one that was there when
the command began. So what starts afterwards goes on normally.
"""

import secrets
import time

import optuna

KEY = "optsearch:stop"  # study attribute: the token of the last request
LOOK_S = 2.0  # between two looks; each reads the study's attributes once


def ask(study: optuna.Study) -> None:
    """Ask every command at work on the study, on any host, to finish its epochs and end."""
    study.set_user_attr(KEY, secrets.token_hex(8))


class Halt:
    """Hears a request that was made since this was."""

    def __init__(self, study: optuna.Study) -> None:
        self._study, self._before = study, study.user_attrs.get(KEY)
        self._looked = time.monotonic()
        self._heard = False

    def asked(self) -> bool:
        """Whether somebody has asked; looks at most every LOOK_S. KeyError: no such study."""
        if not self._heard and time.monotonic() - self._looked > LOOK_S:
            self._looked = time.monotonic()
            self._heard = self._study.user_attrs.get(KEY) != self._before
        return self._heard
