"""A powder diffraction pattern as measured, and the radiation it was measured with."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Radiation:
    """Characteristic lines of the X-ray tube that reach the detector.

    Attributes:
        anode: element symbol of the tube's target.
        kalpha1_angstrom: wavelength of K-alpha 1 in angstrom.
        kalpha2_angstrom: wavelength of K-alpha 2 in angstrom.
        kalpha2_ratio: intensity of K-alpha 2 relative to K-alpha 1; 0 means monochromatic.
        others: wavelength in angstrom and intensity relative to K-alpha 1 of each further line,
            such as what a filter leaves of K-beta.

    The defaults are copper's (Hoelzer et al., Phys. Rev. A 56, 4554, 1997).
    """

    anode: str = "Cu"
    kalpha1_angstrom: float = 1.5405929
    kalpha2_angstrom: float = 1.5444274
    kalpha2_ratio: float = 0.5
    others: tuple[tuple[float, float], ...] = ()

    def lines(self) -> FloatArray:
        """Wavelength (angstrom) and relative intensity of each line, shape (n_lines, 2)."""
        rows = [(self.kalpha1_angstrom, 1.0)]
        if self.kalpha2_ratio > 0:
            rows.append((self.kalpha2_angstrom, self.kalpha2_ratio))
        rows += self.others
        return np.array(rows, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Pattern:
    """Counts over the diffraction angle.

    Attributes:
        two_theta_deg: angles in degrees, strictly increasing, shape (n,).
        counts: detector counts at each angle, shape (n,). Not normalised to a rate: the fit takes
            its weights from them.
        radiation: what the sample was measured with.
        counting_time_s: counting time per point in seconds, NaN when the file does not say.
        sample_id: the sample's name according to the file, or "".
        source: file the pattern came from, or "" when it was calculated.
        sigma: standard uncertainty of `counts`, shape (n,), where the file gives one; otherwise
            None, and Poisson statistics hold.
        remarks: what a reader had to assume or correct, in sentences.
    """

    two_theta_deg: FloatArray
    counts: FloatArray
    radiation: Radiation = field(default_factory=Radiation)
    counting_time_s: float = math.nan
    sample_id: str = ""
    source: str = ""
    sigma: FloatArray | None = None
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.two_theta_deg.ndim != 1 or self.two_theta_deg.shape != self.counts.shape:
            raise ValueError("a pattern needs as many counts as angles")
        if self.two_theta_deg.size < 2 or not np.all(np.diff(self.two_theta_deg) > 0):
            raise ValueError("the angles of a pattern must increase")

    @property
    def step_deg(self) -> float:
        """Mean angular step in degrees."""
        n = self.two_theta_deg.size
        return float((self.two_theta_deg[-1] - self.two_theta_deg[0]) / (n - 1))

    def uncertainty(self) -> FloatArray:
        """Standard uncertainty of the counts, shape (n,), at least 1 count where it is Poisson's.

        The floor keeps empty channels from getting an infinite weight.
        """
        if self.sigma is not None:
            return self.sigma
        return np.sqrt(np.maximum(self.counts, 1.0))

    def cropped(self, low_deg: float, high_deg: float) -> Pattern:
        """The part between two angles in degrees (inclusive).

        Raises:
            ValueError: fewer than two points lie between them.
        """
        keep = (self.two_theta_deg >= low_deg) & (self.two_theta_deg <= high_deg)
        return replace(
            self,
            two_theta_deg=self.two_theta_deg[keep],
            counts=self.counts[keep],
            sigma=None if self.sigma is None else self.sigma[keep],
        )

    def rebinned(self, factor: int) -> Pattern:
        """Sums `factor` neighbouring points into one; what is left over at the end is dropped."""
        n = self.counts.size // factor * factor
        angles = self.two_theta_deg[:n].reshape(-1, factor).mean(axis=1)
        counts = self.counts[:n].reshape(-1, factor).sum(axis=1)
        sigma = None
        if self.sigma is not None:
            sigma = np.sqrt((self.sigma[:n].reshape(-1, factor) ** 2).sum(axis=1))
        return replace(self, two_theta_deg=angles, counts=counts, sigma=sigma)
