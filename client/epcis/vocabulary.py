"""The standard words of CBV 2.0, in any of their spellings, and the bare one that Medlock keeps.

`shipping`, `urn:epcglobal:cbv:bizstep:shipping`, `https://ref.gs1.org/cbv/BizStep-shipping` and
`cbv:BizStep-shipping` are one word. A URI outside GS1's name spaces is a user's own word and stays
what it is (CBV 2.0 section 7: user vocabularies); a bare word that no list has is refused.
"""

import re
from dataclasses import dataclass
from typing import Final

from chain.errors import InvalidMessage
from client.epcis.identifiers import URI_CHARS_MAX, is_uri

CBV_WEB: Final = "https://ref.gs1.org/cbv/"
GS1_WEB: Final = "https://ref.gs1.org/voc/"
GS1_WEB_20: Final = "https://gs1.org/voc/"
"""The GS1 Web Vocabulary as CBV 2.0 spelled it; `GS1_WEB` is the spelling since."""

_CBV_URN: Final = "urn:epcglobal:cbv:"
_BARE: Final = re.compile(r"[A-Za-z][A-Za-z_]{0,63}\Z")


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """One list of words. `urn` and `web` are what stands before a word in its longer spellings."""

    name: str
    words: frozenset[str]
    urn: str
    web: tuple[str, ...]
    curie: str

    def normalise(self, text: str, where: str = "") -> str:
        """The bare word, or the URI of a user's vocabulary.

        Raises `InvalidMessage` (`vocabulary.unknown_word`, `identifier.not_a_uri`) at `where`.
        """
        word = self._bare(text)
        if word is not None:
            if word not in self.words:
                raise InvalidMessage(
                    "vocabulary.unknown_word", where, f"no {self.name} of the standard"
                )
            return word
        if not is_uri(text) or len(text) > URI_CHARS_MAX:
            raise InvalidMessage("identifier.not_a_uri", where, f"a {self.name} or a URI")
        return text

    def web_uri(self, word: str) -> str:
        """The web URI of a normalised word, as CBV 2.0 spells it; a user's word is its own."""
        return self.web[0] + word if word in self.words else word

    def _bare(self, text: str) -> str | None:
        for start in (self.urn, self.curie, *self.web):
            if start and text.startswith(start):
                return text.removeprefix(start)
        return text if _BARE.match(text) else None


def _cbv(name: str, segment: str, web: str, words: str) -> Vocabulary:
    return Vocabulary(
        name,
        frozenset(words.split()),
        f"{_CBV_URN}{segment}:",
        (f"{CBV_WEB}{web}-", f"http{CBV_WEB.removeprefix('https')}{web}-"),
        f"cbv:{web}-",
    )


def _gs1(name: str, words: str) -> Vocabulary:
    return Vocabulary(
        name,
        frozenset(words.split()),
        "",
        (GS1_WEB_20, GS1_WEB, "https://www.gs1.org/voc/", "http://gs1.org/voc/"),
        "gs1:",
    )


BIZ_STEPS: Final = _cbv(
    "business step",
    "bizstep",
    "BizStep",
    """accepting arriving assembling collecting commissioning consigning creating_class_instance
    cycle_counting decommissioning departing destroying disassembling dispensing encoding
    entering_exiting holding inspecting installing killing loading other packing picking receiving
    removing repackaging repairing replacing reserving retail_selling sampling sensor_reporting
    shipping staging_outbound stock_taking stocking storing transporting unloading unpacking
    void_shipping""",
)

DISPOSITIONS: Final = _cbv(
    "disposition",
    "disp",
    "Disp",
    """active available completeness_inferred completeness_verified conformant container_closed
    container_open damaged destroyed dispensed disposed encoded expired in_progress in_transit
    inactive mismatch_class mismatch_instance mismatch_quantity needs_replacement no_pedigree_match
    non_conformant non_sellable_other partially_dispensed recalled reserved retail_sold returned
    sellable_accessible sellable_not_accessible stolen unavailable unknown""",
)

BIZ_TRANSACTION_TYPES: Final = _cbv(
    "business transaction type",
    "btt",
    "BTT",
    "bol cert desadv inv pedigree po poc prodorder recadv rma testprd testres upevt",
)

SOURCE_DESTINATION_TYPES: Final = _cbv(
    "source or destination type", "sdt", "SDT", "owning_party possessing_party location"
)

ERROR_REASONS: Final = _cbv("error reason", "er", "ER", "did_not_occur incorrect_data")

COMPONENTS: Final = _cbv(
    "component of a measurement",
    "comp",
    "Comp",
    """x y z axial_distance azimuth height spherical_radius polar_angle elevation_angle easting
    northing latitude longitude altitude""",
)

MEASUREMENT_TYPES: Final = _gs1(
    "measurement type",
    """AbsoluteHumidity AbsorbedDose AbsorbedDoseRate Acceleration Altitude AmountOfSubstance
    AmountOfSubstancePerUnitVolume Angle AngularAcceleration AngularMomentum AngularVelocity Area
    Capacitance Conductance Conductivity Count Density Dimensionless DoseEquivalent
    DoseEquivalentRate DynamicViscosity ElectricCharge ElectricCurrent ElectricCurrentDensity
    ElectricFieldStrength Energy Exposure Force Frequency Illuminance Inductance Irradiance
    KinematicViscosity Length LinearMomentum Luminance LuminousFlux LuminousIntensity MagneticFlux
    MagneticFluxDensity MagneticVectorPotential Mass MassConcentration MassFlowRate MassPerAreaTime
    MemoryCapacity MolalityOfSolute MolarEnergy MolarMass MolarVolume Power Pressure RadiantFlux
    RadiantIntensity Radioactivity RelativeHumidity Resistance Resistivity SolidAngle SpecificVolume
    Speed SurfaceDensity SurfaceTension Temperature Time Torque Voltage Volume VolumeFlowRate
    VolumeFraction VolumetricFlux Wavenumber
    EffectiveDose EffectiveDoseRate Molar_concentration""",
)
"""With, in the last line, words of the drafts of CBV 2.0 that documents in the field still use."""

SENSOR_ALERTS: Final = _gs1("sensor alert", "ALARM_CONDITION ERROR_CONDITION")
