"""Runs exported files in a process of its own: `python runner.py FORMAT JOBS.json`.

A job is [model, input.npy, output.npy]. But for the files that Keras itself reads, attnzoo must not be needed to run
what it made, which is checked at the end, nor Keras.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np


def keras_file(path: str, x: np.ndarray) -> Any:
    import keras

    import attnzoo

    return keras.ops.convert_to_numpy(attnzoo.load_model(path)(x, training=False))


def weights(path: str, x: np.ndarray) -> Any:
    import keras

    import attnzoo

    with open(f"{path}.json") as file:
        model = keras.models.model_from_json(file.read())  # with other random weights
    attnzoo.load_backbone_weights(model, path)
    return keras.ops.convert_to_numpy(model(x, training=False))


def saved_model(path: str, x: np.ndarray) -> Any:
    import tensorflow as tf

    loaded = tf.saved_model.load(path)  # held, because its function does not hold its variables
    return loaded.serve(tf.constant(x)).numpy()


def litert(path: str, x: np.ndarray) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(path)
    place = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(place, x.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(place, x)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def onnx(path: str, x: np.ndarray) -> Any:
    from onnxruntime import InferenceSession

    session = InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})[0]


def openvino(path: str, x: np.ndarray) -> Any:
    import openvino as ov

    # By default OpenVINO computes in bfloat16 on processors that are good at it.
    return ov.compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(x)[0]


KERAS = {"keras": keras_file, "weights": weights}
RUNNERS = {**KERAS, "tf_saved_model": saved_model, "litert": litert, "onnx": onnx, "openvino": openvino}


def main() -> None:
    run = RUNNERS[sys.argv[1]]
    with open(sys.argv[2]) as file:
        jobs = json.load(file)
    for model, given, result in jobs:
        np.save(result, run(model, np.load(given)))
    # TensorFlow imports Keras, so that it is no sign of anything with SavedModel.
    needed = {"attnzoo", "keras"} if "tensorflow" not in sys.modules else {"attnzoo"}
    if sys.argv[1] not in KERAS and needed & {*sys.modules}:
        raise SystemExit(f"the process imported {needed & {*sys.modules}}")


if __name__ == "__main__":
    main()
