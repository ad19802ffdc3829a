"""Promotion: the challenger's bundle takes the champion's place, and the one before is kept for the way back."""

from pathlib import Path
from typing import NamedTuple

from featurizer.features import FeatureSchema
from scorer.bundle import BundleError, ModelBundle
from stream.bundles import read_bundle, shipped_bundles, write_bundle
from stream.errors import CommandError, ExitCode


class Promotion(NamedTuple):
    """What was done.

    Attributes:
        place: where the champion lies.
        promoted: uid of the bundle that is there now.
        kept: where the bundle that was there is kept.
        replaced: its uid.
    """

    place: Path
    promoted: str
    kept: Path
    replaced: str


def promote(bundle: str, challenger: str | None, schema: FeatureSchema) -> Promotion:
    """Write the challenger's bundle to the champion's place; the champion is kept beside it.

    Both are read and checked before anything is written. What is kept is written first, so that at any moment there is
    a bundle to go back to.

    Args:
        bundle: setting ``model.bundle``.
        challenger: setting ``model.challenger``.
        schema: the features that vectors have here.

    Raises:
        CommandError: there is no challenger, a bundle can't be used or written, or the champion is a shipped one.
    """
    if challenger is None:
        hint = "name the bundle to promote: --challenger PATH, or the setting model.challenger"
        raise CommandError("there is no challenger", hint, ExitCode.USAGE)
    place = _place(bundle)
    return _replace(place, _read(challenger, schema), schema)


def rollback(bundle: str, schema: FeatureSchema) -> Promotion:
    """Put the bundle that the last promotion replaced back; what it had promoted is kept in turn.

    Args:
        bundle: setting ``model.bundle``.
        schema: the features that vectors have here.

    Raises:
        CommandError: nothing is kept, a bundle can't be used or written, or the champion is a shipped one.
    """
    place = _place(bundle)
    kept = kept_beside(place)
    if not kept.exists():
        raise CommandError(f"there is no {kept}", "only `gatewatch promote` leaves something to go back to")
    return _replace(place, _read(str(kept), schema), schema)


def kept_beside(place: Path) -> Path:
    """Return where a promotion keeps the bundle that it replaces: ``our-api.previous``, ``our-api.previous.zip``."""
    return place.with_name(f"{place.name.removesuffix('.zip')}.previous{'.zip' if place.suffix == '.zip' else ''}")


def _place(bundle: str) -> Path:
    if bundle in shipped_bundles():
        hint = "copy it to a folder of yours, and name that in model.bundle; or name the challenger there"
        raise CommandError(f"{bundle} ships with gatewatch and is not replaced", hint, ExitCode.USAGE)
    return Path(bundle).expanduser().absolute()


def _read(name: str, schema: FeatureSchema) -> ModelBundle:
    try:
        return read_bundle(name, schema)
    except BundleError as error:
        raise CommandError(str(error), exit_code=ExitCode.USAGE) from error


def _replace(place: Path, model: ModelBundle, schema: FeatureSchema) -> Promotion:
    present = _read(str(place), schema)
    if present.uid == model.uid:
        raise CommandError(f"{place} holds {model.uid} already", "there is nothing to do", ExitCode.USAGE)
    kept = kept_beside(place)
    try:
        write_bundle(kept, present.to_files())
        write_bundle(place, model.to_files())
    except BundleError as error:
        raise CommandError(str(error)) from error
    return Promotion(place, model.uid, kept, present.uid)
