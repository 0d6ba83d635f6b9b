"""Libraries that evaluate forests, each fed from a fitted HistGradientBoostingClassifier.

None of them is a dependency: what is not installed is not measured. docs/performance.md says why.
"""

import tempfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Predict = Callable[[Floats], Floats]
"""Raw scores of a block of features."""

_LARGEST = float(np.finfo(np.float64).max)


def _gtil(estimator: Any) -> Predict:
    treelite = import_module("treelite")
    model = treelite.sklearn.import_model(estimator)
    return lambda features: treelite.gtil.predict(
        model, features, nthread=1, pred_margin=True
    ).ravel()


def _tl2cgen(estimator: Any) -> Predict:
    treelite, tl2cgen = import_module("treelite"), import_module("tl2cgen")
    library = Path(tempfile.mkdtemp()) / "forest.so"
    model = treelite.sklearn.import_model(estimator)
    tl2cgen.export_lib(model, toolchain="gcc", libpath=str(library), params={})
    predictor = tl2cgen.Predictor(str(library), nthread=1)
    return lambda features: predictor.predict(tl2cgen.DMatrix(features), pred_margin=True).ravel()


def _lightgbm(estimator: Any) -> Predict:
    booster = import_module("lightgbm").Booster(model_str=lightgbm_text(estimator))
    return lambda features: booster.predict(features, raw_score=True, num_threads=1)


def _lleaves(estimator: Any) -> Predict:
    model = import_module("lleaves").Model(model_file=_text_file(estimator))
    model.compile(raw_score=True)
    return lambda features: model.predict(np.ascontiguousarray(features), n_jobs=1)


def _lignum(estimator: Any) -> Predict:
    model = import_module("lignum").load(_text_file(estimator))
    return lambda features: model.predict(features, raw_score=True, n_jobs=1)


def _onnx(estimator: Any) -> Predict:
    """By the operator TreeEnsemble of doubles: what skl2onnx writes has float32 scores."""
    onnx, runtime = import_module("onnx"), import_module("onnxruntime")
    node = onnx.helper.make_node(
        "TreeEnsemble", ["x"], ["y"], domain="ai.onnx.ml", **_onnx_trees(estimator, onnx)
    )
    double = onnx.TensorProto.DOUBLE
    shapes = (("x", [None, estimator.n_features_in_]), ("y", [None, 1]))
    ends = [onnx.helper.make_tensor_value_info(name, double, shape) for name, shape in shapes]
    opsets = [onnx.helper.make_opsetid("", 21), onnx.helper.make_opsetid("ai.onnx.ml", 5)]
    model = onnx.helper.make_model(
        onnx.helper.make_graph([node], "forest", ends[:1], ends[1:]),
        opset_imports=opsets,
        ir_version=10,
    )
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = runtime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return lambda features: session.run(["y"], {"x": np.ascontiguousarray(features)})[0].ravel()


OTHERS: dict[str, tuple[tuple[str, ...], Callable[[Any], Predict]]] = {
    "ONNX Runtime, double": (("onnxruntime", "onnx"), _onnx),
    "treelite GTIL": (("treelite",), _gtil),
    "tl2cgen": (("tl2cgen", "treelite"), _tl2cgen),
    "LightGBM": (("lightgbm",), _lightgbm),
    "lleaves": (("lleaves",), _lleaves),
    "lignum": (("lignum",), _lignum),
}
"""The modules that each needs, its own first, and how it takes over a forest."""


def _onnx_trees(estimator: Any, onnx: Any) -> dict[str, Any]:
    """The attributes of a TreeEnsemble."""
    names = ("featureids", "truenodeids", "trueleafs", "falsenodeids", "falseleafs")
    lists: dict[str, list[int]] = {f"nodes_{name}": [] for name in names}
    lists |= {"nodes_missing_value_tracks_true": [], "tree_roots": []}
    thresholds: list[float] = []
    values: list[float] = []
    base = float(estimator._baseline_prediction[0, 0])
    for (predictor,) in estimator._predictors:
        nodes, leaf = predictor.nodes, predictor.nodes["is_leaf"] == 1
        place = (
            np.where(leaf, len(values) + np.cumsum(leaf), len(thresholds) + np.cumsum(~leaf)) - 1
        )
        inner = nodes[~leaf]
        lists["tree_roots"].append(int(place[0]))
        lists["nodes_featureids"] += inner["feature_idx"].tolist()
        for side, child in (("true", "left"), ("false", "right")):
            lists[f"nodes_{side}nodeids"] += place[inner[child]].tolist()
            lists[f"nodes_{side}leafs"] += leaf[inner[child]].astype(int).tolist()
        lists["nodes_missing_value_tracks_true"] += inner["missing_go_to_left"].tolist()
        thresholds += inner["num_threshold"].tolist()
        values += (nodes["value"][leaf] + base).tolist()
        base = 0.0
    double, small = onnx.TensorProto.DOUBLE, onnx.TensorProto.UINT8
    tensor, many = onnx.helper.make_tensor, len(thresholds)
    return {
        **lists,
        "nodes_splits": tensor("splits", double, [many], thresholds),
        "nodes_modes": tensor("modes", small, [many], bytes(many), raw=True),
        "leaf_weights": tensor("weights", double, [len(values)], values),
        "leaf_targetids": [0] * len(values),
        "n_targets": 1,
    }


def _text_file(estimator: Any) -> str:
    path = Path(tempfile.mkdtemp()) / "forest.txt"
    path.write_text(lightgbm_text(estimator))
    return str(path)


def lightgbm_text(estimator: Any) -> str:
    """The same forest as a LightGBM text model; trees of one leaf are not provided for."""
    names = [f"f{i}" for i in range(estimator.n_features_in_)]
    base = float(estimator._baseline_prediction[0, 0])
    trees = []
    for number, (predictor,) in enumerate(estimator._predictors):
        trees.append(_lightgbm_tree(number, predictor.nodes, 0.0 if number else base))
    head = {
        "version": "v4",
        "num_class": 1,
        "num_tree_per_iteration": 1,
        "label_index": 0,
        "max_feature_idx": len(names) - 1,
        "objective": "binary sigmoid:1",
        "feature_names": " ".join(names),
        "feature_infos": " ".join(["[-1:1]"] * len(names)),
        "tree_sizes": " ".join(str(len(tree)) for tree in trees),
    }
    return f"tree\n{_lines(head)}\n" + "".join(trees) + "end of trees\n\npandas_categorical:null\n"


def _lightgbm_tree(number: int, nodes: npt.NDArray[np.void], base: float) -> str:
    leaf = nodes["is_leaf"] == 1
    # Leaves have negative numbers.
    place = np.where(leaf, -np.cumsum(leaf), np.cumsum(~leaf) - 1)
    inner, leaves = nodes[~leaf], nodes[leaf]
    columns = {
        "split_feature": inner["feature_idx"],
        "threshold": np.minimum(inner["num_threshold"], _LARGEST),
        # 8: NaN is missing; 2: it goes to the left.
        "decision_type": 8 + 2 * (inner["missing_go_to_left"] > 0),
        "left_child": place[inner["left"]],
        "right_child": place[inner["right"]],
        "leaf_value": leaves["value"] + base,
        "leaf_count": leaves["count"],
        "internal_value": np.zeros(len(inner), int),
        "internal_count": inner["count"],
        "split_gain": np.ones(len(inner), int),
        "leaf_weight": np.ones(len(leaves), int),
        "internal_weight": np.ones(len(inner), int),
    }
    written = {name: " ".join(map(repr, column.tolist())) for name, column in columns.items()}
    head = {"Tree": number, "num_leaves": len(leaves), "num_cat": 0}
    return _lines(head | written | {"is_linear": 0, "shrinkage": 1}) + "\n\n"


def _lines(fields: dict[str, Any]) -> str:
    return "".join(f"{name}={value}\n" for name, value in fields.items())
