import hashlib, itertools, json, sys

entries = sorted(json.load(open(sys.argv[1])), key=lambda entry: (entry["cluster"], entry["epoch"], entry["seq"]))
for (cluster, epoch), episode in itertools.groupby(entries, key=lambda entry: (entry["cluster"], entry["epoch"])):
    before = ""
    for number, entry in enumerate(episode, 1):
        found = entry.pop("hash")
        body = json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        assert entry["seq"] == number, f"entry {number} is missing"
        assert entry["prev"] == before, f"entry {number} does not follow the one before it"
        assert hashlib.sha256(body.encode()).hexdigest() == found, f"entry {number} was changed"
        before = found
    print(f"episode {epoch} of {cluster}: {number} entries verify; the last hash is {before}")
