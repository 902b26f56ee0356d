"""`optsearch list`: studies in the storage, and studies that come with the package."""

from search.cli.options import Storage


def list_studies(storage: Storage = None) -> None:
    """List the studies in the storage, and the study files that come with optsearch."""
    from rich.table import Table

    from search.cli.summary import console
    from search.database import storage as storages
    from search.record import results
    from search.record.study import CONFIRMS
    from search.studyfile import catalog, reading

    url = storages.resolve_url(storage)
    unused = url == storages.DEFAULT_URL and not storages.DEFAULT_FILE.exists()
    database = None if unused else storages.open_storage(url, create=False)
    stored = database.get_all_studies() if database else []
    names = [s.study_name for s in stored if CONFIRMS not in s.user_attrs]
    table = Table(box=None, header_style="dim", pad_edge=False)
    for column in ("study", "trials", "best", "question"):
        table.add_column(column)
    from search.record.study import load_study

    for name in names:
        study = load_study(name, url)
        ranked = results.ranking(study)
        table.add_row(
            name,
            str(len(study.get_trials(deepcopy=False))),
            f"{results.metric(study)} {ranked[0].value:.4f}" if ranked else "-",
            study.user_attrs.get("spec", {}).get("question", ""),
        )
    console.print(f"In {storages.redacted(url)}:")
    console.print(table if names else "  nothing yet")
    console.print("\nStudy files that come with optsearch (`run --study NAME` starts one):")
    files = Table(box=None, show_header=False, pad_edge=False)
    for name in catalog.available():
        files.add_row(name, reading.load(name).spec.question)
    console.print(files)
