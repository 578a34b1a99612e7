"""Export of the network of a stage as ONNX."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from wsseg.errors import WorkError
from wsseg.inference.onnx_export import export_onnx
from wsseg.inference.run import load_run

if TYPE_CHECKING:
    from tests.conftest import Wsseg

onnxruntime = pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")


@pytest.mark.slow
def test_onnxruntime_computes_the_logits_of_images_in_hu_for_any_batch_size(
    wsseg: "Wsseg", trained: Path, tmp_path: Path
) -> None:
    path = tmp_path / "toy.onnx"
    ended = wsseg("export", trained, "consolidation", "--onnx", path)
    assert ended.code == 0, ended.err
    assert f"{path}: opset 18, any batch size, within " in ended.err
    model = onnx.load(path)
    onnx.checker.check_model(model)
    assert [(each.domain, each.version) for each in model.opset_import] == [("", 18)]
    properties = {each.key: each.value for each in model.metadata_props}
    assert properties["classes"] == "consolidation"
    assert properties["stage"] == "consolidation"
    network = load_run(trained).pipeline.stages["consolidation"].network
    assert network is not None
    session = onnxruntime.InferenceSession(path)
    for number in (1, 2, 7):
        hu = np.random.default_rng(number).uniform(-1024, 300, (number, 1, 3, 32, 32))
        image = hu.astype(np.float32)
        with torch.no_grad():
            expected = network(torch.from_numpy(image)).numpy()
        (logits,) = session.run(["logits"], {"image": image})
        assert logits.shape == (number, 1, 32, 32)
        assert logits == pytest.approx(expected, abs=1e-3)


def test_a_network_whose_logits_differ_is_not_written(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def constant(_: object, __: object, path: Path) -> None:
        shape = [None, 1, 32, 32]
        kind = onnx.TensorProto.FLOAT
        image = onnx.helper.make_tensor_value_info("image", kind, ["batch", 1, 3, 32, 32])
        logits = onnx.helper.make_tensor_value_info("logits", kind, shape)
        mean = onnx.helper.make_node("ReduceMean", ["image", "axes"], ["logits"], keepdims=0)
        axes = onnx.helper.make_tensor("axes", onnx.TensorProto.INT64, [1], [2])
        graph = onnx.helper.make_graph([mean], "mean", [image], [logits], [axes])
        opset = [onnx.helper.make_opsetid("", 18)]
        onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=10), path)

    monkeypatch.setattr("wsseg.inference.onnx_export._export", constant)
    stage = load_run(trained).pipeline.stages["infection"]
    with pytest.raises(WorkError, match=r"differ by .* nothing was written"):
        export_onnx(stage, tmp_path / "x.onnx")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_stage_and_another_suffix_are_refused(
    wsseg: "Wsseg", trained: Path, tmp_path: Path
) -> None:
    ended = wsseg("export", trained, "consolidaton", "--onnx", tmp_path / "x.onnx")
    ended.refused("no stage is called 'consolidaton'", "Did you mean 'consolidation'?")
    wsseg("export", trained, "infection", "--onnx", tmp_path / "x.pt").refused("ends in .onnx")
    assert list(tmp_path.iterdir()) == []
