"""Do the hand-written functions of fast.py equal their plain formulas, forwards and backwards? `python3 -m train.check_blocks`"""
import math

import torch
import torch.nn.functional as F

from . import fast


def difference(ours, plain, *inputs):
    """Largest relative difference of the outputs and of all gradients of two functions."""
    results = []
    for function in (ours, plain):
        leaves = [x.detach().clone().requires_grad_() for x in inputs]
        out = function(*leaves)
        weight = torch.linspace(-1, 1, out.numel()).view_as(out)
        results.append([out.detach(), *torch.autograd.grad((out * weight).sum(), leaves)])
    return max(float((a - b).norm() / b.norm().clamp_min(1e-9)) for a, b in zip(*results))


def delta_by_position(q, k, v, log_decay, beta):
    """The gated delta rule as it is defined, one position after the other."""
    state, out = torch.zeros(*q.shape[:2], q.shape[-1], v.shape[-1]), []
    for t in range(q.shape[2]):
        state = state * log_decay[:, :, t].exp()[..., None, None]
        d = (v[:, :, t] - (state * k[:, :, t].unsqueeze(-1)).sum(-2)) * beta[:, :, t].unsqueeze(-1)
        state = state + k[:, :, t].unsqueeze(-1) * d.unsqueeze(-2)
        out.append((state * q[:, :, t].unsqueeze(-1)).sum(-2))
    return torch.stack(out, 2)


def delta_inputs(length):
    q, k, v = (F.normalize(torch.randn(2, 3, length, 16), dim=-1) for _ in range(3))
    return q, k, v, -torch.rand(2, 3, length), torch.rand(2, 3, length)


def main():
    torch.manual_seed(0)
    x, weight = torch.randn(4, 7, 32), torch.rand(32) + 0.5
    angle = torch.randn(7, 16)
    q, k, v = (torch.randn(2, 3, 9, 16) for _ in range(3))
    w, b = torch.randn(24, 32) / math.sqrt(32), torch.randn(24)

    def turned(y):
        first, second = y.chunk(2, -1)
        return torch.cat((first * angle.cos() - second * angle.sin(), second * angle.cos() + first * angle.sin()), -1)

    def plain_attention(q, k, v):
        return torch.softmax(q @ k.transpose(-1, -2), -1) @ v

    exact, half = 1e-5, 3e-2        # what bfloat16 products may differ by
    checks = (
        ("gelu", difference(fast.gelu, lambda y: F.gelu(y, approximate="tanh"), x), exact),
        ("rms norm", difference(lambda y, s: fast._RmsNorm.apply(y, s, 1e-6),
                                lambda y, s: y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + 1e-6) * s, x, weight), exact),
        ("rotation", difference(lambda y: fast.rotate(y, angle.cos(), angle.sin()), turned, x), exact),
        ("swiglu", difference(fast.swiglu, lambda y: F.silu(y[..., :16]) * y[..., 16:], x), exact),
        ("linear, bfloat16", difference(fast._LinearBf16.apply, F.linear, x, w, b), half),
        ("attention, bfloat16", difference(lambda *t: fast.attention(*t, None, True), plain_attention, q, k, v), half),
        ("delta rule", difference(lambda *t: fast.delta_rule(*t, chunk=16)[0], delta_by_position, *delta_inputs(50)), exact),
        ("delta rule, bfloat16", difference(lambda *t: fast.delta_rule(*t, training=True, chunk=16)[0], delta_by_position,
                                            *delta_inputs(50)), half),
    )
    for name, found, allowed in checks:
        print(f"{name}: {found:.1e} (allowed {allowed:.0e}){'' if found <= allowed else ' WRONG'}")
    raise SystemExit(any(found > allowed for _, found, allowed in checks))


if __name__ == "__main__":
    main()
