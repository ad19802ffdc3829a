"""Settings of who a client is, and of what is told of clients."""

from pathlib import Path
from typing import Self

from pydantic import SecretStr, field_validator, model_validator

from featurizer.identity import Identity
from stream.sections.fields import Section, setting


class IdentitySettings(Section):
    """Which of the names that a log has of a client is the client's."""

    order: tuple[Identity, ...] = setting(
        (Identity.CONSUMER, Identity.SUBJECT, Identity.USER, Identity.CREDENTIAL, Identity.ADDRESS),
        "kinds of names",
        "The first that a call has names its client; address comes last. session and address_agent, which a client can "
        "choose, are only read if they are here.",
    )
    trusted_hops: int = setting(
        0,
        "proxies",
        "Proxies in front of the gateway that are believed about whom they forward for, where the log has the list of "
        "forwarded addresses. 0: the address is the one that the gateway itself logs as the client's.",
        ge=0,
        le=32,
    )

    @field_validator("order")
    @classmethod
    def _ends_with_address(cls, value: tuple[Identity, ...]) -> tuple[Identity, ...]:
        if len(set(value)) < len(value):
            raise ValueError("a kind is listed twice")
        if not value or value[-1] is not Identity.ADDRESS:
            raise ValueError("must end with address: a call without any other name has nothing else")
        return value


class PrivacySettings(Section):
    """Pseudonyms in place of clients and addresses."""

    current: str | None = setting(
        None,
        "key id",
        "The key that clients and addresses are written with from now on. Unset: they stay as they are logged. Another "
        "key makes other names of all clients: sessions end there.",
        pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$",
    )
    hmac_keys: SecretStr | None = setting(
        None,
        "secret",
        "Keys, each ID=SECRET, separated by commas or line breaks. Keep old ones: `gatewatch pseudonym` looks names up "
        "under each.",
    )
    hmac_keys_file: Path | None = setting(
        None, "file", "The same in a file, one a line; what # begins is a comment. Better than hmac_keys, or instead."
    )

    @model_validator(mode="after")
    def _key_given(self) -> Self:
        if self.current is not None and self.hmac_keys is None and self.hmac_keys_file is None:
            raise ValueError(f"current is {self.current}, and there are no keys: set hmac_keys_file, or hmac_keys")
        return self
