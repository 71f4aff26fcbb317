"""Checks a Stoa server from the outside: grpcio for the calls, numpy for what the answers must be.

    check_serving.py ADDRESS MODEL_DIR EXPORT_DIR

Prints one JSON document with what was compared; fails with an assertion where something differs.
"""

import csv
import json
import pathlib
import sys

import grpc
import numpy as np
from google.protobuf.descriptor_pool import DescriptorPool
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_status import rpc_status
from safetensors.numpy import load_file

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "examples/python-client"))
from recommend import load_stubs  # noqa: E402

SERVICE = "stoa.recommend.v1.RecommendService"
LIMIT = 12


def read_ids(file):
    with open(file, newline="", encoding="utf-8") as text:
        rows = list(csv.reader(text))
    assert rows[0] == ["row", "id"]
    assert [int(row) for row, _ in rows[1:]] == list(range(len(rows) - 1))
    return [name for _, name in rows[1:]]


class Exported:
    """The model as numpy sees it."""

    def __init__(self, model_dir, export_dir):
        self.users = np.load(export_dir / "user_factors.npy")
        self.items = np.load(export_dir / "item_factors.npy")
        self.user_ids = read_ids(export_dir / "users.csv")
        self.item_ids = read_ids(export_dir / "items.csv")
        assert self.users.dtype == np.float32 and self.items.flags.c_contiguous
        assert self.users.shape == (len(self.user_ids), self.items.shape[1])
        tensors = load_file(model_dir / "factors.safetensors")
        assert np.array_equal(tensors["user_factors"], self.users)
        assert np.array_equal(tensors["item_factors"], self.items)
        history = load_file(model_dir / "history.safetensors")
        self.ptr, self.idx = history["ptr"], history["idx"]

    def seen(self, row):
        return self.idx[self.ptr[row] : self.ptr[row + 1]]

    def best(self, scores, without, limit):
        """Rows by descending score, equal ones by row."""
        scores = scores.astype(np.float32)
        order = np.argsort(-scores, kind="stable")
        return [(self.item_ids[row], scores[row]) for row in order if row not in set(without)][:limit]

    def recommended(self, row, limit):
        seen = self.seen(row)
        if len(seen) == 0:
            counts = np.bincount(self.idx, minlength=len(self.item_ids))
            return "REASON_POPULAR", self.best(counts, [], limit)
        scores = self.items.astype(np.float64) @ self.users[row].astype(np.float64)
        return "REASON_PERSONALIZED", self.best(scores, seen, limit)

    def similar(self, row, limit):
        items = self.items.astype(np.float64)
        items /= np.linalg.norm(items, axis=1, keepdims=True)
        return self.best(items @ items[row], [row], limit)


def compare(items, expected):
    assert [item.item_id for item in items] == [name for name, _ in expected], (items, expected)
    np.testing.assert_allclose([item.score for item in items], [score for _, score in expected], rtol=1e-5, atol=1e-6)


def refusal(call, request):
    try:
        call(request, timeout=10)
    except grpc.RpcError as error:
        return error
    raise AssertionError("the request was accepted")


def violations(error):
    """Fields of the BadRequest in grpc-status-details-bin; grpc_status also checks that code and message agree."""
    status = rpc_status.from_call(error)
    fields = []
    for detail in status.details:
        request = error_details_pb2.BadRequest()
        if detail.Unpack(request):
            fields += [violation.field for violation in request.field_violations]
    return fields


def error_info(error):
    for detail in rpc_status.from_call(error).details:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            return info.domain, info.reason, dict(info.metadata)
    raise AssertionError("no ErrorInfo")


def check_answers(client, messages, model):
    reasons = {}
    requests = [messages.RecommendRequest(user_id=name, limit=LIMIT) for name in model.user_ids]
    batch = client.BatchRecommend(messages.BatchRecommendRequest(requests=requests), timeout=30).responses
    for row, request in enumerate(requests):
        reason, expected = model.recommended(row, LIMIT)
        for response in (client.Recommend(request, timeout=10), batch[row]):
            assert messages.Reason.Name(response.reason) == reason
            compare(response.items, expected)
        reasons[reason] = reasons.get(reason, 0) + 1
    for row, name in enumerate(model.item_ids):
        response = client.SimilarItems(messages.SimilarItemsRequest(item_id=name, limit=LIMIT), timeout=10)
        compare(response.items, model.similar(row, LIMIT))
    return reasons


def check_refusals(client, messages):
    request = messages.RecommendRequest
    for bad, field in [
        (request(user_id=""), "user_id"),
        (request(user_id="u", limit=-1), "limit"),
        (request(user_id="u", limit=10**9), "limit"),
        (request(user_id="x" * (1 << 20)), "user_id"),
    ]:
        error = refusal(client.Recommend, bad)
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT, error
        assert violations(error) == [field]
        assert error_info(error) == ("stoa", "STOA_USAGE", {"field": field})
        assert len(error.details()) < 300
    batch = messages.BatchRecommendRequest(requests=[request(user_id="u"), request(user_id="u", limit=1001)])
    assert violations(refusal(client.BatchRecommend, batch)) == ["requests[1].limit"]
    error = refusal(client.SimilarItems, messages.SimilarItemsRequest(item_id="no such item"))
    assert error.code() == grpc.StatusCode.NOT_FOUND
    assert error_info(error)[1] == "STOA_NOT_FOUND_ITEM"
    error = refusal(client.Explain, messages.ExplainRequest(user_id="u", item_id="i"))
    assert error.code() == grpc.StatusCode.UNIMPLEMENTED


def check_health(channel):
    health = health_pb2_grpc.HealthStub(channel)
    for service in ["", SERVICE]:
        status = health.Check(health_pb2.HealthCheckRequest(service=service), timeout=10).status
        assert status == health_pb2.HealthCheckResponse.SERVING


def check_reflection(channel):
    """What the server tells about itself suffices to find each method and each field."""
    database = ProtoReflectionDescriptorDatabase(channel)
    assert SERVICE in database.get_services()
    service = DescriptorPool(database).FindServiceByName(SERVICE)
    fields = {field.name for field in service.methods_by_name["Recommend"].input_type.fields}
    assert fields == {"user_id", "limit", "exclude_item_ids", "include_seen"}
    return sorted(service.methods_by_name)


def main():
    address, model_dir, export_dir = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    messages, stubs = load_stubs()
    model = Exported(model_dir, export_dir)
    with grpc.insecure_channel(address) as channel:
        client = stubs.RecommendServiceStub(channel)
        check_health(channel)
        methods = check_reflection(channel)
        reasons = check_answers(client, messages, model)
        check_refusals(client, messages)
    print(json.dumps({"methods": methods, "reasons": reasons, "similar": len(model.item_ids)}))


if __name__ == "__main__":
    main()
