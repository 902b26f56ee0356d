"""search/strategy/samplers.py: each row of the table works, and what is wrong is told."""

import optuna
import pytest

from search.strategy import samplers
from search.strategy.samplers import SAMPLERS

SEEDLESS = ("gp",)  # needs torch and seconds: built here, and left to its own tests


@pytest.mark.parametrize("name", SAMPLERS)
def test_each_sampler_is_built_from_its_name_and_a_seed(name: str) -> None:
    """Every row of the table, with no options."""
    assert list(samplers.problems(name, {})) == []
    assert isinstance(samplers.build(name, {}, seed=1), optuna.samplers.BaseSampler)


@pytest.mark.parametrize("name", [n for n in SAMPLERS if n not in SEEDLESS])
def test_the_same_seed_draws_the_same_parameters(name: str) -> None:
    """And another seed draws others."""

    def draw(seed: int) -> list[float]:
        study = optuna.create_study(sampler=samplers.build(name, {}, seed))
        study.optimize(lambda t: t.suggest_float("x", 0, 1), n_trials=4)
        return [t.params["x"] for t in study.trials]

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)


def test_options_reach_the_sampler() -> None:
    """They are Optuna's own argument names."""
    assert samplers.build("tpe", {"n_startup_trials": 3}, 0)._n_startup_trials == 3  # type: ignore[attr-defined]


def test_a_conditional_parameter_is_sampled_jointly() -> None:
    """TPE is built with `group`: without it, momentum under SGD alone would be drawn by itself."""
    built = samplers.build("tpe", {}, 0)
    assert built._group  # type: ignore[attr-defined]
    assert built._multivariate  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("tpee", {}, "unknown sampler 'tpee'; did you mean 'tpe'? one of: tpe, random"),
        ("tpe", {"startup": 1}, "sampler 'tpe' has no option 'startup'; options: "),
        ("tpe", {"seed": 1}, "sampler 'tpe' has no option 'seed'"),
        ("qmc", {"qmc_type": "x"}, "sampler 'qmc': "),
    ],
)
def test_a_wrong_sampler_is_told(name: str, options: dict[str, object], message: str) -> None:
    """The nearest name, the valid options, or what the sampler itself says."""
    (found,) = samplers.problems(name, options)
    assert found.startswith(message)
