"""A machine joins a study that another one made: same question, code and data, or not at all."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna

from search import provenance
from search.errors import IdentityError, UsageError
from search.record import study as studies
from search.studyfile.spec import StudySpec


def question(study: optuna.Study, overrides: Sequence[str], code: Path | None) -> StudySpec:
    """The stored spec with this machine's places in it.

    Args:
        overrides: `settings.data_dir=PATH`, the settings that belong to a machine.
        code: folder of the objective's file; None for the same as where the study was made.

    Raises:
        IdentityError: the objective's code here is another, or a newer optsearch made the study.
        ObjectiveError: the objective's code is not here.
        UsageError: an override of something that is the study's, not the machine's.
    """
    spec = studies.require_spec(study)
    studies.check_versions(study)
    if code is not None:
        spec = spec.model_copy(update={"folder": str(code.resolve())})
    spec = spec.with_settings(_machine_settings(overrides))
    check_code(study, spec)
    return spec


def check_code(study: optuna.Study, spec: StudySpec) -> None:
    """Raise IdentityError where the objective's code here is not what the study was made with."""
    made = study.user_attrs["code"]
    now = provenance.code_fingerprint(spec.objective, spec.folder)
    if made != now:
        raise IdentityError(
            f"study '{spec.name}': the code of {spec.objective} in {spec.folder} is {now}, but the "
            f"study was made with {made}; bring the same code here, or name its folder with --code"
        )


def check_data(study: optuna.Study, prepared: dict[str, Any]) -> None:
    """Raise IdentityError where the data here is not the study's."""
    made, here = (
        d.get("fingerprint") for d in (study.user_attrs["data"], prepared.get("data", {}))
    )
    if made != here:
        raise IdentityError(
            f"study '{study.study_name}': the data here has fingerprint {here}, but the study was "
            f"made with {made}; name the right folder with --set settings.data_dir=DIR"
        )


def _machine_settings(overrides: Sequence[str]) -> dict[str, str]:
    settings = {}
    for override in overrides:
        key, equals, value = override.partition("=")
        if key not in studies.MACHINE_SETTINGS or not equals:
            raise UsageError(
                f"--set {override}: a worker may set {', '.join(studies.MACHINE_SETTINGS)} only; "
                "all else is the study's"
            )
        settings[key.removeprefix("settings.")] = value
    return settings
