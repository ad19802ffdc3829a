"""The keys of pseudonyms, from the settings and the file that they name."""

from stream.adapters.pseudonyms import read_keys
from stream.errors import SettingsError
from stream.settings import Settings


def hmac_keys(settings: Settings) -> dict[str, bytes]:
    """Return the keys of pseudonyms by id, those of the file first.

    Raises:
        SettingsError: the file can't be read, or a key is wrong, or in both places.
    """
    own = settings.privacy
    texts: dict[str, str] = {}
    if own.hmac_keys_file is not None:
        try:
            texts["privacy.hmac_keys_file"] = own.hmac_keys_file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError([f"privacy.hmac_keys_file: {own.hmac_keys_file}: {error}"]) from None
    if own.hmac_keys is not None:
        texts["privacy.hmac_keys"] = own.hmac_keys.get_secret_value()
    keys: dict[str, bytes] = {}
    for name, text in texts.items():
        try:
            found = read_keys(text)
        except ValueError as error:
            raise SettingsError([f"{name}: {error}"]) from None
        if twice := sorted(keys.keys() & found):
            raise SettingsError([f"{name}: key {twice[0]} is in privacy.hmac_keys_file too; keep one of the two"])
        keys |= found
    return keys
