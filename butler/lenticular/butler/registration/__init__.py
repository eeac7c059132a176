"""Files as datasets of a run: in bulk, as often as one likes, by as many writers as like."""

from lenticular.butler.registration.files import (
    TRANSFER_MODES,
    FileToRegister,
    Outcome,
    RegistrationReport,
)
from lenticular.butler.registration.register import register_batches, register_files

__all__ = [
    "TRANSFER_MODES",
    "FileToRegister",
    "Outcome",
    "RegistrationReport",
    "register_batches",
    "register_files",
]
