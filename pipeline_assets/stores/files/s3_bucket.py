"""One S3 bucket through boto3: the few calls that the file store makes, with errors that people understand."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pipeline_assets.errors import PipelineError, SettingsError, StoreError, TransientError
from pipeline_assets.settings import S3Settings

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

_log = logging.getLogger(__name__)

# Dagster's retry policy covers longer failures.
_ATTEMPTS = 3
_CONNECT_SECONDS, _READ_SECONDS = 10, 60
_TRANSIENT = {
    "NoSuchUpload",  # another process has removed it
    "OperationAborted",
    "RequestTimeout",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequests",
}
_GONE = {"NoSuchKey", "PreconditionFailed", "412"}


@dataclass(frozen=True)
class Object:
    """An object as a listing shows it."""

    key: str
    size: int
    etag: str


class Bucket:
    """A bucket. The first call connects."""

    def __init__(self, settings: S3Settings, name: str) -> None:
        self.name = name
        self._settings = settings

    def __getstate__(self) -> dict[str, object]:
        """Everything but the connection: an unpickled bucket opens a new one."""
        return {name: value for name, value in self.__dict__.items() if name != "_client"}

    def uri(self, key: str) -> str:
        """The address as people write it."""
        return f"s3://{self.name}/{key}"

    def objects(self, prefix: str) -> Iterator[Object]:
        """Every object whose key starts with ``prefix``, listed page by page."""
        with self._asked(prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix)
            for page in pages:
                for entry in page.get("Contents", ()):
                    yield Object(entry["Key"], entry["Size"], entry["ETag"].strip('"'))

    def times(self, prefix: str) -> Iterator[tuple[str, datetime]]:
        """Every key that starts with ``prefix``, and when its object was completed."""
        with self._asked(prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix)
            for page in pages:
                for entry in page.get("Contents", ()):
                    yield entry["Key"], entry["LastModified"]

    def remove(self, key: str) -> None:
        """Removes an object; nothing happens if it is not there."""
        with self._asked(key):
            self._client.delete_object(Bucket=self.name, Key=key)

    def tail(self, key: str, size: int) -> tuple[Object, bytes] | None:
        """The object and its last ``size`` bytes, all if it has fewer; ``None`` if it is not there."""
        from botocore.exceptions import ClientError

        with self._asked(key):
            try:
                answer = self._client.get_object(Bucket=self.name, Key=key, Range=f"bytes=-{size}")
            except ClientError as error:
                code = error.response["Error"]["Code"]
                if code == "NoSuchKey":
                    return None
                if code != "InvalidRange":
                    raise
                answer = self._client.get_object(Bucket=self.name, Key=key)  # an empty object has no range
            content = answer["Body"].read()
        whole = int(answer["ContentRange"].rpartition("/")[2]) if "ContentRange" in answer else len(content)
        return Object(key, whole, answer["ETag"].strip('"')), content

    def content(self, part: Object, start: int, end: int) -> bytes:
        """Bytes ``start`` to ``end`` (excluded) of the object as it was listed.

        Raises:
            TransientError: another object has replaced it.
        """
        with self._asked(part.key):
            answer = self._client.get_object(
                Bucket=self.name, Key=part.key, Range=f"bytes={start}-{end - 1}", IfMatch=f'"{part.etag}"'
            )
            content: bytes = answer["Body"].read()
        return content

    def notes(self, key: str) -> dict[str, str] | None:
        """The metadata that :meth:`put` or :meth:`begin` gave the object; ``None`` if it is not there."""
        from botocore.exceptions import ClientError

        with self._asked(key):
            try:
                found: dict[str, str] = self._client.head_object(Bucket=self.name, Key=key)["Metadata"]
            except ClientError as error:
                # An answer to HEAD has no body, so it cannot say that the bucket itself is missing.
                if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:  # noqa: PLR2004
                    return None
                raise
        return found

    def put(self, key: str, content: bytes, notes: Mapping[str, str] | None = None) -> None:
        """Writes an object in one request."""
        with self._asked(key):
            self._client.put_object(Bucket=self.name, Key=key, Body=content, Metadata=dict(notes or {}))

    def begin(self, key: str, notes: Mapping[str, str] | None = None) -> str:
        """Begins a multipart upload; returns its id."""
        with self._asked(key):
            begun = self._client.create_multipart_upload(Bucket=self.name, Key=key, Metadata=dict(notes or {}))
        upload: str = begun["UploadId"]
        return upload

    def send(self, key: str, upload: str, number: int, content: bytes) -> dict[str, Any]:
        """Sends one part of an upload, numbered from 1; returns what :meth:`complete` needs of it."""
        with self._asked(key):
            answer = self._client.upload_part(
                Bucket=self.name, Key=key, UploadId=upload, PartNumber=number, Body=content
            )
        return {"PartNumber": number, "ETag": answer["ETag"]}

    def complete(self, key: str, upload: str, parts: list[dict[str, Any]]) -> None:
        """Makes the object appear, whole."""
        with self._asked(key):
            self._client.complete_multipart_upload(
                Bucket=self.name, Key=key, UploadId=upload, MultipartUpload={"Parts": parts}
            )

    def abort(self, key: str, upload: str) -> None:
        """Removes an upload. A failure is only logged: another error is being raised, and old uploads are collected."""
        try:
            with self._asked(key):
                self._client.abort_multipart_upload(Bucket=self.name, Key=key, UploadId=upload)
        except PipelineError as error:
            _log.warning("an upload is left over until it is a day old: %s", error)

    def collect(self, key: str, stale_after: timedelta) -> None:
        """Removes uploads whose writers must be dead. Without the right to list uploads, it only warns.

        Args:
            key: of the objects to be uploaded, or a folder with ``/`` at its end.
            stale_after: their least age.
        """
        before = datetime.now(UTC) - stale_after
        try:
            with self._asked(key):
                pages = self._client.get_paginator("list_multipart_uploads").paginate(Bucket=self.name, Prefix=key)
                stale = [
                    (upload["Key"], upload["UploadId"])
                    for page in pages
                    for upload in page.get("Uploads", ())
                    if (upload["Key"] == key or key.endswith("/")) and upload["Initiated"] < before
                ]
        except TransientError:
            raise
        except StoreError as error:
            _log.warning("uploads of dead writers are not collected: %s", error)
            return
        for each, upload in stale:
            self.abort(each, upload)

    @cached_property
    def _client(self) -> Any:
        import boto3
        from botocore.config import Config

        if "@" in self._endpoint:
            # boto shows the endpoint in every message, with the login if it has one.
            raise SettingsError(
                "AWS_ENDPOINT_URL carries a login",
                expected="credentials in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY alone",
            )
        try:
            return boto3.session.Session().client(
                "s3",
                endpoint_url=self._settings.endpoint,
                region_name=self._settings.region,
                aws_access_key_id=self._settings.access_key,
                aws_secret_access_key=self._settings.secret_key,
                aws_session_token=self._settings.session_token,
                config=Config(
                    retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
                    connect_timeout=_CONNECT_SECONDS,
                    read_timeout=_READ_SECONDS,
                    # Other endpoints may know only these older settings, which AWS itself no longer uses.
                    s3={"addressing_style": "path" if self._settings.endpoint else "auto"},
                    request_checksum_calculation="when_required",
                    response_checksum_validation="when_required",
                ),
            )
        except ValueError as error:
            raise SettingsError(
                "S3 cannot be where AWS_ENDPOINT_URL and AWS_REGION say",
                found=str(error),
                expected="http://... or https://..., and a region such as us-east-1",
            ) from error

    @property
    def _endpoint(self) -> str:
        return self._settings.endpoint or "AWS"

    @contextmanager
    def _asked(self, key: str) -> Iterator[None]:
        """Turns boto3's errors into ours."""
        from botocore import exceptions as boto

        try:
            yield
        except boto.ClientError as error:
            raise self._refusal(error, key) from error
        except (boto.NoCredentialsError, boto.PartialCredentialsError, boto.CredentialRetrievalError) as error:
            raise StoreError(
                "S3 wants credentials, and there are none",
                file=self.uri(key),
                do="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
            ) from error
        except boto.SSLError as error:
            raise StoreError(
                "there is no TLS connection to the S3 endpoint that can be trusted",
                found=str(error),
                do="set AWS_CA_BUNDLE to the file of the authority that signed the endpoint's certificate",
            ) from error
        except boto.ParamValidationError as error:
            raise StoreError("DATA_URI cannot be S3's", file=self.uri(key), found=str(error)) from error
        except (boto.ConnectionError, boto.HTTPClientError, boto.IncompleteReadError) as error:
            raise TransientError(
                "S3 does not answer",
                file=self.uri(key),
                found=f"{self._endpoint}: {type(error).__name__}",
                do="see that the endpoint runs and that AWS_ENDPOINT_URL is right",
            ) from error

    def _refusal(self, error: "ClientError", key: str) -> StoreError:
        code: str = error.response["Error"].get("Code", "")
        status: int = error.response["ResponseMetadata"]["HTTPStatusCode"]
        facts: dict[str, object] = {"file": self.uri(key), "found": f"{self._endpoint}: {code or status}"}
        if code == "NoSuchBucket":
            return StoreError(
                f"there is no bucket {self.name}", **facts, do="create it, or correct DATA_URI or AWS_ENDPOINT_URL"
            )
        if status in (401, 403):
            return StoreError(
                f"S3 does not let us {_DOING.get(error.operation_name, 'do this')} there",
                **facts,
                do="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to an account that may list, read and write"
                f" in bucket {self.name}",
            )
        if code in _GONE:
            return TransientError("the object was replaced while it was being read", **facts, do="run the step again")
        if code in _TRANSIENT or status >= 500:  # noqa: PLR2004  # the server's own failures
            return TransientError("S3 cannot answer now", **facts)
        return StoreError(
            "S3 refuses", **{**facts, "found": f"{facts['found']}: {error.response['Error'].get('Message')}"}
        )


_DOING = {
    "ListObjectsV2": "list files",
    "ListMultipartUploads": "list uploads",
    "GetObject": "read",
    "HeadObject": "read",
    "PutObject": "write",
    "CreateMultipartUpload": "write",
    "DeleteObject": "delete files",
    "UploadPart": "write",
    "CompleteMultipartUpload": "write",
}
