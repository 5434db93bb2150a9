"""Bearer tokens of Microsoft Entra, by the package azure-identity. Blocking: it asks servers and programs."""

from __future__ import annotations

import logging


class EntraProblem(Exception):
    """Why there is no token, in words.

    Args:
        text: A sentence, without a secret.
        installed: Whether azure-identity is there at all.
    """

    def __init__(self, text: str, *, installed: bool) -> None:
        super().__init__(text)
        self.installed = installed


def token(scope: str) -> str:
    """A token for whoever this process is signed in as; a new one each time, as they live an hour or so.

    Raises:
        EntraProblem: The package is missing, or nobody is signed in.
    """
    try:
        from azure.core.exceptions import AzureError
        from azure.identity import DefaultAzureCredential
    except ImportError:
        text = (
            "Microsoft Entra needs the package azure-identity; "
            "install it with `pip install 'omnirt-daemon[azure]'`."
        )
        raise EntraProblem(text, installed=False) from None
    # Its warnings quote whatever a server answered, over a dozen lines.
    logging.getLogger("azure.identity").setLevel(logging.ERROR)
    try:
        with DefaultAzureCredential() as credential:
            return str(credential.get_token(scope).token)
    except (AzureError, ValueError, OSError) as error:
        text = (
            f"Microsoft Entra gives no token ({type(error).__name__}); sign in with `az login`, or set "
            "AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET."
        )
        raise EntraProblem(text, installed=True) from None
