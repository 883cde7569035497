"""Headers as solvers and stackers write them, each a sort of WCS, all of one place on the sky."""

import numpy as np
from astropy.io import fits

SHAPE = (30, 40)
SCALE = 1e-3


def _turned(angle=8.0, parity=-1):
    c, s = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    return np.array([[parity * c, -parity * s], [s, c]])


def header_of(projection="TAN", matrix="CD", parity=-1, **more):
    cards = fits.Header()
    cards["CTYPE1"], cards["CTYPE2"] = f"RA---{projection}", f"DEC--{projection}"
    cards["CRVAL1"], cards["CRVAL2"] = 83.8, -5.4
    cards["CRPIX1"], cards["CRPIX2"] = 20.5, 15.5
    cards["CUNIT1"] = cards["CUNIT2"] = "deg"
    for i, row in enumerate(_turned(parity=parity), start=1):
        for j, value in enumerate(row, start=1):
            if matrix in ("CD", "PC"):
                cards[f"{matrix}{i}_{j}"] = value * (SCALE if matrix == "CD" else 1)
    if matrix != "CD":
        cards["CDELT1"], cards["CDELT2"] = SCALE * (parity if matrix == "CROTA" else 1), SCALE
    if matrix == "CROTA":
        cards["CROTA2"] = 8.0
    cards.update(more)
    return cards


def iraf(axis, word, terms):
    """WAT cards of one axis of TNX: a polynomial of third order with half of its cross terms."""
    name = {1: "ra", 2: "dec"}[axis]
    numbers = " ".join(f"{value:.10f}" for value in np.resize([1e-3, 2e-4, 3e-4, -1e-4], terms))
    text = f'wtype=tnx axtype={name} {word} = "3. 4. 4. 2. -0.2 0.2 -0.2 0.2 {numbers} "'
    return {f"WAT{axis}_{k + 1:03d}": text[68 * k : 68 * k + 68] for k in range(-(-len(text) // 68))}


_SIP = {"A_ORDER": 2, "B_ORDER": 2, "A_2_0": 2e-4, "A_1_1": 1e-4, "B_0_2": 1e-4}
_INVERSE = {"AP_ORDER": 2, "BP_ORDER": 2, "AP_2_0": -2e-4, "BP_0_2": -1e-4}
_PV = {f"PV{i}_{m}": v for i in (1, 2) for m, v in ((0, 0.0), (1, 1.0), (2, 0.01), (4, 0.5), (7, 30.0), (10, 9.0))}

SORTS = {
    "CD": header_of(),
    "PC": header_of(matrix="PC"),
    "CDELT and CROTA2": header_of(matrix="CROTA"),
    "CDELT alone": header_of(matrix="CDELT"),
    "flipped": header_of(parity=1),
    "SIP": header_of("TAN-SIP", **_SIP),
    "SIP with inverse": header_of("TAN-SIP", **_SIP, **_INVERSE),
    "SIP without its name": header_of(**_SIP),
    "TPV": header_of("TPV", **_PV),
    "PV of SCAMP": header_of(**_PV),
    "SIN": header_of("SIN"),
    "SIN with PV": header_of("SIN", PV2_1=0.01, PV2_2=-0.02),
    "ARC": header_of("ARC"),
    "ZEA": header_of("ZEA", matrix="PC"),
    "ZPN": header_of("ZPN", PV2_1=1.0, PV2_3=300.0),
    "STG": header_of("STG"),
    "LONPOLE": header_of(LONPOLE=170.0, LATPOLE=0.0),
    "FK5 2000": header_of(RADESYS="FK5", EQUINOX=2000.0),
    "FK5 of date": header_of(RADESYS="FK5", EQUINOX=2026.3),
    "FK4": header_of(RADESYS="FK4", EQUINOX=1950.0),
    "equinox in words": header_of(EQUINOX="J2000"),
    "TNX": header_of("TNX", **iraf(1, "lngcor", 10), **iraf(2, "latcor", 10)),
    "PC and CD": header_of(PC1_1=-1.0, PC2_2=1.0, PC1_2=0.1, PC2_1=0.1, CDELT1=2e-3, CDELT2=2e-3),
    "SIP and PV": header_of("TAN-SIP", **_SIP, **_PV),
    "TPV and SIP": header_of("TPV", **_SIP, **_PV),
}
