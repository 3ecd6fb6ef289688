#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""ctr-worker search: a registry with a search, one with nothing but a catalog, and what neither should send."""

import json
import threading
import urllib.parse

import registry
import worker


class Search(worker.TestCase):
    def search(self, term, *arguments):
        return self.run_verb("search", *arguments, term, root=False)["images"]

    def names(self, term, *arguments):
        return [i["name"].removeprefix(self.registry.host + "/") for i in self.search(f"{self.registry.host}/{term}", *arguments)]

    def catalog(self, names, of=None, page=100):
        """A registry that has these repositories, and shows a page of them at a time."""
        def answer(handler):
            url = urllib.parse.urlsplit(handler.path)
            query = dict(urllib.parse.parse_qsl(url.query))
            if url.path != "/v2/_catalog":
                return handler.path != "/v2/" and not handler.refuse(404, "UNKNOWN", "no such page")
            rest = [n for n in names if n > query.get("last", "")]
            return not handler.answer(200, json.dumps({"repositories": rest[:min(page, int(query["n"]))]}).encode())
        (of or self.registry).fault = answer

    def index(self, document):
        """A registry that has a search, with this answer."""
        self.registry.fault = lambda handler: handler.path.startswith("/v1/search?") and not handler.answer(
            200, document if isinstance(document, bytes) else json.dumps(document).encode())

    def test_index(self):
        self.index({"num_results": 3, "results": [
            {"name": "team/one", "description": "the \u00fcrst", "star_count": 7, "is_official": True},
            {"name": "two"}, {"name": "three", "star_count": "many", "description": None}]})
        host = self.registry.host
        self.assertEqual(self.search(f"{host}/a&b", "--max=2"), [
            {"name": f"{host}/team/one", "description": "the \u00fcrst", "stars": 7, "official": True},
            {"name": f"{host}/two", "description": "", "stars": 0, "official": False}])
        self.assertEqual([p for p, _ in self.registry.requests if "search" in p], ["/v1/search?q=a%26b&n=2"])
        self.assertEqual(self.names("x"), ["team/one", "two", "three"])

    def test_hostile(self):
        """What is no name is left out, and a description is cut between characters."""
        bad = ["", "UPPER", "a:tag", "a@b", "../up", "a b", "/abs", 7, None, "x" * 600]
        self.index({"results": [{"name": n} for n in bad] + [7, None, {}, {"name": "good", "description": "\u20ac" * 1000}]})
        self.assertEqual(self.names("x"), ["good"])
        [found] = self.search(f"{self.registry.host}/x")
        self.assertEqual(found["description"], "\u20ac" * 341)

    def test_catalog(self):
        names = sorted(f"team/app-{i}" for i in range(250)) + ["zoo/App-x", "zoo/last"]
        self.catalog(names)
        self.assertEqual(self.names("APP-1", "--max=1000"), [n for n in names if "app-1" in n])
        self.assertEqual(len(self.names("app")), 25)
        self.assertEqual(self.names("last"), ["zoo/last"])
        self.assertEqual(len(self.names("", "--max=1000")), 251)
        catalog = self.registry.fault
        for document in (b"<html>", b"[]", b'{"results": 7}'):
            with self.subTest(document):
                self.registry.fault = lambda handler, document=document: (
                    handler.path.startswith("/v1/") and not handler.answer(200, document)) or catalog(handler)
                self.assertEqual(self.names("last"), ["zoo/last"])

    def test_catalog_at_once(self):
        """One that knows no pages; what lies behind 10,000 names does not count."""
        self.registry.fault = lambda handler: "_catalog" in handler.path and not handler.answer(200, json.dumps(
            {"repositories": [f"a{i:05}" for i in range(12000)]}).encode())
        self.assertEqual(self.names("99", "--max=1000")[-1], "a09999")
        self.assertEqual(self.names("a11"), [])

    def test_catalog_ends(self):
        """One that repeats itself, or never ends, is bounded."""
        for page in (lambda last: ["a", "b"], lambda last: [f"{int(last or 0) + 1:09}"], lambda last: None):
            self.registry.requests.clear()
            self.registry.fault = lambda handler: "_catalog" in handler.path and not handler.answer(200, json.dumps(
                {"repositories": page(dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(handler.path).query)).get("last"))}
            ).encode())
            self.assertEqual(self.names("nothere"), [])
            self.assertLessEqual(len(self.registry.requests), 103)

    def test_time_is_over(self):
        """Whatever holds a search, all of it together has a limit: pages, pauses, and an answer that never ends."""
        over = threading.Event()
        self.addCleanup(over.set)
        host = self.registry.host
        self.env["CTR_SEARCH_SEC"] = "1"

        def page(handler):
            over.wait(0.2)
            return not handler.answer(200, json.dumps({"repositories": [f"a{len(self.registry.requests):06}"]}).encode())

        def endless(handler):
            handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
            while not over.wait(0.1):
                handler.wfile.write(b" " * 100)
            handler.cut()
            return True

        for answer in (page, lambda handler: not handler.answer(503, Retry_After="60"), endless,
                       lambda handler: over.wait() or True):
            self.registry.fault = lambda handler, answer=answer: "_catalog" in handler.path and answer(handler)
            self.assert_fails("DeadlineExceeded", f"given up after 1 s: .*{host}", f"{host}/x", verb="search",
                              root=False)

    def test_configured(self):
        other = registry.Registry()
        self.addCleanup(other.close)
        self.catalog(["team/app", "team/other"])
        self.catalog(["deep/down/app", "elsewhere/app"], of=other)
        conf = self.root / "registries.conf"
        self.env["CONTAINERS_REGISTRIES_CONF"] = str(conf)
        conf.write_text(f"unqualified-search-registries = ['{self.registry.host}', # one\n  \"example.test\",]\n"
                        f'[[registry]]\nprefix = "example.test"\nlocation = "{other.host}/deep"\n')
        self.assertEqual([i["name"] for i in self.search("app")],
                         [f"{self.registry.host}/team/app", "example.test/down/app"])
        self.assertEqual([i["name"] for i in self.search("example.test/app")], ["example.test/down/app"])
        for text, code, pattern in (('unqualified-search-registries = "a"', "InvalidArgument", "line 1: .* must be an array"),
                                    ("\nunqualified-search-registries = [1]", "InvalidArgument", "line 2: a string"),
                                    ('unqualified-search-registries = ["no host"]', "InvalidArgument", "not a registry host"),
                                    ('unqualified-search-registries = ["127.0.0.1:1"]', "Unavailable", "."),
                                    ('unqualified-search-registries = ["b.test"]\n[[registry]]\nprefix = "b.test"\n'
                                     "blocked = true", "PermissionDenied", "blocked")):
            with self.subTest(text):
                conf.write_text(text + "\n")
                self.assert_fails(code, pattern, "app", verb="search", root=False)

    def test_fails(self):
        host = self.registry.host
        self.registry.fault = lambda handler: handler.path != "/v2/" and not handler.refuse(403, "DENIED", "not you")
        self.assert_fails("PermissionDenied", r"access to its catalog \(not you\)", f"{host}/x", verb="search", root=False)
        for status, code, pattern in ((404, "NotFound", "no search and no catalog"), (400, "Unavailable", "status 400 for its catalog")):
            self.registry.fault = lambda handler, status=status: handler.path != "/v2/" and not handler.answer(status)
            self.assert_fails(code, pattern, f"{host}/x", verb="search", root=False)
        self.registry.fault = lambda handler: "_catalog" in handler.path and not handler.answer(
            429, json.dumps({"errors": [{"code": "TOOMANYREQUESTS", "message": "slow down"}]}).encode(), Retry_After="1")
        self.assert_fails("Unavailable", r"asked too often at the moment \(slow down\); it may be asked again in 1 s", f"{host}/x",
                          verb="search", root=False)
        self.registry.fault = lambda handler: "_catalog" in handler.path and not handler.answer(200, b"nonsense")
        self.assert_fails("DataLoss", "catalog", f"{host}/x", verb="search", root=False)
        for arguments in (("",), ("--max=0", "x"), ("--max=1001", "x"), ("a..b/x",)):
            with self.subTest(arguments):
                self.assert_fails("InvalidArgument", ".", *arguments, verb="search", root=False)


if __name__ == "__main__":
    worker.main()
