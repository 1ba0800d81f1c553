"""The building blocks of the models, with hand-written backward passes where PyTorch's own composition is slow.

On a CPU a small model's time goes into element-wise work and memory, not into the matrix products. Each function
here equals its plain formula (tests: `check_blocks.py`); `training` modules multiply in bfloat16, evaluation is float32.
"""
import math

import torch
import torch.nn.functional as F
from torch import nn


class _Gelu(torch.autograd.Function):
    """The tanh form of GELU, written as x * sigmoid(...): the form that ggml's `gelu` computes."""
    SLOPE = 2 * math.sqrt(2 / math.pi)
    CUBE = SLOPE * 0.044715

    @staticmethod
    def forward(ctx, x):
        gate = torch.sigmoid(x * (x * x * _Gelu.CUBE + _Gelu.SLOPE))
        ctx.save_for_backward(x, gate)
        return x * gate

    @staticmethod
    def backward(ctx, grad):
        x, gate = ctx.saved_tensors
        return grad * (gate + x * gate * (1 - gate) * (x * x * (3 * _Gelu.CUBE) + _Gelu.SLOPE))


class _RmsNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, eps):
        inverse = torch.linalg.vector_norm(x, dim=-1, keepdim=True).pow_(2).div_(x.shape[-1]).add_(eps).rsqrt_()
        normal = x * inverse
        ctx.save_for_backward(normal, inverse, weight)
        return normal * weight

    @staticmethod
    def backward(ctx, grad):
        normal, inverse, weight = ctx.saved_tensors
        weighted = grad * normal
        of_weight = weighted.reshape(-1, weight.shape[-1]).sum(0)
        along = torch.matmul(weighted, weight.unsqueeze(-1)).div_(-weight.shape[-1])
        return (grad * weight).addcmul_(normal, along).mul_(inverse), of_weight, None


class _Rotate(torch.autograd.Function):
    @staticmethod
    def turn(x, cos, sin):
        half = x.shape[-1] // 2
        out = torch.empty_like(x)
        first, second = x[..., :half], x[..., half:]
        torch.mul(first, cos, out=out[..., :half]).addcmul_(second, sin, value=-1)
        torch.mul(second, cos, out=out[..., half:]).addcmul_(first, sin)
        return out

    @staticmethod
    def forward(ctx, x, cos, sin):
        ctx.save_for_backward(cos, sin)
        return _Rotate.turn(x, cos, sin)

    @staticmethod
    def backward(ctx, grad):
        cos, sin = ctx.saved_tensors
        return _Rotate.turn(grad.contiguous(), cos, -sin), None, None


class _SwiGlu(torch.autograd.Function):
    @staticmethod
    def forward(ctx, both):
        gate, up = both.chunk(2, -1)
        sigmoid = torch.sigmoid(gate)
        ctx.save_for_backward(both, sigmoid)
        return (gate * sigmoid).mul_(up)

    @staticmethod
    def backward(ctx, grad):
        both, sigmoid = ctx.saved_tensors
        gate, up = both.chunk(2, -1)
        silu = gate * sigmoid
        out, width = torch.empty_like(both), gate.shape[-1]
        torch.mul(grad, silu, out=out[..., width:])
        torch.mul(grad, (1 - sigmoid).mul_(silu).add_(sigmoid).mul_(up), out=out[..., :width])
        return out


class _LinearBf16(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, bias):
        flat, low = x.reshape(-1, x.shape[-1]).bfloat16(), weight.bfloat16()
        ctx.save_for_backward(flat, low)
        ctx.shape, ctx.biased = x.shape, bias is not None
        out = F.linear(flat, low, bias.bfloat16() if ctx.biased else None)
        return out.float().view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx, grad):
        flat, low = ctx.saved_tensors
        grad = grad.reshape(-1, grad.shape[-1])
        short = grad.bfloat16()
        of_x = (short @ low).float().view(ctx.shape) if ctx.needs_input_grad[0] else None
        return of_x, (short.t() @ flat).float(), grad.sum(0) if ctx.biased else None


class _AttentionBf16(torch.autograd.Function):
    @staticmethod
    def forward(ctx, q, k, v, mask):
        q, k, v = q.bfloat16(), k.bfloat16(), v.bfloat16()
        scores = torch.matmul(q, k.transpose(-1, -2)).float()
        if mask is not None:
            scores += mask
        weights = torch.softmax(scores, -1).bfloat16()
        ctx.save_for_backward(q, k, v, weights)
        return torch.matmul(weights, v).float()

    @staticmethod
    def backward(ctx, grad):
        q, k, v, weights = ctx.saved_tensors
        grad = grad.bfloat16()
        of_v = torch.matmul(weights.transpose(-1, -2), grad).float()
        of_weights = torch.matmul(grad, v.transpose(-1, -2)).float()
        scores = torch._softmax_backward_data(of_weights, weights.float(), -1, torch.float32).bfloat16()
        return (torch.matmul(scores, k).float(), torch.matmul(scores.transpose(-1, -2), q).float(), of_v, None)


class _ProductBf16(torch.autograd.Function):
    @staticmethod
    def forward(ctx, a, b):
        a, b = a.bfloat16(), b.bfloat16()
        ctx.save_for_backward(a, b)
        return torch.matmul(a, b).float()

    @staticmethod
    def backward(ctx, grad):
        a, b = ctx.saved_tensors
        grad = grad.bfloat16()
        return (torch.matmul(grad, b.transpose(-1, -2)).float() if ctx.needs_input_grad[0] else None,
                torch.matmul(a.transpose(-1, -2), grad).float() if ctx.needs_input_grad[1] else None)


class _SolveLower(torch.autograd.Function):
    """(I + system)^-1 wanted for a strictly lower `system`, with the cheap form of its backward pass."""

    @staticmethod
    def forward(ctx, system, wanted):
        solved = torch.linalg.solve_triangular(system, wanted, upper=False, unitriangular=True)
        ctx.save_for_backward(system, solved)
        return solved

    @staticmethod
    def backward(ctx, grad):
        system, solved = ctx.saved_tensors
        of_wanted = torch.linalg.solve_triangular(system.transpose(-1, -2), grad, upper=True, unitriangular=True)
        of_system = torch.matmul(of_wanted.bfloat16(), solved.transpose(-1, -2).bfloat16()).float().neg_().tril_(-1)
        return of_system, of_wanted


def _products(training):
    """(matrix product, triangular solve): batches of small float32 products are slow here, those in bfloat16 are not."""
    if training:
        return _ProductBf16.apply, _SolveLower.apply
    return torch.matmul, lambda a, b: torch.linalg.solve_triangular(a, b, upper=False, unitriangular=True)


class Linear(nn.Linear):
    """`gain` scales the initial weights; bfloat16 while training."""

    def __init__(self, inputs, outputs, bias=True, gain=1.0):
        super().__init__(inputs, outputs, bias=bias)
        nn.init.normal_(self.weight, 0, gain / math.sqrt(inputs))
        if bias:
            nn.init.zeros_(self.bias)

    def forward(self, x):
        if self.training:
            return _LinearBf16.apply(x, self.weight, self.bias)
        return F.linear(x, self.weight, self.bias)


class RmsNorm(nn.Module):
    def __init__(self, width, eps):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(width)), eps

    def forward(self, x):
        if torch.is_grad_enabled():
            return _RmsNorm.apply(x, self.weight, self.eps)
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps) * self.weight


def gelu(x):
    return _Gelu.apply(x) if torch.is_grad_enabled() else F.gelu(x, approximate="tanh")


def rotate(x, cos, sin):
    """Rotary positions on the pairs (i, i + n/2) of the last axis; cos and sin have n/2 there and broadcast otherwise."""
    if torch.is_grad_enabled():
        return _Rotate.apply(x.contiguous(), cos, sin)
    first, second = x.chunk(2, -1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), -1)


def swiglu(both):
    """silu(gate) * up of the two halves of the last axis."""
    if torch.is_grad_enabled():
        return _SwiGlu.apply(both)
    gate, up = both.chunk(2, -1)
    return F.silu(gate) * up


def attention(q, k, v, mask, training):
    """softmax(q k^T + mask) v; q comes already scaled."""
    if training:
        return _AttentionBf16.apply(q, k, v, mask)
    scores = q @ k.transpose(-1, -2)
    return torch.softmax(scores if mask is None else scores + mask, -1) @ v


def delta_rule(q, k, v, log_decay, beta, state=None, training=False, chunk=64):
    """The gated delta rule over a sequence, in chunks instead of position by position.

    One position would do   S = exp(g) S;  d = beta (v - S^T k);  S = S + k d^T;  o = S^T q.
    Within a chunk, with G the running sum of g, the d of all positions solve one unit lower triangular system
        d_t + beta_t sum_{i<t} exp(G_t - G_i) (k_t . k_i) d_i  =  beta_t (v_t - exp(G_t) S0^T k_t)
    (Yang et al., "Gated Delta Networks", 2024), and the outputs and the next state are matrix products.

    q, k, v: [n, heads, length, width]; log_decay, beta: [n, heads, length]; state: [n, heads, width, width] or None.
    Returns the outputs [n, heads, length, width] and the state after the last position.
    """
    product, solve = _products(training)
    outputs = []
    for start in range(0, q.shape[2], chunk):
        part = slice(start, start + chunk)
        qc, kc, vc, bc = q[:, :, part], k[:, :, part], v[:, :, part], beta[:, :, part].unsqueeze(-1)
        total = log_decay[:, :, part].cumsum(-1)
        length = total.shape[-1]
        future = torch.ones(length, length, dtype=torch.bool).triu(1)
        decay = (total.unsqueeze(-1) - total.unsqueeze(-2)).masked_fill(future, float("-inf")).exp()
        since_start = total.exp().unsqueeze(-1)
        want = vc if state is None else vc - since_start * product(kc, state)
        system = (bc * decay * product(kc, kc.transpose(-1, -2))).tril(-1)
        d = solve(system, bc * want)
        out = product(decay * product(qc, kc.transpose(-1, -2)), d)
        if state is not None:
            out = out + since_start * product(qc, state)
        outputs.append(out)
        to_end = (total[..., -1:] - total).exp().unsqueeze(-1)
        added = product((kc * to_end).transpose(-1, -2), d)
        state = added if state is None else state * since_start[:, :, -1:] + added
    return torch.cat(outputs, 2), state
