"""Write erfcx_coefficients.hpp: Chebyshev series of (1 + 2x) e^{x²} erfc(x), as polynomials in t.

t = (x − 3.75) / (x + 3.75) takes x ≥ 0 to [−1, 1) (Shepherd & Laframboise, 1981). Needs mpmath.
Run it in this folder: python make_erfcx.py
"""

from pathlib import Path

import mpmath as mp

mp.mp.dps = 60
K = mp.mpf("3.75")
NODES = 80


def scaled(t):
    """Return (1 + 2x) e^{x²} erfc(x) at t; far out by the asymptotic series."""
    x = K * (1 + t) / (1 - t)
    if x < 100:
        return mp.erfc(x) * mp.exp(x * x) * (1 + 2 * x)
    term, total = mp.mpf(1), mp.mpf(0)
    for m in range(12):
        total += term
        term *= -(2 * m + 1) / (2 * x * x)
    return total / (x * mp.sqrt(mp.pi)) * (1 + 2 * x)


def polynomial(degree):
    """Return the coefficients of the Chebyshev series up to ``degree``, in powers of t."""
    angles = [mp.pi * (j + mp.mpf(1) / 2) / NODES for j in range(NODES)]
    values = [scaled(mp.cos(a)) for a in angles]
    series = [2 / mp.mpf(NODES) * mp.fdot(values, [mp.cos(i * a) for a in angles]) for i in range(degree + 1)]
    series[0] /= 2
    below, current = [mp.mpf(1)], [mp.mpf(0), mp.mpf(1)]
    total = [series[0], series[1]] + [mp.mpf(0)] * (degree - 1)
    for i in range(2, degree + 1):
        doubled = [mp.mpf(0)] + [2 * c for c in current]
        below, current = current, [c - (below[j] if j < len(below) else 0) for j, c in enumerate(doubled)]
        for j, c in enumerate(current):
            total[j] += series[i] * c
    return total


lines = ["// Written by make_erfcx.py: powers of t = (x - 3.75) / (x + 3.75), the constant first."]
lines += ["#pragma once", "", "namespace chainrule {", "", f"inline constexpr double ERFCX_K = {K};"]
for name, kind, degree, digits in (("ERFCX_FLOAT", "float", 13, 11), ("ERFCX_DOUBLE", "double", 24, 19)):
    suffix = "f" if kind == "float" else ""
    numbers = ",\n    ".join(f"{mp.nstr(c, digits)}{suffix}" for c in polynomial(degree))
    lines += ["", f"inline constexpr {kind} {name}[] = {{\n    {numbers}}};"]
lines += ["", "}  // namespace chainrule", ""]
Path("erfcx_coefficients.hpp").write_text("\n".join(lines))
