"""Asks a Stoa server for recommendations, from Python.

    node scripts/python-venv.mjs            # makes .venv with grpcio
    .venv/bin/python examples/python-client/recommend.py 127.0.0.1:7071 USER --limit 5
"""

import argparse
import pathlib
import sys
import tempfile

import grpc
import grpc_tools.protoc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

PROTO = pathlib.Path(__file__).resolve().parents[2] / "proto"


def load_stubs():
    """Generates the message classes from the .proto file. A project of its own does this once, when it is built."""
    folder = tempfile.mkdtemp(prefix="stoa-stubs-")
    options = [f"-I{PROTO}", f"--python_out={folder}", f"--grpc_python_out={folder}"]
    code = grpc_tools.protoc.main(["protoc", *options, "stoa/recommend/v1/recommend.proto"])
    if code != 0:
        sys.exit("generating the stubs failed")
    sys.path.insert(0, folder)
    from stoa.recommend.v1 import recommend_pb2, recommend_pb2_grpc

    return recommend_pb2, recommend_pb2_grpc


def explain(error):
    """One line for an error: its message, and the fields that are wrong."""
    lines = [error.details()]
    status = rpc_status.from_call(error)
    for detail in status.details if status else []:
        request = error_details_pb2.BadRequest()
        if detail.Unpack(request):
            lines += [f"{violation.field}: {violation.description}" for violation in request.field_violations]
    return "\n  ".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("address", help="HOST:PORT of the server")
    parser.add_argument("user", help="external id of the user")
    parser.add_argument("--limit", type=int, default=10, help="how many items, 1 to 1000")
    args = parser.parse_args()

    messages, stubs = load_stubs()
    with grpc.insecure_channel(args.address) as channel:
        client = stubs.RecommendServiceStub(channel)
        request = messages.RecommendRequest(user_id=args.user, limit=args.limit)
        try:
            # The first call waits until the server is there; every call has a deadline.
            response = client.Recommend(request, timeout=10, wait_for_ready=True)
        except grpc.RpcError as error:
            sys.exit(explain(error))

    print(f"{messages.Reason.Name(response.reason)} by model {response.model_version}")
    for item in response.items:
        print(f"{item.score:10.4f}  {item.item_id}  {item.title}")


if __name__ == "__main__":
    main()
