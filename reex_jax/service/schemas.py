"""What requests and answers look like as JSON; the OpenAPI page is made from this."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError


class Strict(BaseModel):
    """No unknown keys: a misspelt option must not be left out in silence."""

    model_config = ConfigDict(extra="forbid", str_max_length=100_000)


class Noise(Strict):
    """Damages the query first, to see what becomes of it; where the service allows it."""

    kind: str = Field(description="a corruption, see /v1/index")
    severity: int = Field(default=5, ge=1, le=7, description="1 is weakest")


class Options(Strict):
    """How a search is done."""

    k: int = Field(default=10, ge=1, description="how many results")
    method: str = Field(default="", description="who adapts, see /v1/index; none: nobody")
    calibration: bool = Field(default=True, description="take back hubs that the stream shows")
    repair: bool = Field(default=True, description="repair text queries")
    compare: bool = Field(default=False, description="also what the source model alone finds")
    learn: bool = Field(default=True, description="whether the service may learn from it")


class PictureOptions(Options):
    """Of a search by picture, in the address."""

    noise: str = Field(default="", description="a corruption, see /v1/index; empty: none")
    severity: int = Field(default=5, ge=1, le=7, description="of the corruption")


class Sample(Strict):
    """A query of the demo, whose right answer is known."""

    query: Literal["text", "image"] = "text"
    number: int = Field(ge=0)


class SearchRequest(Options):
    """A search by text, or by a sample of the demo."""

    text: str | None = Field(default=None, description="what is looked for")
    sample: Sample | None = None
    noise: Noise | None = None


class Hit(BaseModel):
    """One result."""

    position: int = Field(description="in the index")
    id: str
    caption: str | None = None
    score: float = Field(description="cosine; the order may differ from it by calibration")
    before: int | None = Field(
        default=None,
        description="rank from 0 by the source model alone; null: further behind",
    )


class RepairInfo(BaseModel):
    """What became of the text."""

    text: str = Field(description="as it was searched, noise included")
    repaired: str
    confidence: float | None = Field(description="of the rewriter; null where it gives none")
    weight: float = Field(description="of the repair in the query's embedding, from 0 to 1")
    reason: str


class Truth(BaseModel):
    """Of a sample: where the right item stands."""

    position: int
    rank: int | None = Field(description="from 0; null: beyond what was looked at")
    before: int | None = Field(description="the same by the source model alone")
    looked_at: int = Field(description="how many results were looked at")


class SearchResponse(BaseModel):
    """What a search found."""

    results: list[Hit]
    before: list[Hit] | None = Field(description="by the source model alone; null if not wanted")
    repair: RepairInfo | None
    confident: bool = Field(description="whether it is among the surest of recent queries")
    entropy: float = Field(description="of the scores' softmax: 0 is sure, 1 knows nothing")
    method: str
    calibration: bool
    learned_batches: int = Field(description="that the answering model had learned from")
    text: str | None = Field(description="of the query, noise included")
    picture: str | None = Field(description="of a damaged or sampled picture, a data: address")
    truth: Truth | None
    timings_ms: dict[str, float]


class LaneState(BaseModel):
    """What one kind of queries has taught one method."""

    query: str
    method: str
    batches: int
    restored: int = Field(description="times that the guard put a ruined model back to the source")


class StateResponse(BaseModel):
    """What has been learned."""

    learning: bool = Field(description="whether the service learns at all")
    ready: bool = Field(description="whether the learner is up")
    idle: bool = Field(description="whether nothing waits to be learned")
    lanes: list[LaneState]


class Done(BaseModel):
    """What an order did."""

    done: str
    lanes: int


class Problem(BaseModel):
    """Why there is no answer."""

    error: str


def complaint(error: ValidationError) -> str:
    """What is wrong with a request, in one line, without its content."""
    first: Any = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(map(str, first["loc"])) or "the request"
    return f"{place}: {first['msg']}"
