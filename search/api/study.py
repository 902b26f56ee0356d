"""`Study("cifar")`: a study in the hand, to be run and asked, today or after a restart."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.api import models, shown, tables, words
from search.api import question as questions
from search.api.run import Answer, run_study
from search.database import storage as storages
from search.errors import OptsearchError, UsageError

if TYPE_CHECKING:
    import pandas
    import plotly.graph_objects as go  # type: ignore[import-untyped]

    from search.api.question import Asked

OUT = "best.yaml"


class Study:
    """A study: what it asks, and what is known of it in its storage.

    It keeps and finds things where the commands do, so that either may go on with what the other
    has begun.

    Args:
        study: a name or the path of a study file, a dict with its keys, or an objective, as of
            `run_study`; also the name of any study in the storage, which can be asked but not run.
        name: its name in the storage; by default the file's, or the function's.
        storage: URL of a database; by default OPTSEARCH_STORAGE, else sqlite:///runs/optsearch.db.
        workdir: of checkpoints and models, by default beside the database.
        out: the file of the answer; its model lies in a folder beside it, of best.yaml in best/.

    Raises:
        OptsearchError: its file is wrong, or it is nothing that can be searched.
    """

    @words.spoken()
    def __init__(
        self,
        study: "Asked",
        *,
        name: str | None = None,
        storage: str | None = None,
        workdir: str | Path | None = None,
        out: str | Path = OUT,
    ) -> None:
        self._asked, self._name = study, name
        self.name = name or questions.name_of(study)
        self.storage = storages.resolve_url(storage)
        self.workdir, self.out = workdir, Path(out)

    def run(self, **options: Any) -> Answer:
        """Search, and confirm the best on fresh seeds; again, to go on.

        Args:
            options: those of `run_study`, such as `trials=40`, `timeout="2h"`, `device="cuda"`.
        """
        return run_study(
            self._asked,
            name=self._name,
            storage=self.storage,
            workdir=self.workdir,
            out=self.out,
            **options,
        )

    @property
    @words.spoken()
    def answer(self) -> Answer:
        """What is known by now.

        Raises:
            OptsearchError: it has never been run, or its database cannot be read.
        """
        from search.record import results

        told = results.summary(tables.load(self.name, self.storage), None)
        return Answer(self.name, told["best"], told["confirmed"], False, self.storage)

    def compare(self, by: str | None = None, *, target: float | None = None) -> "pandas.DataFrame":
        """Which value of a parameter is best: as the function `compare`."""
        return tables.compare(self.name, by, self.storage, target=target)

    def results(self, *, history: bool = False) -> "pandas.DataFrame":
        """A row a trial, or with `history` a row an epoch: as `load_results`."""
        return tables.load_results(self.name, self.storage, history=history)

    def figures(self) -> "dict[str, go.Figure]":
        """The report's figures by name: as the function `figures`."""
        return tables.figures(self.name, self.storage)

    @words.spoken()
    def model(self, device: str = "cpu") -> Any:
        """The winner's trained model, ready to predict: as `load_model` of the folder beside `out`.

        Raises:
            UsageError: there is none, or it is of another study.
        """
        from search.answers import held, kept

        folder = kept.place(self.out)
        about = held.manifest(folder)
        if about is not None and about["study"] != self.name:
            raise UsageError(
                f"--out {self.out}: {folder}/ holds the model of study '{about['study']}', not of "
                f"'{self.name}'; name another one, and run it once more"
            )
        return models.load_model(folder, device)

    def __repr__(self) -> str:
        return f"Study({self.name!r}, storage={storages.redacted(self.storage)!r})"

    def _repr_html_(self) -> str:
        try:
            return shown.of_answer(self.answer)
        except OptsearchError as error:
            return shown.of_nothing(self.name, str(error))
