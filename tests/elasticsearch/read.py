"""Reads errors with the stock client, whichever of 7.17, 8 and 9 is installed: read.py URL [KEY].

The errors are those of tests/it/elasticsearch.rs: 25 of version 1.0 ("connection to db-N timed out", on /predict) and 15 of
version 1.1 ("value N is no number", on /score), each N * 10 ms slow.
"""

import sys
import warnings

import elasticsearch
from elasticsearch import helpers

MAJOR = elasticsearch.__version__[0]
# A server that is not what the client expects is warned of.
warnings.simplefilter("error")
if MAJOR == 7:
    warnings.filterwarnings("ignore", message="The 'body' parameter is deprecated")


def client(url, key):
    if key is None:
        return elasticsearch.Elasticsearch(url)
    if MAJOR == 7:
        return elasticsearch.Elasticsearch(url, http_auth=("anybody", key))
    return elasticsearch.Elasticsearch(url, api_key=key)


def search(es, body, **parameters):
    if MAJOR == 7:
        return es.search(body=body, **parameters)
    return es.search(**body, **parameters)


def equal(actual, expected):
    assert actual == expected, f"{actual!r} is not {expected!r}"


def total(found):
    equal(found["hits"]["total"]["relation"], "eq")
    return found["hits"]["total"]["value"]


def what_there_is(es):
    assert es.ping()
    equal(es.info()["tagline"], "You Know, for Search")
    (index,) = es.cat.indices(format="json")
    assert index["index"].startswith("errors-") and index["docs.count"] == "40", index
    assert index["index"] in es.cat.indices(v=True)
    equal(es.cluster.health()["status"], "green")
    assert es.indices.exists(index="errors") and not es.indices.exists(index="nothing")
    capabilities = es.field_caps(index="errors*", fields="*")["fields"]
    equal(list(capabilities["service.name"]), ["keyword"])
    equal(list(capabilities["@timestamp"]), ["date"])
    assert "attributes.http.route" in capabilities and not capabilities["message"]["text"]["aggregatable"]
    (mapping,) = es.indices.get_mapping(index="errors").values()
    equal(mapping["mappings"]["properties"]["ml"]["properties"]["model"]["properties"]["name"]["type"], "keyword")
    return index["index"]


def queries(es, index):
    for query, expected in [
        ({"match_all": {}}, 40),
        ({"match_none": {}}, 0),
        ({"query_string": {"query": "ml.model.version:\"1.1\" AND number", "analyze_wildcard": True}}, 15),
        ({"query_string": {"query": "timed number"}}, 40),
        ({"match": {"message": "connection number"}}, 40),
        ({"match": {"message": {"query": "connection number", "operator": "and"}}}, 0),
        ({"match_phrase": {"message": "timed out"}}, 25),
        ({"term": {"ml.model.version": "1.0"}}, 25),
        ({"terms": {"ml.model.version": ["1.0", "1.1"]}}, 40),
        ({"term": {"attributes.http.route": "/score"}}, 15),
        ({"range": {"latency_ms": {"gte": 100, "lt": 150}}}, 10),
        ({"range": {"@timestamp": {"gte": "now-1h", "lte": "now"}}}, 40),
        ({"range": {"@timestamp": {"lt": "now-1h"}}}, 0),
        ({"exists": {"field": "latency_ms"}}, 40),
        ({"exists": {"field": "trace.id"}}, 0),
        ({"prefix": {"error.type": "Time"}}, 25),
        ({"prefix": {"attributes.http.route": "/s"}}, 15),
        ({"wildcard": {"error.type": {"value": "Va?ue*"}}}, 15),
        ({"wildcard": {"attributes.http.route": {"value": "*dict"}}}, 25),
        (
            {
                "bool": {
                    "filter": [{"term": {"ml.model.name": "spam"}}],
                    "must_not": [{"term": {"error.type": "ValueError"}}],
                    "should": [{"match": {"message": "db"}}],
                    "minimum_should_match": 1,
                }
            },
            25,
        ),
    ]:
        body = {"query": query}
        equal((query, total(search(es, dict(body, size=0), index=index))), (query, expected))
        count = es.count(body=body, index="errors") if MAJOR == 7 else es.count(query=query, index="errors")
        equal((query, count["count"]), (query, expected))


def documents(es):
    body = {
        "query": {"match": {"message": "number"}},
        "size": 3,
        "sort": [{"@timestamp": "desc"}],
        "highlight": {"fields": {"message": {}}},
        "fields": ["attributes.*", {"field": "@timestamp", "format": "epoch_millis"}],
    }
    found = search(es, body, index="errors")
    first = found["hits"]["hits"][0]
    source = first["_source"]
    equal(source["message"], "value 14 is no number")
    equal(source["service.name"], "test")
    equal((source["ml.model.name"], source["ml.model.version"]), ("spam", "1.1"))
    equal((source["severity"], source["error.type"], source["latency_ms"]), ("ERROR", "ValueError", 140.0))
    equal(source["attributes"]["http.route"], "/score")
    assert source["@timestamp"].endswith("Z")
    equal(first["highlight"]["message"], ["value 14 is no <em>number</em>"])
    equal(first["fields"]["attributes.http.route"], ["/score"])
    equal(first["fields"]["@timestamp"], [str(first["sort"][0])])
    by_id = search(es, {"query": {"ids": {"values": [first["_id"]]}}}, index="errors")
    equal([hit["_id"] for hit in by_id["hits"]["hits"]], [first["_id"]])
    equal(es.get(index=first["_index"], id=first["_id"])["_source"], source)
    only = search(es, {"_source": ["message"], "size": 1}, index="errors")["hits"]["hits"][0]["_source"]
    equal(list(only), ["message"])


def pages(es):
    seen, after = [], None
    while True:
        body = {"size": 7, "sort": [{"@timestamp": "asc"}]}
        if after:
            body["search_after"] = after
        hits = search(es, body, index="errors")["hits"]["hits"]
        if not hits:
            break
        seen.extend(hit["_id"] for hit in hits)
        after = hits[-1]["sort"]
    equal((len(seen), len(set(seen))), (40, 40))
    scanned = {hit["_id"] for hit in helpers.scan(es, query={"query": {"match_all": {}}}, index="errors", size=6)}
    equal(scanned, set(seen))
    point = es.open_point_in_time(index="errors", keep_alive="1m")["id"]
    hits = search(es, {"size": 40, "pit": {"id": point, "keep_alive": "1m"}})["hits"]["hits"]
    equal({hit["_id"] for hit in hits}, set(seen))
    closed = es.close_point_in_time(body={"id": point}) if MAJOR == 7 else es.close_point_in_time(id=point)
    equal(closed["num_freed"], 1)
    try:
        search(es, {"pit": {"id": point}})
        raise AssertionError("a closed point in time was searched")
    except elasticsearch.NotFoundError as error:
        equal(error.error if MAJOR == 7 else error.body["error"]["type"], "search_context_missing_exception")


def aggregations(es):
    body = {
        "size": 0,
        "aggs": {
            "2": {
                "date_histogram": {"field": "@timestamp", "fixed_interval": "1d", "min_doc_count": 1, "format": "epoch_millis"},
                "aggs": {
                    "3": {
                        "terms": {"field": "ml.model.version", "size": 5, "order": {"_key": "desc"}},
                        "aggs": {
                            "4": {"percentiles": {"field": "latency_ms", "percents": [50]}},
                            "5": {"max": {"field": "latency_ms"}},
                            "6": {"avg": {"field": "latency_ms"}},
                            "7": {"sum": {"field": "latency_ms"}},
                            "8": {"min": {"field": "latency_ms"}},
                        },
                    }
                },
            },
            "types": {"cardinality": {"field": "error.type"}},
            "steps": {"histogram": {"field": "latency_ms", "interval": 100}},
            "classes": {"range": {"field": "latency_ms", "ranges": [{"to": 50}, {"from": 50}]}},
            "last": {"max": {"field": "@timestamp"}},
        },
    }
    found = search(es, body, index="errors")["aggregations"]
    days = found["2"]["buckets"]
    versions = {}
    for day in days:
        assert day["key_as_string"] == str(day["key"])
        for bucket in day["3"]["buckets"]:
            versions[bucket["key"]] = versions.get(bucket["key"], 0) + bucket["doc_count"]
    equal(versions, {"1.0": 25, "1.1": 15})
    if len(days) == 1:
        newer, older = days[0]["3"]["buckets"]
        equal((newer["key"], newer["5"]["value"], newer["8"]["value"], newer["7"]["value"]), ("1.1", 140.0, 0.0, 1050.0))
        equal(older["6"]["value"], 120.0)
        assert abs(older["4"]["values"]["50.0"] - 120.0) < 3, older
    equal(found["types"]["value"], 2)
    equal([bucket["doc_count"] for bucket in found["steps"]["buckets"]], [20, 15, 5])
    equal([bucket["doc_count"] for bucket in found["classes"]["buckets"]], [10, 30])
    assert found["last"]["value_as_string"].endswith("Z")
    typed = search(es, body, index="errors", typed_keys=True)["aggregations"]
    equal(sorted(typed), ["cardinality#types", "date_histogram#2", "histogram#steps", "max#last", "range#classes"])
    (name,) = [key for key in typed["date_histogram#2"]["buckets"][0] if "#" in key]
    equal(name, "sterms#3")


def many(es):
    lines = [
        {"index": "errors", "ignore_unavailable": True},
        {"query": {"term": {"severity": "error"}}, "size": 1},
        {"index": "nothing"},
        {},
        {},
        {"query": {"regexp": {"message": ".*"}}},
    ]
    answers = (es.msearch(body=lines) if MAJOR == 7 else es.msearch(searches=lines))["responses"]
    equal([answer["status"] for answer in answers], [200, 404, 400])
    equal(answers[0]["hits"]["total"]["value"], 40)
    equal(answers[1]["error"]["type"], "index_not_found_exception")
    assert "regexp" in answers[2]["error"]["reason"]


def refusals(es):
    for body, status in [
        ({"query": {"no_such": {}}}, 400),
        ({"query": {"query_string": {"query": "(a"}}}, 400),
        ({"aggs": {"a": {"terms": {"field": "message"}}}}, 400),
        ({"size": 10_001}, 400),
        ({"from": 1_000_000_000, "size": 10}, 400),
        ({"sort": ["severity"]}, 400),
    ]:
        try:
            search(es, body, index="errors")
        except elasticsearch.exceptions.ApiError if MAJOR > 7 else elasticsearch.TransportError as error:
            equal((body, error.status_code), (body, status))
        else:
            raise AssertionError(f"{body} was answered")
    try:
        es.index(index="errors", body={"message": "x"}) if MAJOR == 7 else es.index(index="errors", document={"message": "x"})
        raise AssertionError("a document was written")
    except elasticsearch.BadRequestError if MAJOR > 7 else elasticsearch.RequestError as error:
        equal(error.status_code, 400)


def main():
    url, key = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None
    es = client(url, key)
    index = what_there_is(es)
    queries(es, index)
    documents(es)
    pages(es)
    aggregations(es)
    many(es)
    refusals(es)
    print(f"client {'.'.join(map(str, elasticsearch.__version__))}: all read")


main()
