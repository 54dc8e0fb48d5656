"""Initial values of an S5 state space: the normal part of HiPPO-LegS in blocks of 16 (arXiv 2208.04933, section 3)."""

import numpy as np

BLOCK = 16


def hippo_eigen(size: int = BLOCK) -> tuple[np.ndarray, np.ndarray]:
    """Return eigenvalues with negative imaginary part `(size / 2,)` and their eigenvectors `(size, size / 2)`.

    The normal part of HiPPO-LegS is -1/2 I plus a skew-symmetric matrix; conjugate eigenvalues are left out.
    """
    root = np.sqrt(2 * np.arange(size) + 1.0)
    lower = np.tril(np.outer(root, root), -1) / 2
    skew = lower.T - lower
    frequencies, vectors = np.linalg.eigh(-1j * skew)
    return -0.5 + 1j * frequencies[: size // 2], vectors[:, : size // 2]


def initial_ssm(
    blocks: int, features: int, step_range: tuple[float, float], generator: np.random.Generator
) -> dict[str, np.ndarray]:
    """Draw the parameters of one state space.

    Args:
        blocks: diagonal blocks of 16, so `8 * blocks` complex states.
        features: width H of input and output.
        step_range: time steps are drawn log-uniformly from it, in frames.
        generator: source of the draws.

    Returns:
        `lambda_re`, `lambda_im`, `log_step` `(state,)`, `b` `(2, state, H)`, `c` `(2, H, state)`, `d` `(H,)`.
    """
    eigenvalues, vectors = hippo_eigen()
    size = blocks * BLOCK
    b = generator.standard_normal((size, features)) / np.sqrt(features)
    c = (generator.standard_normal((features, size)) + 1j * generator.standard_normal((features, size))) / np.sqrt(
        2 * size
    )
    b = np.concatenate([vectors.conj().T @ part for part in np.split(b, blocks)])
    c = np.concatenate([part @ vectors for part in np.split(c, blocks, axis=1)], axis=1)
    states = len(b)
    low, high = np.log(step_range)
    return {
        "lambda_re": np.tile(eigenvalues.real, blocks),
        "lambda_im": np.tile(eigenvalues.imag, blocks),
        "log_step": generator.uniform(low, high, states),
        "b": np.stack([b.real, b.imag]),
        "c": np.stack([c.real, c.imag]),
        "d": generator.standard_normal(features),
    }
