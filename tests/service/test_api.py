"""The service through HTTP: answers, limits, refusals, and what is learned."""

import io
import json
import threading

import numpy as np
import pytest
from PIL import Image

from reex_jax.adaptation.adapter import Adapter
from reex_jax.adaptation.inputs import RepairedQueries
from reex_jax.gsr.features import FusionFeatures
from reex_jax.service.gather import FullError, Slots
from reex_jax.settings.service import Learning, Limits


@pytest.fixture(scope="module")
def running(make_service, tmp_path_factory):
    with make_service(tmp_path_factory.mktemp("state")) as made:
        yield made


@pytest.fixture
def client(running):
    return running[0]


def png(size=(64, 64), colour=(200, 30, 30)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    return file.getvalue()


def test_a_text_search_says_all_that_is_known(client, scenes):
    answer = client.post("/v1/search", json={"text": "a rde crcle", "k": 3, "compare": True})
    assert answer.status_code == 200
    found = answer.json()
    assert len(found["results"]) == len(found["before"]) == 3
    first = found["results"][0]
    assert first["id"] == scenes[0].ids[first["position"]]
    assert first["caption"] == scenes[0].captions[first["position"]]
    assert found["repair"]["repaired"] != "a rde crcle"
    assert 0 < found["repair"]["weight"] <= 1 and 0 <= found["repair"]["confidence"] <= 1
    assert isinstance(found["confident"], bool)
    assert {"prepare", "wait", "embed", "rank", "total"} <= set(found["timings_ms"])


def test_a_picture_finds_itself(client):
    picture = client.get("/v1/items/7/thumbnail")
    assert picture.headers["content-type"] == "image/png"
    found = client.post("/v1/search/image?k=2&learn=false", content=picture.content).json()
    assert found["results"][0]["position"] == 7
    assert found["results"][0]["score"] == pytest.approx(1.0, abs=1e-4)


def test_samples_say_where_the_right_answer_stands(client):
    request = {
        "sample": {"query": "image", "number": 5},
        "noise": {"kind": "fog", "severity": 1},
        "compare": True,
        "learn": False,
    }
    found = client.post("/v1/search", json=request).json()
    assert found["truth"]["position"] == 5
    places = [hit["position"] for hit in found["results"]]
    rank = found["truth"]["rank"]
    assert rank is None or rank >= 10 or places[rank] == 5
    assert found["picture"].startswith("data:image/png;base64,")
    text = {"sample": {"query": "text", "number": 8}, "noise": {"kind": "ocr", "severity": 7}}
    found = client.post("/v1/search", json=text | {"learn": False}).json()
    assert found["truth"]["position"] == 1 and found["text"] == found["repair"]["text"]


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"{", 400, "no JSON"),
        (b"[]", 400, "no JSON object"),
        (b"{}", 422, "either text or sample"),
        (b'{"text": "  "}', 422, "empty"),
        (b'{"text": "a", "kk": 3}', 422, "kk"),
        (b'{"text": "a", "k": 21}', 422, "at most 20"),
        (b'{"text": "a", "k": 0}', 422, "k:"),
        (b'{"text": 5}', 422, "text"),
        (b'{"text": "a", "method": "rex"}', 422, "did you mean 'reex'"),
        (b'{"text": "a", "noise": {"kind": "orc"}}', 422, "did you mean 'ocr'"),
        (b'{"sample": {"number": 9999}}', 422, "9999"),
        (b'{"text": "' + b"a" * 1001 + b'"}', 422, "1001 characters"),
        (b'{"text": "' + b"a" * 50_000 + b'"}', 413, "larger than"),
        (b"[" * 5000, 400, "no JSON"),
    ],
)
def test_bad_requests_are_told_what_is_wrong(client, body, status, said):
    answer = client.post("/v1/search", content=body)
    assert answer.status_code == status
    assert said in answer.json()["error"]


@pytest.mark.parametrize(
    ("body", "query", "said"),
    [
        (b"", "", "empty"),
        (b"no picture", "", "not an image"),
        (png()[:60], "", "damaged"),
        (b"\x00" * 100, "", "not an image"),
        (png(), "?noise=fgo", "did you mean 'fog'"),
        (png(), "?colour=red", "colour"),
        (png((2, 3000)), "", "strip"),
    ],
)
def test_bad_pictures_are_told_what_is_wrong(client, body, query, said):
    answer = client.post(f"/v1/search/image{query}", content=body)
    assert answer.status_code == 422
    assert said in answer.json()["error"]


def test_large_uploads_and_many_pixels_are_refused(make_service, tmp_path):
    limits = Limits(k=20, upload_mb=0.001, pixels=5000)
    with make_service(tmp_path, limits=limits, learning=Learning(on=False)) as (client, _):
        large = client.post("/v1/search/image", content=b"x" * 2000)
        assert large.status_code == 413
        pixels = client.post("/v1/search/image", content=png((100, 100)))
        assert pixels.status_code == 422 and "100x100" in pixels.json()["error"]
        assert client.post("/v1/state/reset").status_code == 409


def test_other_addresses_methods_and_names(client):
    assert client.get("/nope").status_code == 404
    assert client.get("/v1/search").status_code == 405
    assert client.get("/v1/items/60/thumbnail").status_code == 404
    assert client.get("/page/..%2fapi.py").status_code == 404
    assert client.get("/health", headers={"host": "evil.example"}).status_code == 421
    crossed = {"sec-fetch-site": "cross-site"}
    assert client.post("/v1/state/reset", headers=crossed).status_code == 403


def test_every_answer_has_the_strict_policy(client):
    for path in ("/", "/docs", "/health", "/nope", "/v1/index"):
        policy = client.get(path).headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy


def test_the_description_names_what_exists(client):
    described = client.get("/openapi.json").json()
    assert {"/v1/search", "/v1/search/image", "/v1/state/reset"} <= set(described["paths"])
    text = json.dumps(described)
    schemas = described["components"]["schemas"]
    for name in schemas:
        assert "$defs" not in json.dumps(schemas[name])
    for part in text.split('"#/components/schemas/')[1:]:
        assert part.split('"')[0] in schemas
    answer = client.post("/v1/search", json={"text": "a ring", "learn": False}).json()
    assert set(answer) == set(schemas["SearchResponse"]["properties"])


def test_metrics_count_and_hold_no_query(client):
    client.post("/v1/search", json={"text": "a very secret thing", "learn": False})
    page = client.get("/metrics").text
    assert 'reex_requests_total{route="/v1/search",status="200"}' in page
    assert "secret" not in page
    client.get("/somewhere/else")
    assert "somewhere" not in client.get("/metrics").text


def test_a_token_is_asked_for(make_service, tmp_path):
    learning = Learning(on=False)
    with make_service(tmp_path, token="secret-token", learning=learning) as (client, _):
        assert client.get("/").status_code == 200
        assert client.get("/health").status_code == 200
        for path in ("/v1/index", "/metrics", "/v1/items/1/thumbnail", "/nope"):
            assert client.get(path).status_code == 401
        wrong = {"authorization": "Bearer secret-tokem"}
        assert client.get("/v1/index", headers=wrong).status_code == 401
        good = {"authorization": "Bearer secret-token"}
        assert client.get("/v1/index", headers=good).json()["items"] == 60


def test_a_full_queue_answers_503_and_when_to_come_back(running, client, monkeypatch):
    parts = running[1]
    entered, go = threading.Event(), threading.Event()
    answer = parts.searcher.gather._answer

    def slow(asks):
        entered.set()
        go.wait(60)
        return answer(asks)

    monkeypatch.setattr(parts.searcher.gather, "_answer", slow)
    most = parts.settings.limits.queue
    found = []

    def search():
        request = {"text": "a ring", "learn": False}
        found.append(client.post("/v1/search", json=request).status_code)

    threads = [threading.Thread(target=search) for _ in range(most)]
    for thread in threads:
        thread.start()
    entered.wait(60)
    refused = None
    while refused is None or refused.status_code == 200:
        refused = client.post("/v1/search", json={"text": "a ring"}) if full(client, most) else None
    go.set()
    for thread in threads:
        thread.join(60)
    assert refused.status_code == 503 and int(refused.headers["retry-after"]) >= 1
    assert found == [200] * most
    assert client.post("/v1/search", json={"text": "a ring"}).status_code == 200


def full(client, most: int) -> bool:
    return f"reex_under_way {float(most)}" in client.get("/metrics").text


def test_slots_come_back_after_errors():
    slots = Slots(1)
    with pytest.raises(ZeroDivisionError), slots():
        with pytest.raises(FullError), slots():
            pass
        raise ZeroDivisionError
    with slots():
        assert slots.taken == 1


def test_the_stream_is_that_of_an_adapter(make_service, tmp_path, model, scenes, wait_until):
    """Searches one after the other, learned from in between: scores equal `Adapter.search`."""
    with make_service(tmp_path, limits=Limits(k=20)) as (client, parts):
        one = Adapter(
            model,
            scenes[0].embeddings,
            query="text",
            method="reex",
            parameters="block_layer_norms",
            score="before",
            fusion="dynamic",
            batch_size=4,
            steps=1,
            **parts.settings.settings.of("reex", "text").to_dict(),
        )
        for colour in ("red", "rde", "blue", "gren", "white", "blak"):
            text = f"a {colour} ring"  # of one length: one program
            found = client.post("/v1/search", json={"text": text, "k": 20}).json()
            repaired = parts.repairs.repair(text)
            features = FusionFeatures(*np.array([repaired.features], np.float32).T)
            query = RepairedQueries([text], [repaired.repair.repaired], features)
            wanted = one.search(query, 20, learn=False)
            one.adapt(query)
            got = [hit["score"] for hit in found["results"]]
            np.testing.assert_allclose(got, wanted.scores[0], atol=2e-5)
            wait_until(parts.teacher.idle)
        assert parts.engine.view(("text", "reex")).batches == 6
        lanes = client.get("/v1/state").json()["lanes"]
        assert {"query": "text", "method": "reex", "batches": 6, "restored": 0} in lanes


def test_state_is_saved_restored_and_reset(make_service, tmp_path, wait_until):
    request = {"text": "a red circle above a blue square", "k": 20}
    quiet = request | {"learn": False}
    with make_service(tmp_path) as (client, parts):
        wait_until(parts.teacher.idle)
        fresh = client.post("/v1/search", json=quiet).json()["results"]
        for number in range(12):
            client.post("/v1/search", json={"text": f"a red ring and {number}"})
        wait_until(parts.teacher.idle)
        adapted = client.post("/v1/search", json=quiet).json()["results"]
        assert adapted != fresh
        assert client.post("/v1/state/save").json() == {"done": "save", "lanes": 1}
        events = client.get("/v1/state/history").json()["events"]
        assert [event["what"] for event in events][-1] == "saved"
        assert {"loss", "queries", "ms"} <= set(events[0])
    with make_service(tmp_path) as (client, parts):
        wait_until(lambda: parts.engine.view(("text", "reex")).batches > 0)
        assert client.post("/v1/search", json=quiet).json()["results"] == adapted
        history = client.get("/v1/state/history").json()["events"]
        assert "restored" in [event["what"] for event in history]
        assert client.post("/v1/state/reset").json()["done"] == "reset"
        assert client.post("/v1/search", json=quiet).json()["results"] == fresh


def test_a_state_that_does_not_fit_is_put_aside(make_service, tmp_path, wait_until, caplog):
    folder = tmp_path / "text-reex"
    folder.mkdir()
    (folder / "adapter.json").write_text("{", "utf-8")
    with make_service(tmp_path) as (client, parts):
        wait_until(lambda: parts.teacher.ready)
        assert client.post("/v1/search", json={"text": "a ring"}).status_code == 200
    assert (tmp_path / "text-reex-unfit" / "adapter.json").read_text("utf-8") == "{"
    assert "damaged" in caplog.text


def test_nothing_that_is_asked_is_logged(make_service, tmp_path, caplog, monkeypatch):
    learning = Learning(on=False)
    with make_service(tmp_path, learning=learning, log_requests=True) as (client, parts):
        with caplog.at_level("INFO", "reex_jax"):
            client.post("/v1/search", json={"text": "my secret wish"})
            monkeypatch.setattr(parts.searcher.model.__class__, "prepare_text", _broken)
            broken = client.post("/v1/search", json={"text": "my secret wish"})
        assert broken.status_code == 500 and "secret" not in broken.text
    assert "POST /v1/search 200" in caplog.text and "RuntimeError" in caplog.text
    assert "secret" not in caplog.text


def _broken(self, text):
    raise RuntimeError(f"cannot read {text}")
