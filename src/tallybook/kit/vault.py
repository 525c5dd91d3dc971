"""Secrets at rest: encrypted with the installation's key, shown to nobody again."""

from cryptography.fernet import Fernet


class Vault:
    """Seals texts with the installation's key (authenticated encryption)."""

    def __init__(self, key: bytes) -> None:
        """Take a key made by `new_key`."""
        self._fernet = Fernet(key)

    @staticmethod
    def new_key() -> bytes:
        """A fresh random key."""
        return Fernet.generate_key()

    def seal(self, secret: str) -> str:
        """The secret as text that is safe to store."""
        return self._fernet.encrypt(secret.encode()).decode()

    def open(self, sealed: str) -> str:
        """The secret that `seal` took."""
        return self._fernet.decrypt(sealed.encode()).decode()
