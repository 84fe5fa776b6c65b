"""Count the coins in scikit-image's photograph from three boxes: ``python examples/coins.py``."""

from __future__ import annotations

from skimage import data

import likewise as lw

counter = lw.load("spdcn-lite")
result = counter.count(data.coins(), exemplars=[(81, 39, 120, 74), (189, 170, 237, 217), (305, 16, 364, 73)])
print(f"{result.count:.1f} coins (there are 24)")
print(f"overlay: {result.save('demo/')}")
