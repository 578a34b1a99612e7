from pathlib import Path

import wsseg


def test_a_run_learns_its_stages_and_predicts(toy_recipe: Path, tmp_path: Path) -> None:
    run = wsseg.train(wsseg.load_recipe(toy_recipe), out=tmp_path / "run")
    print(run.folder)
    from wsseg.evaluate import evaluate
    from wsseg.train import split_of
    for row in evaluate(run, split_of(run.recipe).test): print(row)
