"""Makes the buckets named on the command line where the AWS variables say, unless they are there."""

import sys

import boto3
from botocore.config import Config


def main(names: list[str]) -> None:
    """Fails while S3 does not answer; whoever runs it tries again."""
    patient = Config(retries={"mode": "standard", "total_max_attempts": 10}, s3={"addressing_style": "path"})
    client = boto3.session.Session().client("s3", config=patient)
    there = {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}
    for name in set(names) - there:
        client.create_bucket(Bucket=name)


if __name__ == "__main__":
    main(sys.argv[1:])
