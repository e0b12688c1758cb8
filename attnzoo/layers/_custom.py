"""Any Keras layer as attention: what `augment` wraps around a layer of the user's own."""

from __future__ import annotations

from typing import Any

import keras

from attnzoo.errors import AttnzooError, first_line
from attnzoo.layers._base import Attention


@keras.saving.register_keras_serializable(package="attnzoo")
class Inserted(Attention):
    """A layer that keeps the shape of its input, blended in like a module of the zoo: A(x) = layer(x).

    Args:
        layer: the layer; its output must have the shape of its input.
        **kwargs: options of `Attention`: `init`, `parallel`, `data_format`, `site`, `name`, `dtype`.

    Raises:
        AttnzooError: if the layer cannot be called on one map, or does not keep its shape.
    """

    kind = "context"

    def __init__(self, layer: Any, **kwargs: Any):
        super().__init__(**kwargs)
        self.layer = layer

    def build(self, input_shape: Any) -> None:
        what = f"'{self.layer.name}' ({type(self.layer).__name__})"
        try:  # builds it, sublayers and all
            out = self.layer(keras.KerasTensor(input_shape, dtype=self.compute_dtype))
        except Exception as error:  # the user's code: anything may come
            raise AttnzooError(
                f"{what} cannot be called on a map of {tuple(input_shape)}: {first_line(error).removesuffix('.')};"
                " attention takes one map and returns one of its shape."
            ) from error
        shape = tuple(out.shape) if isinstance(out, keras.KerasTensor) else f"a {type(out).__name__}"
        if shape != tuple(input_shape):
            raise AttnzooError(f"{what} makes {shape} of {tuple(input_shape)}; attention must keep the shape.")
        super().build(input_shape)

    def call(self, x: Any, training: bool | None = None) -> Any:
        kwargs = {"training": training} if "training" in self.layer.call_signature_parameters else {}
        y = keras.ops.cast(self.layer(x, **kwargs), x.dtype)
        addend = y if self.parallel else y - x
        if self.alpha is None:
            return x + y if self.parallel else y
        return x + keras.ops.cast(self.alpha, x.dtype) * addend

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config["layer"] = keras.saving.serialize_keras_object(self.layer)
        config["layer"].pop("build_config", None)  # `build` builds it, sublayers and all; Keras would not
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Inserted:
        config = dict(config)
        config["layer"] = keras.saving.deserialize_keras_object(config["layer"])
        return cls(**config)
