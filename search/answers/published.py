"""What others reported for the configurations of a study file, beside what was measured here."""

import optuna

from search.answers import evidence, groups, testset
from search.record import results
from search.record import study as studies


def rows(study: optuna.Study) -> list[dict[str, str]]:
    """A row a configuration with a name; [] where no figure of others is quoted."""
    spec = studies.stored_spec(study)
    named = (spec.configurations or spec.baselines) if spec else []
    if not any(item.published for item in named):
        return []
    known, tested = evidence.of(study), testset.scores(study)
    trials = {t.user_attrs.get("configuration"): t for t in groups.last_links(study)}
    metric = results.metric(study)
    told = []
    for item in named:
        trial = trials.get(item.name)
        found = known.of(trial.number) if known and trial else None
        test = tested.get(trial.number, {}).get(metric.removeprefix("val_")) if trial else None
        score = None if trial is None else trial.value
        told.append(
            {
                "configuration": item.name,
                "published": ", ".join(f"{k} {v}" for k, v in item.published.items()) or "-",
                "test": _one(found.test.short if found and found.test else None, test),
                metric: _one(found.interval.short if found and found.interval else None, score),
                "epochs": str(results.epochs_run(trial)) if trial else "-",
            }
        )
    return told


def _one(mean: str | None, single: float | None) -> str:
    return mean or ("-" if single is None else f"{single:.4f}, one seed")
