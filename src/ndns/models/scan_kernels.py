"""Compiled loop over time for `ndns.models.scan` on a CPU; without numba the products of chunks stand in for it."""

from concurrent.futures import ThreadPoolExecutor

import torch

try:
    import numba
except ModuleNotFoundError:  # a GPU machine that only trains needs no numba
    numba = None


def scan_rows(
    a_re: torch.Tensor, a_im: torch.Tensor, u_re: torch.Tensor, u_im: torch.Tensor, reverse: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Run `x[t] = a x[t - 1] + u[t]` (or from the last step to the first) over float32 `(batch, state, time)`."""
    if numba is None:
        from ndns.models.scan import chunked_scan

        if not reverse:
            return chunked_scan(a_re, a_im, u_re, u_im)
        x_re, x_im = chunked_scan(a_re, a_im, u_re.flip(-1), u_im.flip(-1))
        return x_re.flip(-1), x_im.flip(-1)
    u_re, u_im = u_re.contiguous(), u_im.contiguous()
    x_re, x_im = torch.empty_like(u_re), torch.empty_like(u_im)
    arrays = [tensor.detach().numpy() for tensor in (a_re, a_im, u_re, u_im, x_re, x_im)]
    threads, rows = torch.get_num_threads(), u_re.shape[0] * u_re.shape[1]
    if threads == 1:  # a pool would only cost its wake-ups, which are long where other programs want the cores
        _rows(*arrays, reverse, 0, rows)
        return x_re, x_im
    edges = [rows * part // threads for part in range(threads + 1)]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda start, stop: _rows(*arrays, reverse, start, stop), edges[:-1], edges[1:]))
    return x_re, x_im


if numba is not None:

    @numba.njit(nogil=True, cache=True)
    def _rows(a_re, a_im, u_re, u_im, x_re, x_im, reverse, start, stop):
        """Rows `start` to `stop` of `(batch * state)`."""
        _, states, steps = u_re.shape
        for row in range(start, stop):
            b, p = row // states, row % states
            re = im = a_re[p] * 0
            for step in range(steps):
                t = steps - 1 - step if reverse else step
                re, im = a_re[p] * re - a_im[p] * im + u_re[b, p, t], a_re[p] * im + a_im[p] * re + u_im[b, p, t]
                x_re[b, p, t], x_im[b, p, t] = re, im
