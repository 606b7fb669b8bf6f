"""How far a share that was counted on some images may be from that of all images."""

from __future__ import annotations

import math

NORMAL_95 = 1.959964
"""95 % of a normal distribution lie within so many standard deviations."""


def wilson(count: int, images: int) -> tuple[float, float]:
    """The 95 % interval of the share ``count / images``, after Wilson: both ends in 0..1.

    With ``p`` the share, ``n`` the images and ``z`` NORMAL_95: ``(p + z²/2n ± z √(p(1-p)/n + z²/4n²)) / (1 + z²/n)``.
    It holds for images that were drawn independently; unlike the textbook's it does not leave 0..1, and it is not empty
    where all or none are right. E. B. Wilson, "Probable inference, the law of succession, and statistical inference"
    (1927).
    """
    share, z2 = count / images, NORMAL_95**2
    middle = share + z2 / (2 * images)
    spread = NORMAL_95 * math.sqrt(share * (1 - share) / images + z2 / (4 * images**2))
    scale = 1 + z2 / images
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)
