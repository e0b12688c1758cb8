"""The papers' equations in plain NumPy: `REFERENCE[key](x, weights, **options)`, x channels_last.

Written from the papers, slowly and literally, and not from the layers: no formula here is rearranged. `weights` are in
the order of `layer.get_weights()`, which each layer's docstring gives; normalisations run in inference.
"""

from __future__ import annotations

import math

import numpy as np

# Building blocks ------------------------------------------------------------------------------------------------


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def hard_sigmoid(z):
    return np.clip(z + 3, 0, 6) / 6


GATES = {"sigmoid": sigmoid, "hard_sigmoid": hard_sigmoid}


def relu(z):
    return np.maximum(z, 0)


def softmax(z, axis):
    e = np.exp(z - z.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def gap(x):
    return x.mean(axis=(1, 2))


def per_channel(g):
    return g[:, None, None, :]


def take(weights, *shape_names):
    """Splits the next weights off a list."""
    taken, weights[:] = weights[: len(shape_names)], weights[len(shape_names) :]
    return taken


def norm(z, weights, epsilon=1e-5):
    gamma, beta, mean, variance = take(weights, "gamma", "beta", "mean", "variance")
    return gamma * (z - mean) / np.sqrt(variance + epsilon) + beta


def conv(x, kernel, dilation=1):
    """'same' convolution of an odd kernel (kh, kw, in, out)."""
    kh, kw = kernel.shape[:2]
    ph, pw = dilation * (kh // 2), dilation * (kw // 2)
    padded = np.pad(x, [(0, 0), (ph, ph), (pw, pw), (0, 0)])
    y = 0
    for i in range(kh):
        for j in range(kw):
            rows, cols = slice(i * dilation, i * dilation + x.shape[1]), slice(j * dilation, j * dilation + x.shape[2])
            y = y + padded[:, rows, cols] @ kernel[i, j]
    return y


def mlp(z, weights, use_bias=True):
    if use_bias:
        w1, b1, w2, b2 = take(weights, "w1", "b1", "w2", "b2")
        return relu(z @ w1 + b1) @ w2 + b2
    w1, w2 = take(weights, "w1", "w2")
    return relu(z @ w1) @ w2


# The modules ----------------------------------------------------------------------------------------------------


def se(x, w, use_bias=True, gate="sigmoid", ratio=8):
    return x * per_channel(GATES[gate](mlp(gap(x), w, use_bias)))


def ese(x, w, gate="hard_sigmoid"):
    return x * per_channel(GATES[gate](gap(x) @ w[0] + w[1]))


def eca(x, w, padding="same", gamma=2, b=1, kernel_size=None, min_kernel_size=1):
    channels = x.shape[-1]
    t = int(abs((math.log2(channels) + b) / gamma))
    k = kernel_size or max(min_kernel_size, t if t % 2 else t + 1)
    assert w[0].shape == (k, 1, 1)
    z, y = gap(x), np.zeros((len(x), channels))
    for c in range(channels):
        for tap in range(k):
            at = c + tap - k // 2
            if padding == "circular" or 0 <= at < channels:
                y[:, c] += w[0][tap, 0, 0] * z[:, at % channels]
    return x * per_channel(sigmoid(y))


def channel(x, w, use_bias=True, ratio=8):
    z = mlp(gap(x), list(w), use_bias) + mlp(x.max(axis=(1, 2)), w, use_bias)
    return x * per_channel(sigmoid(z))


def spatial(x, w, pool_order="mean_max", use_bn=False, kernel_size=7):
    pair = [x.mean(axis=-1), x.max(axis=-1)]
    (kernel,) = take(w, "kernel")
    z = conv(np.stack(pair if pool_order == "mean_max" else pair[::-1], axis=-1), kernel)
    return x * sigmoid(norm(z, w) if use_bn else z)


def cbam(x, w, use_bias=True, ratio=8, **options):
    return spatial(channel(x, w, use_bias), w, **options)


def lcbam(x, w, use_bias=False, use_bn=True, ratio=16, kernel_size=7):
    z = mlp(0.5 * gap(x) + 0.5 * x.max(axis=(1, 2)), w, use_bias)
    x = x * per_channel(sigmoid(z))
    (kernel,) = take(w, "kernel")
    z = conv(0.5 * x.mean(axis=-1, keepdims=True) + 0.5 * x.max(axis=-1, keepdims=True), kernel)
    return x * sigmoid(norm(z, w) if use_bn else z)


def bam(x, w, combine="sum", dilation=4, num_convs=2, ratio=16):
    w1, b1, w2, b2, reduce, reduce_b = take(w, *"123456")
    convs = [take(w, "kernel", "bias") for _ in range(num_convs)]
    last, last_b = take(w, "kernel", "bias")
    mc = per_channel(relu(norm(gap(x) @ w1 + b1, w)) @ w2 + b2)
    ms = relu(norm(x @ reduce + reduce_b, w))
    for kernel, bias in convs:
        ms = relu(norm(conv(ms, kernel, dilation) + bias, w))
    ms = ms @ last + last_b
    return x * (1 + sigmoid(mc + ms if combine == "sum" else mc * ms))


def scse(x, w, combine="add", ratio=2):
    cse = x * per_channel(sigmoid(mlp(gap(x), w)))
    sse = x * sigmoid(x @ w[0] + w[1])
    return cse + sse if combine == "add" else np.maximum(cse, sse)


def gc(x, w, fusion="add", pooling="attention", epsilon=1e-5, ratio=16):
    n, h, wide, c = x.shape
    flat = x.reshape(n, h * wide, c)
    context = flat.mean(axis=1)
    if pooling == "attention":
        kernel, bias = take(w, "kernel", "bias")
        context = (softmax(flat @ kernel + bias, axis=1) * flat).sum(axis=1)
    w1, b1, gamma, beta, w2, b2 = w
    z = context @ w1 + b1
    z = (z - z.mean(axis=-1, keepdims=True)) / np.sqrt(z.var(axis=-1, keepdims=True) + epsilon) * gamma + beta
    z = per_channel(relu(z) @ w2 + b2)
    return x + z if fusion == "add" else x * sigmoid(z)


def ge(x, w, extent=0, gather="mean", use_mlp=False, ratio=16):
    n, height, width, c = x.shape
    halvings = int(math.log2(extent)) if extent else 1
    kernels = take(w, *range(halvings)) if gather == "conv" else []
    weights = take(w, *"1234") if use_mlp else None
    if gather == "mean" and not extent:
        z = x.mean(axis=(1, 2), keepdims=True)
    elif gather == "mean":
        rows, cols = -(-height // extent), -(-width // extent)
        z = np.zeros((n, rows, cols, c))
        for i in range(rows):
            for j in range(cols):
                top, left = max(0, i * extent - extent + 1), max(0, j * extent - extent + 1)
                z[:, i, j] = x[:, top : i * extent + extent, left : j * extent + extent].mean(axis=(1, 2))
    elif not extent:
        z = norm((x * kernels[0][..., 0]).sum(axis=(1, 2), keepdims=True), w)
    else:
        z = x
        for i, kernel in enumerate(kernels):
            z = relu(z) if i else z
            z = norm(conv(z, kernel * np.eye(c))[:, ::2, ::2], w)
    if use_mlp:
        z = mlp(z, weights)
    up_h = [i * z.shape[1] // height for i in range(height)]
    up_w = [j * z.shape[2] // width for j in range(width)]
    return x * sigmoid(z[:, up_h][:, :, up_w])


def srm(x, w, epsilon=1e-5):
    (style,) = take(w, "style")
    deviation = np.sqrt(((x - x.mean(axis=(1, 2), keepdims=True)) ** 2).sum(axis=(1, 2)) / _n(x) + epsilon)
    t = np.stack([gap(x), deviation], axis=-1)
    return x * per_channel(sigmoid(norm((t * style).sum(axis=-1), w)))


def _n(x):
    return max(x.shape[1] * x.shape[2] - 1, 1)


def gct(x, w, mode="l2", epsilon=1e-5):
    alpha, gamma, beta = w
    if mode == "l2":
        e = alpha * np.sqrt((x**2).sum(axis=(1, 2)) + epsilon)
        e = gamma * e / np.sqrt((e**2).mean(axis=-1, keepdims=True) + epsilon)
    else:
        e = alpha * np.abs(x).sum(axis=(1, 2))
        e = gamma * e / (np.abs(e).mean(axis=-1, keepdims=True) + epsilon)
    return x * per_channel(1 + np.tanh(e + beta))


def coord(x, w, use_bias=True, ratio=32, min_hidden=8, hidden=None):
    if use_bias:
        w1, b1, wh, bh, ww, bw = take(w, *"123456")
    else:
        (w1, wh, ww), (b1, bh, bw) = take(w, *"123"), (0, 0, 0)
    assert w1.shape[1] == (hidden or max(min_hidden, x.shape[-1] // ratio))
    f = norm(np.concatenate([x.mean(axis=2), x.mean(axis=1)], axis=1) @ w1 + b1, w)
    f = f * hard_sigmoid(f)
    fh, fw = f[:, : x.shape[1]], f[:, x.shape[1] :]
    return x * sigmoid(fh @ wh + bh)[:, :, None] * sigmoid(fw @ ww + bw)[:, None]


def triplet(x, w, spatial=True, kernel_size=7):
    kernels = take(w, *range(3 if spatial else 2))

    def gate(z, kernel):  # z: (batch, rows, columns, the axis to pool)
        pooled = np.stack([z.max(axis=-1), z.mean(axis=-1)], axis=-1)
        return z * sigmoid(norm(conv(pooled, kernel), w))

    turned = gate(x.transpose(0, 3, 2, 1), kernels[0]).transpose(0, 3, 2, 1)  # (C, W), H pooled
    parts = [turned, gate(x.transpose(0, 1, 3, 2), kernels[1]).transpose(0, 1, 3, 2)]  # (H, C), W pooled
    if spatial:
        parts.append(gate(x, kernels[2]))
    return sum(parts) / len(parts)


def simam(x, w, e_lambda=1e-4):
    d = (x - x.mean(axis=(1, 2), keepdims=True)) ** 2
    v = d.sum(axis=(1, 2), keepdims=True) / _n(x)
    return x * sigmoid(d / (4 * (v + e_lambda)) + 0.5)


def _groups(groups, channels, most):
    return groups or max(g for g in range(1, most + 1) if channels % g == 0)


def sge(x, w, groups=None):
    scale, bias = w
    assert len(scale) == _groups(groups, x.shape[-1], 64)
    parts = []
    for i, part in enumerate(np.split(x, len(scale), axis=-1)):
        t = (part * part.mean(axis=(1, 2), keepdims=True)).sum(axis=-1, keepdims=True)
        t = t - t.mean(axis=(1, 2), keepdims=True)
        t = t / (np.sqrt((t**2).sum(axis=(1, 2), keepdims=True) / _n(x)) + 1e-5)
        parts.append(part * sigmoid(scale[i] * t + bias[i]))
    return np.concatenate(parts, axis=-1)


def group_norm(z, groups, gamma, beta):
    """z (batch, positions, channels)."""
    parts = []
    for part in np.split(z, groups, axis=-1):
        mean, variance = part.mean(axis=(1, 2), keepdims=True), part.var(axis=(1, 2), keepdims=True)
        parts.append((part - mean) / np.sqrt(variance + 1e-5))
    return np.concatenate(parts, axis=-1) * gamma + beta


def ela(x, w, kernel_size=7, group_width=1, norm_groups=None, shared=True, activation="none"):
    channels = x.shape[-1]

    def gate(z, kernel, gamma, beta):
        outs = []
        for c in range(channels):
            first = c // group_width * group_width
            part = z[:, :, None, first : first + group_width]
            outs.append(conv(part, kernel[:, None, :, c : c + 1])[:, :, 0, 0])
        z = group_norm(np.stack(outs, axis=-1), _groups(norm_groups, channels, 16), gamma, beta)
        return sigmoid(z * sigmoid(z) if activation == "silu" else z)

    assert w[0].shape == (kernel_size, group_width, channels)
    a, b = (w, w) if shared else (w[:3], w[3:])
    return x * gate(x.mean(axis=2), *a)[:, :, None] * gate(x.mean(axis=1), *b)[:, None]


def ema(x, w, groups=None):
    kernel_1, bias_1, gamma, beta, kernel_3, bias_3 = w
    groups = _groups(groups, x.shape[-1], 32)
    parts = []
    for part in np.split(x, groups, axis=-1):
        n, h, wide, d = part.shape
        ah = sigmoid(part.mean(axis=2) @ kernel_1 + bias_1)[:, :, None]
        aw = sigmoid(part.mean(axis=1) @ kernel_1 + bias_1)[:, None]
        x1 = group_norm((part * ah * aw).reshape(n, h * wide, d), d, gamma, beta)
        x2 = (conv(part, kernel_3) + bias_3).reshape(n, h * wide, d)
        p1, p2 = softmax(x1.mean(axis=1), -1)[:, :, None], softmax(x2.mean(axis=1), -1)[:, :, None]
        parts.append(part * sigmoid(x2 @ p1 + x1 @ p2).reshape(n, h, wide, 1))
    return np.concatenate(parts, axis=-1)


def strip(x, w, use_bias=False):
    if use_bias:
        kernel_h, bias_h, kernel_w, bias_w, kernel, bias = take(w, *"123456")
    else:
        (kernel_h, kernel_w, kernel, bias), (bias_h, bias_w) = take(w, *"1234"), (0, 0)
    rows = norm(conv(x.mean(axis=2, keepdims=True), kernel_h[:, None]) + bias_h, w)
    columns = norm(conv(x.mean(axis=1, keepdims=True), kernel_w[None]) + bias_w, w)
    return x * sigmoid(relu(rows + columns) @ kernel + bias)


VERTICAL = {
    "top": [0, 0, 6, 0, 0, 1, 1, 4, 5, 1, 3, 0, 0, 0, 3, 2, 4, 6, 3, 5, 5, 2, 6, 5, 5, 3, 3, 4, 2, 2, 6, 1],
    "low": [0, 0, 1, 1, 0, 2, 2, 1, 2, 0, 3, 4, 0, 1, 3, 0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5, 6, 1, 2, 3, 4],
    "bot": [6, 1, 3, 3, 2, 4, 1, 2, 4, 4, 5, 1, 4, 6, 2, 5, 6, 1, 6, 2, 2, 4, 3, 3, 5, 5, 6, 2, 5, 5, 3, 6],
}
HORIZONTAL = {
    "top": [0, 1, 0, 5, 2, 0, 2, 0, 0, 6, 0, 4, 6, 3, 5, 2, 6, 3, 3, 3, 5, 1, 1, 2, 4, 2, 1, 1, 3, 0, 5, 3],
    "low": [0, 1, 0, 1, 2, 0, 1, 2, 2, 3, 0, 0, 4, 3, 1, 5, 4, 3, 2, 1, 0, 6, 5, 4, 3, 2, 1, 0, 6, 5, 4, 3],
    "bot": [6, 4, 4, 6, 6, 3, 1, 4, 4, 5, 6, 5, 2, 2, 5, 1, 4, 3, 5, 0, 3, 1, 1, 2, 4, 2, 1, 1, 5, 3, 3, 3],
}


def fca(x, w, selection="top", num_frequencies=None, size=None, ratio=16):
    channels = x.shape[-1]
    count = num_frequencies or max(c for c in (1, 2, 4, 8, 16) if channels % c == 0)
    rows, columns = (size or 7 * max(1, length // 7) for length in x.shape[1:3])
    pooled = np.zeros((len(x), rows, columns, channels))
    for i in range(rows):
        for j in range(columns):
            top, bottom = i * x.shape[1] // rows, math.ceil((i + 1) * x.shape[1] / rows)
            left, right = j * x.shape[2] // columns, math.ceil((j + 1) * x.shape[2] / columns)
            pooled[:, i, j] = x[:, top:bottom, left:right].mean(axis=(1, 2))

    def wave(frequency, at, length):
        value = math.cos(math.pi * frequency * (at + 0.5) / length) / math.sqrt(length)
        return value * math.sqrt(2) if frequency else value

    z = np.zeros((len(x), channels))
    for c in range(channels):
        band = c * count // channels
        u, v = VERTICAL[selection][band] * (rows // 7), HORIZONTAL[selection][band] * (columns // 7)
        for i in range(rows):
            for j in range(columns):
                z[:, c] += pooled[:, i, j, c] * wave(u, i, rows) * wave(v, j, columns)
    return x * per_channel(sigmoid(mlp(z, w, use_bias=False)))


def nl(x, w, scale="none", subsample=1, use_bias=True, use_bn=True, ratio=2, hidden=None):
    if use_bias:
        wq, bq, wk, bk, wv, bv, wz, bz = take(w, *"12345678")
    else:
        (wq, wk, wv, wz), (bq, bk, bv, bz) = take(w, *"1234"), (0, 0, 0, 0)
    n, h, wide, c = x.shape
    width = hidden or max(1, c // ratio)

    def pooled(z):
        s = subsample
        z = z[:, : h // s * s, : wide // s * s].reshape(n, h // s, s, wide // s, s, width)
        return z.max(axis=(2, 4)).reshape(n, -1, width)

    q, k, v = (x @ wq + bq).reshape(n, h * wide, width), pooled(x @ wk + bk), pooled(x @ wv + bv)
    divisor = {"none": 1, "hidden": math.sqrt(width), "channels": math.sqrt(c)}[scale]
    z = (softmax(q @ k.transpose(0, 2, 1) / divisor, axis=-1) @ v).reshape(n, h, wide, width) @ wz + bz
    return x + (norm(z, w) if use_bn else z)


REFERENCE = {
    f.__name__: f
    for f in (
        *(se, ese, eca, channel, spatial, cbam, lcbam, bam, scse, gc, ge),
        *(srm, gct, coord, triplet, simam, sge, ela, ema, strip, fca, nl),
    )
}
