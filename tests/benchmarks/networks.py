"""The networks of the benchmarks as a plain script would write them, for Keras and for PyTorch."""

from typing import Any

Layers = list[tuple[Any, ...]]
SHAPES = {"keras_cnn": (32, 32, 3), "mnist_cnn": (28, 28, 1), "digits_cnn": (8, 8, 1)}
LAYERS: dict[str, Layers] = {
    "keras_cnn": [
        ("conv", 32, "same"), ("conv", 32, "valid"), ("pool",), ("dropout", 0.25),
        ("conv", 64, "same"), ("conv", 64, "valid"), ("pool",), ("dropout", 0.25),
        ("flatten",), ("dense", 512), ("dropout", 0.5), ("out", 10),
    ],
    "mnist_cnn": [
        ("conv", 32, "valid"), ("norm",), ("pool",), ("norm",),
        ("conv", 64, "valid"), ("norm",), ("pool",), ("norm",),
        ("flatten",), ("dense", 256), ("norm",), ("out", 10),
    ],
    "digits_cnn": [
        ("conv", 32, "same"), ("conv", 64, "same"), ("pool",), ("dropout", 0.25),
        ("flatten",), ("dense", 128), ("dropout", 0.5), ("out", 10),
    ],
}  # fmt: skip


def in_keras(name: str) -> Any:
    """A compiled Keras model: cross-entropy, RMSprop 1e-4."""
    import keras
    from keras import layers

    rows = {
        "conv": lambda n, p: layers.Conv2D(n, 3, padding=p, activation="relu"),
        "pool": lambda: layers.MaxPooling2D(2),
        "norm": lambda: layers.BatchNormalization(),
        "dropout": layers.Dropout,
        "flatten": lambda: layers.Flatten(),
        "dense": lambda n: layers.Dense(n, activation="relu"),
        "out": lambda n: layers.Dense(n, activation="softmax"),
    }
    body = [rows[kind](*options) for kind, *options in LAYERS[name]]
    model = keras.Sequential([keras.Input(SHAPES[name]), *body])
    optimizer = keras.optimizers.RMSprop(learning_rate=1e-4)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def in_torch(name: str) -> Any:
    """A plain nn.Sequential."""
    from torch import nn

    rows = {
        "conv": lambda n, p: [nn.LazyConv2d(n, 3, padding=int(p == "same")), nn.ReLU()],
        "pool": lambda: [nn.MaxPool2d(2)],
        "norm": lambda: [nn.LazyBatchNorm2d(eps=1e-3, momentum=0.01)],
        "dropout": lambda p: [nn.Dropout(p)],
        "flatten": lambda: [nn.Flatten()],
        "dense": lambda n: [nn.LazyLinear(n), nn.ReLU()],
        "out": lambda n: [nn.LazyLinear(n)],
    }
    body, flat = [], False
    for kind, *options in LAYERS[name]:
        flat = flat or kind == "flatten"
        norm_1d = kind == "norm" and flat
        layer = [nn.LazyBatchNorm1d(eps=1e-3, momentum=0.01)] if norm_1d else rows[kind](*options)
        body += layer
    return nn.Sequential(*body)
