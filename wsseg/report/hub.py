"""Uploading of packed runs to the Hugging Face Hub."""

from pathlib import Path

from wsseg.errors import InputError, WorkError, one_line
from wsseg.inference.folders import RunFolder


def push_to_hub(repository: str, packed: Path, card: str) -> str:
    """Upload a packed run and its model card, and return the address of the commit.

    A repository that does not exist is created and private.

    Raises:
        InputError: huggingface_hub is not installed, or the name of the repository is invalid.
        WorkError: The upload failed.
    """
    try:
        from huggingface_hub import CommitOperationAdd, HfApi
        from huggingface_hub.errors import HFValidationError
    except ImportError:
        raise InputError("--push-to-hub needs huggingface_hub: pip install 'wsseg[hub]'") from None
    hub, name = HfApi(), RunFolder(packed).card.name
    files = [CommitOperationAdd(packed.name, packed), CommitOperationAdd(name, card.encode())]
    try:
        hub.create_repo(repository, private=True, exist_ok=True)
        commit = hub.create_commit(repository, files, commit_message=f"Add {packed.name}")
    except HFValidationError as error:
        raise InputError(f"--push-to-hub {repository}: {one_line(error)}") from None
    except Exception as error:  # noqa: BLE001 - of the network, whose library has its own
        raise WorkError(
            f"the upload to {repository} failed ({one_line(error)}); run the same command again to "
            "retry"
        ) from None
    return str(commit.commit_url)
