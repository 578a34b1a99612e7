"""The tracker of a recipe during training."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from wsseg.config.recipe import Recipe
from wsseg.config.recipe_files import recipe_text
from wsseg.training.context import RunContext
from wsseg.training.record_by_tracker import RecordByTracker


@contextmanager
def tracked(recipe: Recipe, context: RunContext) -> Iterator[RunContext]:
    """Yield the context with the recipe's tracker, which is closed at the end.

    Raises:
        InputError: The tracker is not installed, or cannot be reached.
    """
    tracker, folder = recipe.track, context.folder.path
    if tracker is None or not context.group.is_leader:
        yield context
        return
    folder.mkdir(parents=True, exist_ok=True)
    run = tracker.open(folder, folder.resolve().name)
    record = RecordByTracker(run, tracker.pictures, context.display)
    record.recipe(recipe_text(recipe))
    try:
        yield replace(context, record=record)
    finally:
        record.close()
