"""What every S3 server of ours offers to its users, whatever stands behind it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from lenticular.butler.errors import ServiceError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["REGION", "ObjectStore"]

REGION = "us-east-1"


class ObjectStore(ABC):
    """An S3 server on this machine.

    Attributes
    ----------
    folder
        Where its objects are kept.
    access_key, secret_key
        Credentials that it accepts. They protect nothing: the server listens
        on a loopback address.
    """

    folder: Path
    access_key: str = "lenticular"
    secret_key: str = "lenticular-demo"  # noqa: S105  # opens a server of this machine only

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.folder}>"

    @property
    @abstractmethod
    def endpoint(self) -> str:
        """URL of the server, ``http://host:port``."""

    def environment(self) -> dict[str, str]:
        """Return the environment variables that lead clients to this server.

        boto3 and s3fs read ``AWS_ENDPOINT_URL``, obstore too but it also wants
        leave to speak plain HTTP, lsst.resources reads ``S3_ENDPOINT_URL``. No
        client looks for credentials of a cloud any more.
        """
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ALLOW_HTTP": "true",
            "AWS_EC2_METADATA_DISABLED": "true",
            "S3_ENDPOINT_URL": self.endpoint,
        }

    def client(self) -> Any:
        """Return a boto3 S3 client for this server; it gives up within seconds."""
        import boto3  # 0.3 s that few callers need
        from botocore.config import Config

        retries: Any = {"total_max_attempts": 2, "mode": "standard"}
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=REGION,
            config=Config(
                connect_timeout=5, read_timeout=30, retries=retries, s3={"addressing_style": "path"}
            ),
        )

    def make_bucket(self, name: str) -> str:
        """Create a bucket if it does not exist.

        Returns
        -------
        str
            Its URI, ``s3://name``.

        Raises
        ------
        ServiceError
            The name is not allowed, or the server does not answer.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        client = self.client()
        try:
            client.create_bucket(Bucket=name)
        except ClientError as error:
            if error.response["Error"]["Code"] not in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}:
                hint = "Names have 3 to 63 small letters, digits and hyphens"
                raise ServiceError(f"the bucket cannot be created: {error}", where=name, hint=hint) from error
        except BotoCoreError as error:
            raise ServiceError(f"the bucket cannot be created: {error}", where=self.endpoint) from error
        finally:
            client.close()
        return f"s3://{name}"
