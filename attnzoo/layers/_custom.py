"""Any Keras layer as attention: what `augment` wraps around a layer of the user's own."""

from __future__ import annotations

from typing import Any

import keras

from attnzoo.errors import AttnzooError
from attnzoo.layers._base import Attention


@keras.saving.register_keras_serializable(package="attnzoo")
class Inserted(Attention):
    """A layer that keeps the shape of its input, blended in like a module of the zoo: A(x) = layer(x).

    Args:
        layer: the layer; its output must have the shape of its input.
        **kwargs: options of `Attention`: `init`, `parallel`, `data_format`, `site`, `name`, `dtype`.

    Raises:
        AttnzooError: if the layer does not keep the shape.
    """

    kind = "context"

    def __init__(self, layer: Any, **kwargs: Any):
        super().__init__(**kwargs)
        self.layer = layer

    def build(self, input_shape: Any) -> None:
        out = tuple(self.layer.compute_output_shape(input_shape))
        if out != tuple(input_shape):
            raise AttnzooError(
                f"'{self.layer.name}' ({type(self.layer).__name__}) makes {out} of {tuple(input_shape)};"
                " attention must keep the shape."
            )
        super().build(input_shape)

    def build_weights(self, channels: int, height: int | None, width: int | None) -> None:
        if not self.layer.built:
            last = self.data_format == "channels_last"
            self.layer.build((None, height, width, channels) if last else (None, channels, height, width))

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
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Inserted:
        config = dict(config)
        config["layer"] = keras.saving.deserialize_keras_object(config["layer"])
        return cls(**config)
